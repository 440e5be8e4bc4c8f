"""A model server that improves the greeter, always with the same words, and can be slow once.

What it says is a function of the question, so every session of a run that is stopped and resumed
must come to the bytes of a run that nobody stopped.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from commandline import GREETER, GREETER_TESTS
from wire import Act, Call, Route, Server, chat, chunked, final, ollama, page, piece, refusal

LONG = 60.0
"""Seconds that a slow answer takes; longer than any test is willing to wait."""

SLOW_PATTERN = """\
  - name: Is searched for a whole second
    inputs: [{state: ask, value: Slow}]
    assertions:
      - {type: regex, target: greeting, value: "(a+)+$"}
"""


class Oracle:
    """Answers by the question.

    Args:
        seconds: How long a slow answer takes.

    Attributes:
        reached: Set when the slow answer is under way.
    """

    def __init__(self, seconds: float = LONG) -> None:
        self._seconds = seconds
        self.reached = threading.Event()
        self._slow: tuple[str, str] | None = None
        self._before = 0
        self._lock = threading.Lock()

    def be_slow(self, purpose: str, how: str, *, after: int = 0) -> None:
        """Be slow with an answer.

        Args:
            purpose: Of the question.
            how: ``first`` (nothing comes), ``stream`` (it drips) or ``busy`` (a refusal, 503).
            after: How many questions of that purpose are answered before.
        """
        self.reached.clear()
        self._slow = (purpose, how)
        self._before = after

    def hurry(self) -> None:
        """Be slow no more."""
        self._slow = None

    def chat(self, call: Call) -> Iterable[Act]:
        """The route of ``/api/chat``."""
        purpose, text = answer(call)
        return self._told(purpose, text)

    def tags(self, _: Call) -> Iterable[Act]:
        """The route of ``/api/tags``."""
        listed = json.dumps({"models": [{"name": "m:latest"}, {"name": "gemma3:4b"}]})
        if self._takes("tags") is None:
            return page(200, listed)
        return self._late(page(200, listed))

    def _told(self, purpose: str, text: str) -> Iterable[Act]:
        match self._takes(purpose):
            case "first":
                return self._late(chat(text))
            case "stream":
                return self._dripping(text)
            case "busy":
                return self._busy()
            case _:
                return chat(*re.findall(r"\S+\s*", text))

    def _takes(self, purpose: str) -> str | None:
        with self._lock:
            if self._slow is None or self._slow[0] != purpose:
                return None
            if self._before:
                self._before -= 1
                return None
            (_, how), self._slow = self._slow, None
            return how

    def _late(self, answer: Iterable[Act]) -> Iterator[Act]:
        self.reached.set()
        yield self._seconds
        yield from answer

    def _busy(self) -> Iterator[Act]:
        yield from refusal(503, "server busy", retry_after="30")
        self.reached.set()

    def _dripping(self, text: str) -> Iterator[Act]:
        def parts() -> Iterator[Act]:
            for number in range(int(self._seconds / 0.05)):
                yield piece(text[number : number + 1] or " ")
                if number == 3:
                    self.reached.set()
                yield 0.05
            yield final()

        yield from chunked(parts())


def answer(call: Call) -> tuple[str, str]:
    """The purpose of the question in *call*, and the text that answers it."""
    body = call.json
    prompt = body["messages"][-1]["content"]
    asked = set(body.get("format", {}).get("properties", ()))
    if "scenarios" in asked:
        check = {"type": "state_reached", "value": "end"}
        named = {"type": "contains", "target": "greeting", "value": "you"}
        scenario = {"name": "Greets", "inputs": {"ask": "Eve"}, "assertions": [check, named]}
        return "tests", json.dumps({"scenarios": [scenario]})
    if "suggestions" in asked:
        return "analysis", json.dumps({"analysis": "No name is used.", "suggestions": []})
    if "new_prompt" in asked:
        prompt = "Greet the person called {{name}} by name"
        return "proposal", json.dumps({"problem": "no name", "new_prompt": prompt})
    if "addition" in asked:
        return "addition", json.dumps({"problem": "no name", "addition": "Use the name."})
    found = re.search(r"called (\w+) by name", prompt)
    if found is None:
        return "state", "Hello you! " + "a" * 40 + "!"
    return "state", f"Hello {found[1]}! " + "a" * 40 + "!"


def oracle_server(oracle: Oracle, *, tags: Route | None = None) -> Server:
    """A server, not yet running, at which *oracle* answers; *tags* lists its models instead."""
    models = {"m": 8192, "gemma3:4b": 8192}
    return ollama(oracle.chat, models=models, tags=tags or oracle.tags)


def put_greeter(folder: Path, *, tests: bool = True, slow_pattern: bool = False) -> None:
    """Put the workflow, and unless its tests shall be generated these, into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "greeter.yaml").write_text(GREETER)
    if tests:
        more = SLOW_PATTERN if slow_pattern else ""
        (folder / "greeter.test.yaml").write_text(GREETER_TESTS + more)
