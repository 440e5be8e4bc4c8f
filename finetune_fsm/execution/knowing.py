"""A prompt and what belongs to it from a knowledge base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from finetune_fsm.errors import FATAL, ExecutionError, LLMError, LLMErrorKind
from finetune_fsm.execution.documents import document_text
from finetune_fsm.execution.files import Folders, locate, read_bytes
from finetune_fsm.execution.interpolation import LIMIT, Filled
from finetune_fsm.execution.limits import Settings
from finetune_fsm.knowledge.context import with_context
from finetune_fsm.knowledge.documents import SIZE_LIMIT
from finetune_fsm.knowledge.model import Base, Chunk, Given, Passage, Retrieved, base_of
from finetune_fsm.llm.base import LLM, Stop
from finetune_fsm.workflow.model import State, Workflow

if TYPE_CHECKING:
    from finetune_fsm.knowledge.index import Model

QUESTION_LIMIT = 8000
"""Characters of a prompt that are searched for, its last ones: there the question mostly is."""

TEXT_LIMIT = 10_000_000
"""Characters of the text of a PDF or Word file at most."""

_PERSISTENT = FATAL & {
    LLMErrorKind.MISSING_MODEL,
    LLMErrorKind.DENIED,
    LLMErrorKind.SCRIPT_EXHAUSTED,
}
"""Errors that every rollout of an evaluation meets alike; the others would be unfair to some."""


@dataclass(frozen=True, slots=True)
class Known:
    """A prompt with its context.

    Attributes:
        prompt: What is sent.
        retrieved: What went into it, the nearest first.
        problems: What was left out or went wrong, a sentence each.
        missing: Why there is no context, or empty.
    """

    prompt: str
    retrieved: tuple[Retrieved, ...] = ()
    problems: tuple[str, ...] = ()
    missing: str = ""


def base_in(workflow: Workflow, state: State) -> Base | None:
    """Return the knowledge base that *state* uses, or None when it uses none."""
    if state.use_rag is None:
        return None
    is_named = isinstance(state.use_rag, str)
    name = state.use_rag if isinstance(state.use_rag, str) else ""
    spec = workflow.rag.get(name) if isinstance(state.use_rag, str) else state.use_rag
    if spec is None:
        raise ExecutionError(f"the workflow has no knowledge base '{name}'")
    folders = Folders(workflow.folder)
    shown = name if is_named else ""
    return base_of(shown, spec, lambda path: locate(Filled(path), folders), workflow.folder)


def known(  # what is asked, and what may be touched
    prompt: str, question: str, base: Base, llm: LLM, *, name: str, options: Settings, stop: Stop
) -> Known:
    """Return *prompt* with what *base* holds on *question*.

    Args:
        prompt: What would be sent, with the texts of files.
        question: The prompt alone, placeholders filled in.
        base: What is searched.
        llm: Embeds.
        name: Of the state, as it appears among the visited ones.
        options: They may hold documents that stand for those of the knowledge base.
        stop: Ends it early.

    Raises:
        ExecutionError: the prompt becomes too long.
        LLMError: an evaluation had better not go on; see `_PERSISTENT`.
        MissingExtra: a library is not installed.
        Cancelled: *stop* was asked for.
    """
    if options.documents is not None:
        return _filled(prompt, base, _given(options.documents, name)[: base.top_k])
    try:
        passages, problems = _searched(base, question[-QUESTION_LIMIT:], llm, stop)
    except LLMError as error:
        if options.fatal_raises and error.kind in FATAL - _PERSISTENT:
            raise
        return Known(prompt, missing=str(error))
    except ExecutionError as error:
        return Known(prompt, missing=str(error))
    return _filled(prompt, base, passages, problems)


def _filled(
    prompt: str, base: Base, passages: Sequence[Passage], problems: tuple[str, ...] = ()
) -> Known:
    filled = with_context(prompt, [passage.chunk for passage in passages], base)
    if len(filled) > LIMIT:
        raise ExecutionError(
            f"the prompt and its context have {len(filled)} characters, more than {LIMIT} — "
            "lower top_k or chunk_size"
        )
    retrieved = tuple(Retrieved(p.chunk.source, p.chunk.id, p.score) for p in passages)
    return Known(filled, retrieved, problems)


def _searched(
    base: Base, question: str, llm: LLM, stop: Stop
) -> tuple[tuple[Passage, ...], tuple[str, ...]]:
    from finetune_fsm.knowledge.index import Reading, search

    if not hasattr(llm, "embed"):  # a model of the caller's own, older than that method
        raise LLMError(LLMErrorKind.BAD_REQUEST, f"{llm.name} makes no embeddings")
    found = search(base, question, cast("Model", llm), Reading(_bytes_of, _text_of), stop=stop)
    return found.passages, found.problems


def _bytes_of(place: Path) -> bytes:
    return read_bytes(place, limit=SIZE_LIMIT)


def _text_of(data: bytes, kind: str) -> str:
    return document_text(data, kind, limit=TEXT_LIMIT)


def _given(documents: Sequence[Given], name: str) -> list[Passage]:
    """The documents that a test gives to the state called *name*, each whole."""
    mine = [given for given in documents if given.state in ("", name)]
    return [
        Passage(Chunk(f"{given.source}_chunk_{number}", given.source, given.text), 1.0)
        for number, given in enumerate(mine)
    ]
