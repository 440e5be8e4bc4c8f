"""What each part of the optimiser brings: bench/quality with one thing changed at a time.

    python bench/ablation.py [--variants ours,unsampled] [--cases 01,05] [--llm llamacpp|script]
        [--cap 100] [--seeds 0] [--out DIR] [--docs FILE] [--report] [--promises]

A row is a variant of ours: options of `finetune_fsm.finetune` that are JSON, and hands that are
not. To add one, add an entry to `VARIANTS`. Jobs are resumable as those of bench/quality; a
variant whose hands change needs another name or another folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "tests"))

from quality.cases import names
from quality.jobs import Job
from quality.run import common, finished, words

RESULTS = Path(__file__).resolve().parent / "quality" / "results" / "ablation"


@dataclass(frozen=True, slots=True)
class Variant:
    """One row.

    Attributes:
        what: In words, for the one who reads the table.
        options: Beside those of `quality.ours`; JSON.
        hands: What is no JSON, such as handlers.
    """

    what: str
    options: Mapping[str, object] = field(default_factory=dict)
    hands: Mapping[str, object] = field(default_factory=dict)


VARIANTS: Mapping[str, Variant] = {
    "ours": Variant("everything"),
    "text-only": Variant("no leave to change the structure", {"allow": []}),
    "two-tries": Variant("the first draft that can be tried, and no more", {"max_iterations": 2}),
    "five-tries": Variant("as many iterations as the command makes", {"max_iterations": 5}),
    "other-seed": Variant("another seed: what is chance", {"seed": 1}),
}


def main() -> int:
    """Run, print, write; 1 when a job broke."""
    made = common(__doc__ or "", out=RESULTS, mark="ablation")
    made.add_argument("--variants", default=",".join(VARIANTS))
    given = made.parse_args()
    chosen = words(given.variants)
    if unknown := [name for name in chosen if name not in VARIANTS]:
        raise SystemExit(f"there is no variant {', '.join(unknown)}: {', '.join(VARIANTS)}")
    jobs = [
        Job(
            case,
            "ours",
            int(seed),
            given.cap,
            VARIANTS[name].options,
            variant=name,
            hands=VARIANTS[name].hands,
        )
        for case in names(words(given.cases))
        for seed in words(given.seeds)
        for name in chosen
    ]
    print("\n".join(f"{name}: {VARIANTS[name].what}" for name in chosen))
    return finished(jobs, given, "bench/ablation.py")


if __name__ == "__main__":
    sys.exit(main())
