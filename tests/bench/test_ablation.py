"""The variants of bench/ablation.py: each takes away what it says, and nothing breaks."""

from __future__ import annotations

import json
from pathlib import Path

import ablation
import pytest
from quality.cases import cases
from quality.jobs import Job, do
from quality.truth import model

from finetune_fsm.llm.base import Message, Purpose, Request
from finetune_fsm.llm.scripted import ScriptedLLM

FIRST = cases(["01"])[0]


@pytest.mark.parametrize("name", sorted(set(ablation.VARIANTS) - {"no-schema"}))
def test_every_variant_runs_and_keeps_the_promises_of_ours(name: str, tmp_path: Path) -> None:
    variant = ablation.VARIANTS[name]
    job = Job(
        FIRST.name, "ours", 0, 40, variant.options, variant=name, hands=ablation.hands_of(variant)
    )
    row = do(job, FIRST, model(FIRST), tmp_path)
    assert row["variant"] == name
    assert row["calls"] <= 40
    assert row["valid"]
    assert row["hard_coded"] == []
    assert row["train"]["lost"] == []


def test_without_rules_no_draft_is_made_by_a_rule(tmp_path: Path) -> None:
    found = {}
    for name in ("ours", "no-rules"):
        hands = ablation.hands_of(ablation.VARIANTS[name])
        job = Job(FIRST.name, "ours", 0, 60, {}, variant=name, hands=hands)
        do(job, FIRST, model(FIRST), tmp_path)
        log = (tmp_path / f"{job.name}.calls.jsonl").read_text("utf-8").splitlines()
        purposes = [json.loads(line)["purpose"] for line in log]
        found[name] = purposes.index("analysis"), "proposal" in purposes
    (early, proposed), (late, needed) = found["no-rules"], found["ours"]
    assert early < late
    assert proposed
    assert not needed


def test_an_unconstrained_model_is_told_the_form_in_words() -> None:
    inner = ScriptedLLM(lambda _: "reply")
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    llm = ablation.Unconstrained(inner)
    for purpose in (Purpose.PROPOSAL, Purpose.STATE):
        llm.complete(Request("m", (Message("user", "Improve."),), schema=schema, purpose=purpose))
    told, kept = inner.requests
    assert told.schema is None
    assert json.loads(told.text.splitlines()[-1]) == schema
    assert (kept.schema, kept.text) == (schema, "Improve.")
