"""The command line in this process, with streams that behave like real ones."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from commandline import BAD_SCRIPT, GOOD_SCRIPT, GREETER, GREETER_TESTS, Agentmech, Done

from finetune_fsm.cli.main import main


@pytest.fixture
def agentmech(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Agentmech:
    """Run ``agentmech`` with some arguments in an empty folder, input given as text."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, stdin: str = "", encoding: str = "utf-8") -> Done:
        out, err = io.BytesIO(), io.BytesIO()
        streams = {
            "stdin": io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"),
            "stdout": io.TextIOWrapper(out, encoding, write_through=True),
            "stderr": io.TextIOWrapper(err, encoding, write_through=True),
        }
        with monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            code = main([str(argument) for argument in arguments])
        return Done(code, out.getvalue().decode(encoding), err.getvalue().decode(encoding))

    return run


@pytest.fixture
def greeter(tmp_path: Path) -> Path:
    """A valid workflow with its test file and two scripts beside it; passes with the good one."""
    (tmp_path / "greeter.yaml").write_text(GREETER)
    (tmp_path / "greeter.test.yaml").write_text(GREETER_TESTS)
    (tmp_path / "good.yaml").write_text(GOOD_SCRIPT)
    (tmp_path / "bad.yaml").write_text(BAD_SCRIPT)
    return tmp_path / "greeter.yaml"
