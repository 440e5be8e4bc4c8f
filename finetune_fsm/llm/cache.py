"""Replies kept for other runs: a folder of small files, one for each question.

Only what would come out the same again is kept: temperature 0, from weights that the provider can
tell from others of the same name. Errors, empty and cut replies are never kept. A file holds what
was asked, and a reply is given out only when that is the same, letter by letter.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from finetune_fsm.codec import canonical, digest, plain, restore
from finetune_fsm.errors import StorageError
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop, ToolCall, Usage
from finetune_fsm.llm.layer import Layer
from finetune_fsm.llm.memo import key_of, without_pictures
from finetune_fsm.llm.meter import Meter
from finetune_fsm.storage.files import write_text

FORMAT = 1  # 1: question, reply, prompt_tokens, completion_tokens; tool_calls if there are any

LIMIT = 200_000_000
"""Bytes kept at most; beyond, what was written longest ago goes."""

_WRITES = 100  # replies that one process writes between two looks at the limit


def folder() -> Path:
    """Return the folder of kept replies, in the user's cache."""
    from platformdirs import user_cache_path

    return user_cache_path("finetune-fsm") / "calls"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is kept: files, and the bytes in them."""

    files: int
    bytes: int


class Store:
    """The folder.

    Args:
        root: Where it is; made with the first reply.
        limit: Bytes kept at most.
    """

    def __init__(self, root: Path, *, limit: int = LIMIT) -> None:
        self.root = root
        self._limit = limit
        self._writes = 0

    def get(self, question: Mapping[str, object]) -> Completion | None:
        """Return the reply to *question*, or None; a file that cannot be used is none."""
        try:
            data = json.loads(self._path(question).read_bytes())
            if data["format"] != FORMAT or canonical(data["question"]) != canonical(question):
                return None
            text, read, written = data["reply"], data["prompt_tokens"], data["completion_tokens"]
            calls = restore(tuple[ToolCall, ...], data.get("tool_calls", []))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        fits = isinstance(text, str) and isinstance(read, int) and isinstance(written, int)
        return Completion(text, read, written, cached=True, tool_calls=calls) if fits else None

    def put(self, question: Mapping[str, object], completion: Completion) -> None:
        """Keep *completion*; a disk that does not take it is no reason to stop."""
        data: dict[str, object] = {
            "format": FORMAT,
            "question": question,
            "reply": completion.text,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
        }
        if completion.tool_calls:
            data["tool_calls"] = completion.tool_calls
        with suppress(StorageError, OSError, UnicodeEncodeError):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_text(self._path(question), canonical(data))
        self._writes += 1
        if self._writes % _WRITES == 0:
            self.trim()

    def size(self) -> Size:
        """Return how much is kept."""
        sizes = [size for _, size, _ in self._files()]
        return Size(len(sizes), sum(sizes))

    def clear(self) -> Size:
        """Remove everything kept and return how much it was."""
        return self._remove(self._files())

    def trim(self) -> Size:
        """Remove what was written longest ago until the rest fits the limit."""
        files = sorted(self._files(), reverse=True)
        total = 0
        extra = []
        for entry in files:
            total += entry[1]
            if total > self._limit:
                extra.append(entry)
        return self._remove(extra)

    def _files(self) -> list[tuple[float, int, Path]]:
        """Time, size and path of every file that we made."""
        found = []
        for path in self.root.glob("??/*.json"):
            with suppress(OSError):
                there = path.stat()
                found.append((there.st_mtime, there.st_size, path))
        return found

    def _remove(self, files: list[tuple[float, int, Path]]) -> Size:
        gone = []
        for _, size, path in files:
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108  # fails when another process was faster
                gone.append(size)
        return Size(len(gone), sum(gone))

    def _path(self, question: Mapping[str, object]) -> Path:
        name = digest(question)
        return self.root / name[:2] / f"{name[2:]}.json"


class Cached(Layer):
    """An `LLM` that does not ask again what an earlier run asked.

    Args:
        inner: Answers what is not kept.
        store: What is kept.
        meter: Told of every reply that was kept, or None.
    """

    def __init__(self, inner: LLM, store: Store, meter: Meter | None = None) -> None:
        super().__init__(inner)
        self._store = store
        self._meter = meter
        self._prints: dict[str, str] = {}

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        """Return the reply to *request*, kept or new.

        Raises:
            LLMError: as the inner one does.
            Cancelled: the same.
        """
        question = self._question(request, stop)
        kept = self._store.get(question) if question else None
        if kept is not None:
            if self._meter:
                self._meter.add(Usage.of(kept))
            if on_text:
                on_text(kept.text)
            return kept
        completion = self._inner.complete(request, on_text=on_text, stop=stop)
        said = completion.text or completion.tool_calls
        if question and said and not completion.cut:
            self._store.put(question, completion)
        return completion

    def _question(self, request: Request, stop: Stop | None) -> Mapping[str, object]:
        """What decides the reply; empty when it may come out otherwise the next time."""
        if request.options.get("temperature") != 0:
            return {}
        if request.model not in self._prints:
            self._prints[request.model] = self._inner.fingerprint(request.model, stop=stop)
        weights = self._prints[request.model]
        if not weights:
            return {}
        asked = plain(without_pictures(replace(request, label="")))
        key = key_of(request)  # it knows the pictures
        return {"provider": self.name, "weights": weights, "key": key, "request": asked}


_: type[LLM] = Cached  # the protocol is kept, and mypy says so
