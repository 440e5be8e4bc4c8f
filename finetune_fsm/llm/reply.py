"""A reply as it grows: its limit, its thinking taken off, its broken characters replaced."""

from __future__ import annotations

import re

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.llm.base import REPLY_LIMIT, OnText

_OPEN, _CLOSE = "<think>", "</think>"
_SURROGATE = re.compile("[\ud800-\udfff]")

THINK_HINT = "raise num_predict, or take a model that does not think aloud"


def split_thinking(text: str) -> tuple[str, str]:
    """Return the thinking in front of a reply, or empty text, and the reply itself. Pure.

    Thinking is one ``<think>…</think>`` at the very start, white space aside; the white space
    after it goes too. Without it the reply is *text* to the letter.

    Raises:
        LLMError: the thinking never ends, so there is no reply (`CUT_BY_LIMIT`).
    """
    body = text.lstrip()
    if not body.startswith(_OPEN):
        return "", text
    thinking, closed, rest = body[len(_OPEN) :].partition(_CLOSE)
    if not closed:
        raise _unended()
    return thinking, rest.lstrip()


class Reply:
    """Gathers the pieces of one reply; the pieces it passes on add up to `text`.

    Args:
        on_text: Gets each piece that belongs to the reply, and an empty text for each of the
            thinking before it; or None.
    """

    def __init__(self, on_text: OnText | None = None) -> None:
        self._on_text = on_text
        self._take = self._at_start
        self._pieces: list[str] = []
        self._blanks: list[str] = []  # white space before anything else
        self._seen = ""  # what may still become a mark; never longer than one piece and a mark
        self._size = 0
        self._thought = False

    @property
    def thought(self) -> bool:
        """Whether the model was seen thinking."""
        return self._thought

    def think(self, piece: str) -> None:
        """Note thinking that the server sends apart from the reply; it counts for the limit."""
        self._thought = self._thought or bool(piece)
        self._grow(piece)
        self._sign_of_life(piece)

    def beside(self, piece: str) -> None:
        """Note a *piece* of a call, which is no text of the reply; it counts for the limit."""
        self._grow(piece)
        self._sign_of_life(piece)

    def add(self, piece: str) -> None:
        """Add the next *piece*; lone surrogates become U+FFFD.

        Raises:
            LLMError: the reply is longer than `REPLY_LIMIT` characters (`CUT_BY_LIMIT`).
        """
        self._grow(piece)
        self._take(_SURROGATE.sub("\ufffd", piece))

    def so_far(self) -> str:
        """Return what is surely reply already; for the log of one that broke off."""
        return "".join(self._pieces)

    def text(self) -> str:
        """Return the whole reply; to be called once, after the last piece.

        Raises:
            LLMError: it broke off within its thinking (`CUT_BY_LIMIT`).
        """
        if self._take == self._in_thinking:
            raise _unended()
        if self._take == self._at_start:
            self._pass_on("".join(self._blanks) + self._seen)
        return "".join(self._pieces)

    def _at_start(self, piece: str) -> None:
        if not self._seen:
            body = piece.lstrip()
            self._blanks.append(piece[: len(piece) - len(body)])
            piece = body
        self._seen += piece
        if self._seen.startswith(_OPEN):
            self._thought = True
            self._take = self._in_thinking
            rest, self._seen = self._seen[len(_OPEN) :], ""
            self._take(rest)
        elif not _OPEN.startswith(self._seen):
            self._take = self._pass_on
            self._pass_on("".join(self._blanks) + self._seen)

    def _in_thinking(self, piece: str) -> None:
        _, closed, rest = (self._seen + piece).partition(_CLOSE)
        if closed:
            self._take = self._after_thinking
            self._take(rest)
        else:
            self._seen = (self._seen + piece)[1 - len(_CLOSE) :]
            self._sign_of_life(piece)

    def _after_thinking(self, piece: str) -> None:
        body = piece.lstrip()
        if body:
            self._take = self._pass_on
            self._pass_on(body)

    def _pass_on(self, piece: str) -> None:
        if piece:
            self._pieces.append(piece)
            if self._on_text:
                self._on_text(piece)

    def _sign_of_life(self, piece: str) -> None:
        """Who waits for the reply may know that there is work on it."""
        if piece and self._on_text:
            self._on_text("")

    def _grow(self, piece: str) -> None:
        self._size += len(piece)
        if self._size > REPLY_LIMIT:
            raise LLMError(
                LLMErrorKind.CUT_BY_LIMIT,
                f"the reply is longer than {REPLY_LIMIT:,} characters",
                hint="set num_predict, or a stop text",
            )


def _unended() -> LLMError:
    return LLMError(
        LLMErrorKind.CUT_BY_LIMIT, "the reply ended within its thinking", hint=THINK_HINT
    )
