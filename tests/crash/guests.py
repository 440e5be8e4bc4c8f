"""A workflow with flaws, and a model server of its own process that answers by rote.

The reply is a pure function of the question: a run that was killed and gone on with must come to
the same end as one that was not, and the server's own count says whether it was asked again.
Some replies are prose where JSON is wanted, some drafts are refused, some are tried and dropped,
and two are kept.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from wire import Act, Call, chat, ollama, page

NAME = "guests"

WORKFLOW = """\
# Guests write, and an answer goes out.
name: Guest book
description: Sorts a review of a hotel and answers it.
default_model: tiny
start_state: ask
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sort}
  sort:
    type: prompt
    prompt: |
      Is this review good or bad?

      {{review}}
    options: {num_predict: 60}
    save_as: mood   # one word is wanted
    next: answer
  answer:
    type: prompt
    prompt: "Write to a guest whose review was {{mood}}."
    options: {num_predict: 60}
    save_as: letter
    next: end
"""

TESTS = """\
workflow: guests.yaml
test_scenarios:
  - name: Likes it
    inputs: [{state: ask, value: The room was lovely}]
    assertions:
      - {type: equals, target: mood, value: good}
      - {type: contains, target: letter, value: Thank you}
  - name: Hates it
    inputs: [{state: ask, value: Never again}]
    assertions:
      - {type: equals, target: mood, value: bad}
      - {type: contains, target: letter, value: We regret}
  - name: Likes the view
    inputs: [{state: ask, value: "A lovely view, and a bed"}]
    assertions:
      - {type: equals, target: mood, value: good}
  - name: Hates the noise
    inputs: [{state: ask, value: Such a noise all night}]
    assertions:
      - {type: equals, target: mood, value: bad}
"""

SORTED = "Is this review good or bad? Answer with that one word.\n\n{{review}}"
ANSWERED = "Write two lines to a guest whose review was {{mood}}."

GENERATED = {
    "scenarios": [
        {
            "name": "A happy guest",
            "inputs": {"ask": "The room was lovely"},
            "assertions": [{"type": "equals", "target": "mood", "value": "I think it is good!"}],
        },
        {
            "name": "An angry guest",
            "inputs": {"ask": "Never again"},
            "assertions": [{"type": "state_reached", "value": "end"}],
        },
    ]
}


def write(folder: Path, *, tests: bool = True) -> Path:
    """Put the workflow, and its tests if wanted, into *folder*; return the workflow's path."""
    (folder / f"{NAME}.yaml").write_text(WORKFLOW, "utf-8")
    if tests:
        (folder / f"{NAME}.test.yaml").write_text(TESTS, "utf-8")
    return folder / f"{NAME}.yaml"


def reply(text: str, *, warm: bool = False) -> str:
    """Return what the model says to the prompt *text*; *warm* is whether it samples. Pure."""
    if text.startswith("You review"):
        return json.dumps({"analysis": "It asks for no form.", "suggestions": _suggested(text)})
    if text.startswith("You write tests"):
        return json.dumps(GENERATED)
    if text.startswith("Two versions"):
        first, _, _ = text.partition("Result 2:")
        return "1" if "Thank you" in first or "regret" in first else "2"
    if text.startswith("Task:"):
        return _proposal(text, warm=warm)
    if text.startswith("Write"):
        return _letter(text)
    mood = "good" if "lovely" in text else "bad"
    return mood if "one word" in text else f"I think it is {mood}!"


def _suggested(text: str) -> list[dict[str, str]]:
    if "2 of 2 scenarios passed" in text and "two lines" not in text:
        return [{"state": "answer", "change": "Say how long the answer is."}]
    return []


def _letter(text: str) -> str:
    if "two lines" not in text:
        return "Dear guest."
    return "We regret it." if "bad" in text else "Thank you!"


def _proposal(text: str, *, warm: bool) -> str:
    sorting = "good or bad" in text.split('"""')[1]
    if "Rewrite the prompt" not in text:
        return json.dumps({"problem": "It sounds cold.", "addition": "Be kind."})
    if sorting and not warm:
        if "was refused" not in text:
            return "I am sorry, but I cannot help with that."
        return json.dumps({"problem": "No form.", "new_prompt": "Say {{nothing}}"})
    return json.dumps({"problem": "No form.", "new_prompt": SORTED if sorting else ANSWERED})


def digest_of(body: Mapping[str, object]) -> str:
    """Return what equal questions share: all but the size of the context, which may grow. Pure."""
    options = {k: v for k, v in body["options"].items() if k != "num_ctx"}  # type: ignore[attr-defined]
    asked = {**body, "options": options}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class Model:
    """The server in a process of its own; counts what it is asked.

    Args:
        seconds: How long it takes for a reply.
    """

    def __init__(self, *, seconds: float = 0.0) -> None:
        context = multiprocessing.get_context("fork")
        mine, its = context.Pipe()
        self._process = context.Process(target=_serve, args=(mine, its, seconds), daemon=True)
        self._process.start()
        its.close()
        self.url: str = mine.recv()
        self._pipe = mine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(5)

    def asked(self) -> list[str]:
        """Return the digests of all questions since this was last called, in order."""
        with urllib.request.urlopen(f"{self.url}/asked", timeout=10) as answer:
            return json.load(answer)


def _serve(its: Connection, pipe: Connection, seconds: float) -> None:
    its.close()  # else the end of the process that asked for us would not be noticed
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked: list[str] = []

    def answer(call: Call) -> Iterable[Act]:
        try:
            body = call.json
        except ValueError:  # who asks was killed in the middle of the question
            return []
        asked.append(digest_of(body))
        options: Mapping[str, float] = body["options"]
        said = reply(body["messages"][-1]["content"], warm=options.get("temperature", 0) > 0)
        return [seconds, *chat(said)] if seconds else chat(said)

    def report(_: Call) -> Iterable[Act]:
        found = asked[:]
        del asked[: len(found)]
        return page(200, json.dumps(found))

    server = ollama(answer)
    server._routes["GET", "/asked"] = report
    with server, suppress(EOFError, OSError):
        pipe.send(server.url)
        pipe.recv()  # until the other end is closed
    os._exit(0)
