"""A document's text in pieces: whole lines up to a size; only a line that is longer is split."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_fsm.knowledge.model import Chunk


def chunks_of(source: str, text: str, size: int) -> tuple[Chunk, ...]:
    """Return the chunks of the document at *source*, in order; none for a blank one. Pure."""
    bare = (piece.strip("\n").rstrip() for piece in pieces(text, size))
    texts = [piece for piece in bare if piece.strip()]
    return tuple(Chunk(f"{source}_chunk_{n}", source, piece) for n, piece in enumerate(texts))


def pieces(text: str, size: int) -> Iterator[str]:
    """Yield *text* in pieces of at most *size* characters, line ends included. Pure.

    Together they are *text* again. A piece ends where a line does, but within a line that is
    longer than *size*; that one begins a piece of its own and is split after a space, if there is
    one in the second half of the piece.
    """
    gathered = ""
    for line in text.splitlines(keepends=True):
        if len(gathered) + len(line) <= size:
            gathered += line
            continue
        if gathered:
            yield gathered
        *full, gathered = _parts(line, size)
        yield from full
    if gathered:
        yield gathered


def _parts(line: str, size: int) -> Iterator[str]:
    """Yield *line* in parts of at most *size* characters, at least one part."""
    start = 0
    while len(line) - start > size:
        space = line.rfind(" ", start + size // 2, start + size) + 1
        end = space or start + size
        yield line[start:end]
        start = end
    yield line[start:]
