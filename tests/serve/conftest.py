"""A folder with a workflow, its tests and a script, as the command line's tests have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from commandline import GREETER, GREETER_TESTS

SCRIPT = """\
format: 1
replies:
  - {purpose: state, when: "by name.*called (?P<who>[A-Z][a-z]+)", reply: "Hello {{who}}!"}
  - {purpose: state, reply: "Hello you!"}
  - purpose: analysis
    when: "0 of 2"
    reply: {analysis: "No name.", suggestions: [{state: greet, change: "Use the name."}]}
  - {purpose: analysis, reply: {analysis: "Fine.", suggestions: []}}
  - purpose: proposal
    reply: {problem: "No name.", new_prompt: "Greet by name who is called {{{{name}}}}"}
""".replace("{{{{name}}}}", "{{name}}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workflow whose tests fail until its prompt is mended, which the script does."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "greeter.yaml").write_text(GREETER)
    (work / "greeter.test.yaml").write_text(GREETER_TESTS)
    (work / "greeter.script").write_text(SCRIPT)
    return work
