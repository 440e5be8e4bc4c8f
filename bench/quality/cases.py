"""Cases: a workflow, what is wrong with it, and the scenarios that say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.codec import digest
from finetune_fsm.errors import UsageError
from finetune_fsm.scenarios.load import load_suite
from finetune_fsm.scenarios.model import Suite
from finetune_fsm.workflow.load import load
from finetune_fsm.workflow.model import Workflow
from finetune_fsm.workflow.text import parse

HERE = Path(__file__).parent
ROOTS = (HERE / "cases", HERE / "fresh")
"""The cases that the rules of this project were tried on, and those that nobody looked at."""


@dataclass(frozen=True, slots=True)
class Case:
    """One workflow to improve, or to leave alone.

    Attributes:
        name: Its folder's, ``NN-slug``.
        folder: Where its files are.
        kind: The flaw in one word, or ``good``.
        structural: Whether no change of a prompt's wording alone should repair it.
        good: Whether nothing is wrong with it.
        fresh: Whether it was kept from those who wrote the optimiser.
        repair: The field that the reference changes.
        wrong: What is wrong, for people.
        start: As a person wrote it.
        reference: The smallest repair.
        train: What every way may see.
        holdout: What none may see.
        material: See `material`; of the files as they were read.
    """

    name: str
    folder: Path
    kind: str
    structural: bool
    good: bool
    fresh: bool
    repair: str
    wrong: str
    start: Workflow
    reference: Workflow
    train: Suite
    holdout: Suite
    material: str


def read(folder: Path) -> Case:
    """Return the case in *folder*.

    Raises:
        InvalidDocument: one of its files is wrong.
    """
    meta = parse((folder / "meta.yaml").read_text("utf-8")).document
    start = load(folder / "workflow.yaml")
    return Case(
        name=folder.name,
        folder=folder,
        kind=str(meta["kind"]),
        structural=meta["structural"] is True,
        good=meta["good"] is True,
        fresh=folder.parent == ROOTS[1],
        repair=str(meta["repair"]),
        wrong=str(meta["wrong"]),
        start=start,
        reference=load(folder / "reference.yaml"),
        train=load_suite(folder / "train.yaml", workflow=start),
        holdout=load_suite(folder / "holdout.yaml", workflow=start),
        material=_material(folder),
    )


def names(wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of the cases that begin with one of *wanted*, in order; all without any.

    Raises:
        UsageError: one of *wanted* begins none.
    """
    there = sorted(_folders())
    chosen = tuple(wanted)
    for word in chosen:
        if not any(name.startswith(word) for name in there):
            raise UsageError(f"there is no case '{word}' in {HERE}")
    return tuple(name for name in there if not chosen or name.startswith(chosen))


def cases(wanted: Iterable[str] = ()) -> tuple[Case, ...]:
    """Return the cases that *wanted* names; raises as `names` and `read` do."""
    folders = _folders()
    return tuple(read(folders[name]) for name in names(wanted))


def material(name: str) -> str:
    """Return a digest of what the case called *name* gives a way and its verdict."""
    return _material(_folders()[name])


def _material(folder: Path) -> str:
    files = ("workflow.yaml", "train.yaml", "holdout.yaml", "script.yaml")
    return digest([(folder / file).read_text("utf-8") for file in files])


def _folders() -> dict[str, Path]:
    return {path.name: path for root in ROOTS for path in root.iterdir() if path.is_dir()}
