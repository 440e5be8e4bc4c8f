"""Where the answers of input states come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from finetune_fsm.errors import ExecutionError

Show = Callable[[str, str, str | None], None]
"""Shows a question to a person: state name, question, default or None."""


class Inputs(Protocol):
    """Answers to input states."""

    def answer(self, state_name: str, question: str, default: str | None) -> str | None:
        """Return the answer, or None when no answer will ever come.

        Empty text means that nothing was said: the default holds, or empty text.

        Args:
            state_name: As it appears among the visited states.
            question: The state's prompt, placeholders filled in.
            default: The state's default value, filled in, or None.

        Raises:
            ExecutionError: the answer cannot be read.
        """
        ...


class MappingInputs:
    """Answers by state name, the same at every visit, as a scenario gives them.

    Args:
        answers: Answer by name of input state.
        otherwise: Asked for the other states; without it they say nothing.
    """

    def __init__(self, answers: Mapping[str, str], otherwise: Inputs | None = None) -> None:
        self._answers = dict(answers)
        self._otherwise = otherwise

    def answer(self, state_name: str, question: str, default: str | None) -> str | None:
        """Return the state's answer, else what *otherwise* says, else empty text."""
        if state_name in self._answers:
            return self._answers[state_name]
        if self._otherwise is None:
            return ""
        return self._otherwise.answer(state_name, question, default)


class LineInputs:
    """Answers line by line, from a list or from an open file such as standard input.

    Args:
        lines: One answer each, line ends allowed; read only when a question is asked.
        show: Called with each question before its answer is read.
    """

    def __init__(self, lines: Iterable[str], show: Show | None = None) -> None:
        self._lines: Iterator[str] = iter(lines)
        self._show = show

    def answer(self, state_name: str, question: str, default: str | None) -> str | None:
        """Return the next line, or None after the last one."""
        if self._show:
            self._show(state_name, question, default)
        try:
            line = next(self._lines, None)
        except (OSError, ValueError) as error:  # ValueError: closed, or no UTF-8
            raise ExecutionError(f"the answer cannot be read: {error}", state=state_name) from error
        return None if line is None else line.rstrip("\r\n")


_: tuple[type[Inputs], ...] = (MappingInputs, LineInputs)  # mypy checks that both keep the protocol
