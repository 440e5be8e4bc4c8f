"""One job: one case, one way, one seed. Its result is one file, written when it is done."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune_fsm.llm.base import LLM
from finetune_fsm.storage.files import write_text
from finetune_fsm.workflow.load import load
from quality.calls import Counted
from quality.cases import Case, material
from quality.verdict import verdict
from quality.ways import Shipped, Task, way

FORMAT = 1  # 1: as `result` writes it


@dataclass(frozen=True, slots=True)
class Job:
    """What to do.

    Attributes:
        case: Name of the case.
        way: Name of the way.
        seed: For sampling.
        cap: Calls that may be made.
        options: The way's own.
        variant: Name of options and hands, for ablations; empty without.
        hands: More for the way that is no JSON; the variant's name stands for it.
    """

    case: str
    way: str
    seed: int = 0
    cap: int = 100
    options: Mapping[str, object] = field(default_factory=dict)
    variant: str = ""
    hands: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its files."""
        return ".".join((self.case, self.variant or self.way, str(self.seed)))


def path_of(job: Job, out: Path) -> Path:
    """Return where the result of *job* goes."""
    return out / f"{job.name}.json"


def done(job: Job, out: Path) -> Mapping[str, Any] | None:
    """Return the result of *job* if it was done before: the same case, cap and options."""
    try:
        found: Mapping[str, Any] = json.loads(path_of(job, out).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    same = found.get("format") == FORMAT and found["cap"] == job.cap
    now = material(job.case)
    same = same and found.get("material", now) == now  # the first results told nothing of it
    return found if same and found["options"] == _plain(job.options) else None


def do(job: Job, case: Case, llm: LLM, out: Path) -> Mapping[str, Any]:
    """Do *job* and write its result into *out*; return it.

    Args:
        job: What to do.
        case: The one that it names.
        llm: Answers; calls of the way are counted, those of the verdict are not.
        out: Gets ``NAME.json`` and ``NAME.calls.jsonl``, a line for each call.
    """
    out.mkdir(parents=True, exist_ok=True)
    log = out / f"{job.name}.calls.jsonl"
    log.unlink(missing_ok=True)
    counted = Counted(llm, job.cap, log)
    began = time.monotonic()
    shipped = _shipped(job, case, counted)
    seconds = time.monotonic() - began
    found = result(job, case, counted, shipped, llm) | {"wall_seconds": round(seconds, 1)}
    write_text(path_of(job, out), json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    return found


def result(job: Job, case: Case, counted: Counted, shipped: Shipped, llm: LLM) -> dict[str, Any]:
    """Return all that is known of a job whose way has ended, as JSON data."""
    spent = counted.spent
    return {
        "format": FORMAT,
        "case": job.case,
        "way": job.way,
        "variant": job.variant,
        "seed": job.seed,
        "cap": job.cap,
        "options": _plain(job.options),
        "material": case.material,
        "kind": case.kind,
        "structural": case.structural,
        "good": case.good,
        "fresh": case.fresh,
        "ending": shipped.ending,
        "calls": spent.calls,
        "distinct": spent.distinct,
        "refused": counted.refused,
        "prompt_tokens": spent.usage.prompt_tokens,
        "completion_tokens": spent.usage.completion_tokens,
        "tokens": spent.usage.tokens,
        "seconds": round(spent.usage.seconds, 1),
        **verdict(case, shipped, llm, seed=job.seed),
        "text": shipped.text,
    }


def _shipped(job: Job, case: Case, counted: Counted) -> Shipped:
    """Let the way work in a folder where nothing of the hold-out is to be found."""
    improve: Callable[[Task], Shipped] = way(job.way)
    with tempfile.TemporaryDirectory(prefix="quality-") as name:
        folder = Path(name)
        for file in ("workflow.yaml", "train.yaml"):
            shutil.copyfile(case.folder / file, folder / file)
        task = Task(
            workflow=folder / "workflow.yaml",
            tests=folder / "train.yaml",
            start=load(folder / "workflow.yaml"),  # read against this folder, not the case's
            train=case.train,
            llm=counted,
            cap=job.cap,
            seed=job.seed,
            options={**job.options, **job.hands},
        )
        return improve(task)


def _plain(options: Mapping[str, object]) -> Any:
    """*options* as JSON gives them back."""
    return json.loads(json.dumps(dict(options), default=str))
