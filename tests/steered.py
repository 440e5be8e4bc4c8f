"""What the tests of approval, debugger and forks share: a run with several sound drafts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from finetune_fsm.codec import plain
from finetune_fsm.errors import Problem
from finetune_fsm.llm.base import Purpose, Request
from finetune_fsm.observers.dialogue import Dialogue
from finetune_fsm.observers.lines import Line
from finetune_fsm.runs.history import load

WORKFLOW = """\
name: Mood
description: Says whether a review is good, bad or mixed.
start_state: ask
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sort}
  sort:
    type: prompt
    prompt: "What do you think of this review? {{review}}"
    save_as: mood
    next: end
"""

TESTS = """\
workflow: mood.yaml
test_scenarios:
  - name: Likes it
    inputs: [{state: ask, value: The room was lovely and quiet}]
    assertions: [{type: equals, target: mood, value: good}]
  - name: Hates it
    inputs: [{state: ask, value: Never again will I stay there}]
    assertions: [{type: equals, target: mood, value: bad}]
  - name: Is torn
    inputs: [{state: ask, value: Lovely rooms but never again}]
    assertions: [{type: contains, target: mood, value: mixed}]
"""

PLAIN = "Is this good or bad? One word. {{review}}"
MIXED = "Good, bad or mixed? One word, mixed allowed. {{review}}"
UNSET = "Say it {{nicely}}"

GREETER_SCRIPT = """\
format: 1
replies:
  - {purpose: state, when: "called (?P<who>[A-Z][a-z]+) by name", reply: "Hello {{who}}!"}
  - {purpose: state, reply: "Hello you!"}
  - purpose: analysis
    when: called
    reply: {analysis: "All is well.", suggestions: []}
  - purpose: analysis
    reply: {analysis: "No name.", suggestions: [{state: greet, change: "Use the name."}]}
  - purpose: proposal
    reply: {problem: "The name is not used.", new_prompt: "Greet the person called NAME by name"}
""".replace("NAME", "{{name}}")
"""A model that improves the greeter of `commandline` in one go."""


def reply(request: Request) -> str:
    """A model whose every reply follows from the question alone."""
    text = request.text
    if request.purpose is Purpose.STATE:
        if "mixed" in text and "Lovely rooms" in text:
            return "mixed"
        mood = "good" if "lovely" in text.lower() else "bad"
        return mood if "One word" in text else f"I think it is {mood}!"
    if request.purpose is Purpose.ANALYSIS:
        return json.dumps({"analysis": "No form.", "suggestions": []})
    if request.purpose is Purpose.PROPOSAL:
        if "was refused" in text:
            prompt = MIXED
        elif "One word" in text:
            prompt = UNSET if request.options.get("temperature") == 0 else MIXED
        else:
            prompt = PLAIN
        return json.dumps({"problem": "No form.", "new_prompt": prompt})
    return "1"


def place(folder: Path) -> Path:
    """Put workflow and tests into *folder* and return the workflow."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mood.yaml").write_text(WORKFLOW)
    (folder / "mood.test.yaml").write_text(TESTS)
    return folder / "mood.yaml"


class Person:
    """Somebody who types what is given, and then nothing more.

    Attributes:
        shown: All lines that were told.
        prompts: What was asked.
    """

    def __init__(self, keys: Iterable[str], edits: Iterable[str | Problem] | None = ()) -> None:
        self._keys = iter(keys)
        self._edits = None if edits is None else iter(edits)  # None: opens and leaves it
        self.shown: list[str] = []
        self.prompts: list[str] = []
        self.opened: list[str] = []

    @property
    def talk(self) -> Dialogue:
        return Dialogue(self._ask, self._tell, self._edit)

    @property
    def text(self) -> str:
        return "\n".join(self.shown)

    def _ask(self, prompt: str) -> str:
        self.prompts.append(prompt)
        try:
            return next(self._keys)
        except StopIteration:
            raise EOFError from None

    def _tell(self, line: Line) -> None:
        self.shown.append(line.text)

    def _edit(self, text: str) -> str | Problem:
        self.opened.append(text)
        return text if self._edits is None else next(self._edits)


def timeless(value: object) -> object:
    """The plain data *value* without what no two runs share."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in ("seconds", "at")}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def steps(run: Path) -> object:
    """The steps in the journal of *run*, without times and folders."""
    text = json.dumps([timeless(plain(entry)) for entry in load(run).entries])
    return json.loads(text.replace(str(run.parent.parent), ""))


def asked(run: Path) -> list[str]:
    """The keys of all questions that a model answered in *run*."""
    return [call.key for _, call in load(run).calls]
