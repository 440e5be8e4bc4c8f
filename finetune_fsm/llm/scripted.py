"""The one fake model: it replies as a script says, and is loud when the script has no reply.

It ships for tests and offline examples. A script is a list of `Reply` rules, tried in order; the
first that fits answers. In a file (``--llm script:FILE``)::

    format: 1
    replies:
      - when: "Classify: (?P<text>.*)"   # pattern, searched in the whole prompt; or a list of them
        purpose: state                   # optional: state, route, tests, analysis, proposal, judge
        reply: "You said {{text}}."      # text, or a mapping or list that becomes JSON
      - error: busy                      # an error kind instead of a reply
        once: true                       # used up after the first time
      - when: "weather in (?P<city>.*)"
        tool_calls:                      # what the model wants done, beside or instead of a reply
          - {name: get_weather, arguments: {city: "{{city}}"}}
      - after: get_weather               # only right after a result of this tool
        reply: "It is sunny."            # `when` is searched in results of tools, too
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from finetune_fsm.errors import LLMError, LLMErrorKind, ScriptExhausted
from finetune_fsm.llm.base import (
    LLM,
    Completion,
    OnText,
    Purpose,
    Request,
    Stop,
    ToolCall,
    estimated_tokens,
)
from finetune_fsm.sinks import one_line

FORMAT = 1  # 1: when, purpose, reply, error, once, cut, seconds; tool_calls, after

_SLICE = 0.05  # seconds between two looks at the stop flag

_PLACEHOLDER = re.compile(r"\{\{([A-Za-z0-9_]+)\}\}")


@dataclass(frozen=True, slots=True)
class Reply:
    """One rule of a script.

    Attributes:
        reply: The text; ``{{name}}`` is filled from named groups of the `when` patterns.
        when: Patterns that must all be found in the prompt (``.`` matches newlines).
        purpose: Only requests of this purpose, or None for all.
        error: Raise this kind of error instead of replying.
        once: Answer one request only.
        cut: Report the reply as cut by the token limit.
        seconds: Wait so long before replying.
        tool_calls: What the model wants done; placeholders in texts of arguments are filled.
        after: Only when the last turn is a result of the tool called so; empty for all.
    """

    reply: str = ""
    when: tuple[str, ...] = ()
    purpose: Purpose | None = None
    error: LLMErrorKind | None = None
    once: bool = False
    cut: bool = False
    seconds: float = 0.0
    tool_calls: tuple[ToolCall, ...] = ()
    after: str = ""

    def fits(self, request: Request) -> Mapping[str, str] | None:
        """Return the named groups when this rule answers *request*, else None. Pure."""
        if self.purpose not in (None, request.purpose):
            return None
        last = request.messages[-1]
        if self.after and (last.role, last.tool) != ("tool", self.after):
            return None
        groups: dict[str, str] = {}
        for pattern in self.when:
            match = re.search(pattern, request.text, re.DOTALL)
            if match is None:
                return None
            groups |= {name: text or "" for name, text in match.groupdict().items()}
        return groups


Answer = Callable[[Request], str | Completion]


class ScriptedLLM:
    """An `LLM` that replies from a script, or from a function of the request.

    Args:
        script: Rules, plain texts (each answers once, in order), or one function.
        slots: How many requests it claims to serve at once.

    Attributes:
        requests: Every request it was asked, in order of arrival.
        embedded: Every text it made a vector of, after the model that was named.
    """

    def __init__(self, script: Sequence[Reply | str] | Answer, *, slots: int = 8) -> None:
        self._answer = script if callable(script) else None
        rules = () if callable(script) else script
        self._rules = [Reply(r, once=True) if isinstance(r, str) else r for r in rules]
        self._slots = slots
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self.embedded: list[tuple[str, str]] = []

    @property
    def name(self) -> str:
        """What people call it."""
        return "a script"

    @property
    def slots(self) -> int:
        """How many requests it claims to serve at once."""
        return self._slots

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the scripted reply to *request*.

        Raises:
            ScriptExhausted: no rule fits.
            LLMError: the rule that fits says so.
            Cancelled: *stop* was asked for.
        """
        if stop:
            stop.check()
        started = time.monotonic()
        completion = self._reply(request, stop)
        if stop:
            stop.check()
        if on_text:
            on_text(completion.text)
        return replace(completion, seconds=time.monotonic() - started)

    def embed(
        self, model: str, texts: Sequence[str], *, stop: Stop | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """Return vectors made of the letters of *texts*; no script is asked, and no *model*.

        Raises:
            Cancelled: *stop* was asked for.
        """
        from finetune_fsm.llm.letter_vectors import letter_vector

        if stop:
            stop.check()
        with self._lock:
            self.embedded += [(model, text) for text in texts]
        return tuple(letter_vector(text) for text in texts)

    def models(self) -> tuple[str, ...]:
        """Return one name: a script has no models."""
        return ("scripted",)

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        """Return nothing: a script may answer the same question differently."""
        del model, stop
        return ""

    def skip(self, request: Request) -> None:
        """Use up the rule that answered *request* in an earlier session of the run."""
        if not self._answer:
            with self._lock, suppress(ScriptExhausted):
                self._take(request)

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    def _reply(self, request: Request, stop: Stop | None) -> Completion:
        with self._lock:
            self.requests.append(request)
            rule, groups = (None, {}) if self._answer else self._take(request)
        if self._answer:
            answer = self._answer(request)
            return answer if isinstance(answer, Completion) else _completion(request, answer)
        assert rule is not None  # noqa: S101  # _take raises instead
        _wait(rule.seconds, stop)
        if rule.error:
            raise LLMError(rule.error, f"the script says: {rule.error}")
        completion = _completion(request, _filled(rule.reply, groups), cut=rule.cut)
        number = len(request.messages)
        calls = tuple(
            replace(
                call,
                arguments={key: _deep(item, groups) for key, item in call.arguments.items()},
                id=call.id or f"call{number:03d}{index:02d}",
            )
            for index, call in enumerate(rule.tool_calls)
        )
        return replace(completion, tool_calls=calls)

    def _take(self, request: Request) -> tuple[Reply, Mapping[str, str]]:
        for index, rule in enumerate(self._rules):
            groups = rule.fits(request)
            if groups is not None:
                if rule.once:
                    del self._rules[index]
                return rule, groups
        where = f" at '{request.label}'" if request.label else ""
        raise ScriptExhausted(
            f"the script has no reply for a request of purpose '{request.purpose}'{where}",
            hint=f"add a rule that fits: {one_line(request.messages[-1].content)}",
        )


def _filled(text: str, groups: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda m: groups.get(m[1], m[0]), text)


def _deep(value: object, groups: Mapping[str, str]) -> object:
    """Return *value*, of a script's bounded depth, with all its texts filled."""
    if isinstance(value, str):
        return _filled(value, groups)
    if isinstance(value, Mapping):
        return {key: _deep(item, groups) for key, item in value.items()}
    return [_deep(item, groups) for item in value] if isinstance(value, list) else value


def _wait(seconds: float, stop: Stop | None) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if stop:
            stop.check()
        time.sleep(min(left, _SLICE))


def _completion(request: Request, text: str, *, cut: bool = False) -> Completion:
    return Completion(text, estimated_tokens(request.text), estimated_tokens(text), cut=cut)


def load_script(path: Path) -> ScriptedLLM:
    """Return the model that the script file at *path* describes.

    Raises:
        InvalidDocument: the file cannot be read or is no script.
    """
    from finetune_fsm.llm.script_file import read

    return ScriptedLLM(read(path))


_: type[LLM] = ScriptedLLM  # the protocol is kept, and mypy says so
