"""Answers to a workflow's questions: from the command line, else from standard input."""

from __future__ import annotations

import codecs
import os
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TextIO

from finetune_fsm.cli.console import Console
from finetune_fsm.errors import UsageError
from finetune_fsm.execution.inputs import Inputs, LineInputs, MappingInputs
from finetune_fsm.llm.base import Stop
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line
from finetune_fsm.workflow.model import StateKind, Workflow

_SLICE = 0.1  # seconds between two looks at the stop flag

LINE_LIMIT = 1_000_000
"""Bytes of one answer at most."""


def given_answers(pairs: Sequence[str], workflow: Workflow) -> Mapping[str, str]:
    """Return the answers that *pairs*, each ``STATE=VALUE``, give.

    Raises:
        UsageError: a pair has no ``=``, or names no input state, or one twice.
    """
    known = [s.name for s in workflow.states.values() if s.kind is StateKind.INPUT]
    answers: dict[str, str] = {}
    for pair in pairs:
        state, sign, value = pair.partition("=")
        if not sign:
            raise UsageError(f"--input '{one_line(pair)}' is not of the form STATE=VALUE")
        # What child workflows ask is known only once they run.
        if state not in known and "_ref_" not in state:
            names = f"input states: {', '.join(known) or 'none'}"
            hint = suggestion(state, known) or one_line(names)
            raise UsageError(f"--input names '{one_line(state)}', which is no input state — {hint}")
        if state in answers:
            raise UsageError(f"--input gives '{one_line(state)}' twice")
        answers[state] = value
    return answers


def inputs(
    answers: Mapping[str, str], console: Console, stop: Stop, *, from_stdin: bool = True
) -> Inputs:
    """Return the source of answers: *answers*, else the lines of standard input.

    Args:
        answers: By state.
        console: Questions are shown on its side stream.
        stop: Ends the waiting for an answer.
        from_stdin: Whether standard input is free for answers.
    """
    lines = stdin_lines(sys.stdin, stop) if from_stdin else iter(())
    return MappingInputs(answers, LineInputs(lines, _asker(console)))


def _asker(console: Console) -> Callable[[str, str, str | None], None]:
    def ask(state: str, question: str, default: str | None) -> None:
        del state  # it has just been announced
        console.err.line(question)
        console.err.piece("> " if default is None else f"[{one_line(default)}] > ")
        if not console.err.interactive:
            console.err.line()

    return ask


def stdin_lines(stream: TextIO, stop: Stop) -> Iterator[str]:
    """Yield the lines of *stream* as they come; a stop ends the waiting.

    Raises:
        Cancelled: *stop* was asked for.
        ValueError: a line is not text in the stream's encoding, or has no end.
    """
    handle = _waitable(stream)
    if handle is None:
        for line in stream:
            stop.check()
            yield line
        return
    decoder = codecs.getincrementaldecoder(stream.encoding or "utf-8")("strict")
    waiting = ""
    while True:
        while "\n" in waiting:
            line, _, waiting = waiting.partition("\n")
            yield line
        if len(waiting) > LINE_LIMIT:
            raise ValueError(f"a line of more than {LINE_LIMIT} characters")
        while not select.select((handle,), (), (), _SLICE)[0]:
            stop.check()
        data = os.read(handle, 65_536)
        waiting += decoder.decode(data, final=not data)
        if not data:
            break
    if waiting:
        yield waiting


def _waitable(stream: TextIO) -> int | None:
    """The stream's handle where one can wait for it; Windows waits for sockets alone."""
    if sys.platform == "win32":
        return None
    try:
        handle = stream.fileno()
        select.select((handle,), (), (), 0)
    except (OSError, ValueError):
        return None
    return handle
