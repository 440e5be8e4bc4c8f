"""Which scenarios to run: by what their names hold, joined by and, or, not and parentheses.

A word stands for all names that hold it, in any letter case; words in a row are one phrase, and so
is what stands in quotes, where ``and`` is a word like others. Nothing is evaluated as a program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from finetune_fsm.errors import UsageError
from finetune_fsm.sinks import one_line

_TOKEN = re.compile(r"""\s*(?:(\()|(\))|"([^"]*)"|'([^']*)'|([^\s()]+))""")
_RANK = {"or": 1, "and": 2, "not": 3}


@dataclass(frozen=True, slots=True)
class _Token:
    """A word, an operator or a parenthesis; of a word, `text` is a phrase in lower case."""

    kind: str
    text: str = ""


def named_like(expression: str) -> Callable[[str], bool]:
    """Return what tells whether a name fits *expression*. Pure.

    Raises:
        UsageError: it is none; the message says where.
    """
    steps = _ordered(expression, tuple(_tokens(expression)))

    def fits(name: str) -> bool:
        folded = _folded(name)
        stack: list[bool] = []
        for step in steps:
            if step.kind == "word":
                stack.append(step.text in folded)
            elif step.kind == "not":
                stack.append(not stack.pop())
            else:
                second, first = stack.pop(), stack.pop()
                stack.append(first and second if step.kind == "and" else first or second)
        return stack.pop()

    return fits


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _tokens(expression: str) -> Iterator[_Token]:
    phrase: list[str] = []
    for match in _TOKEN.finditer(expression.strip()):
        opening, closing, double, single, bare = match.groups()
        if bare is not None and bare.lower() not in _RANK:
            phrase.append(bare)
            continue
        if phrase:
            yield _Token("word", _folded(" ".join(phrase)))
            phrase = []
        if bare is not None:
            yield _Token(bare.lower())
        elif opening or closing:
            yield _Token(opening or closing)
        else:
            yield _Token("word", _folded(double if double is not None else single))
    if phrase:
        yield _Token("word", _folded(" ".join(phrase)))


def _ordered(expression: str, tokens: Sequence[_Token]) -> tuple[_Token, ...]:
    """Return words and operators in the order in which a stack takes them.

    Source: Dijkstra 1961, the shunting yard.
    """
    done: list[_Token] = []
    waiting: list[_Token] = []
    is_due = True  # whether a word may come, or something that begins with one
    for token in tokens:
        if is_due != (token.kind in ("word", "(", "not")):
            raise _bad(expression, f"'{token.text or token.kind}' is out of place")
        if token.kind == "word":
            done.append(token)
            is_due = False
        elif token.kind == ")":
            while waiting and waiting[-1].kind != "(":
                done.append(waiting.pop())
            if not waiting:
                raise _bad(expression, "a ')' closes nothing")
            waiting.pop()
        else:
            while token.kind in ("and", "or") and _goes_first(waiting, token):
                done.append(waiting.pop())
            waiting.append(token)
            is_due = True
    if is_due:
        raise _bad(expression, "a word is missing at its end" if tokens else "it is empty")
    if any(token.kind == "(" for token in waiting):
        raise _bad(expression, "a '(' is never closed")
    return (*done, *reversed(waiting))


def _goes_first(waiting: Sequence[_Token], token: _Token) -> bool:
    return bool(waiting) and _RANK.get(waiting[-1].kind, 0) >= _RANK[token.kind]


def _bad(expression: str, why: str) -> UsageError:
    shown = one_line(expression, limit=100)
    return UsageError(
        f"'-k {shown}' cannot be read: {one_line(why)} — write words joined by and, or, not; "
        "put names that hold those in quotes"
    )
