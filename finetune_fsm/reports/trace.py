"""What happened in a scenario, whole, as a line of JSON: for programs, and for looking closer."""

from __future__ import annotations

import json

from finetune_fsm.codec import plain
from finetune_fsm.scenarios.model import ScenarioResult
from finetune_fsm.sinks.secrets import masked

FORMAT = 1
"""1: scenario, verdict, assertions (verdict, message, actual), rollout as in ``trace.jsonl``."""


def line_of(result: ScenarioResult) -> str:
    """Return *result* as one line with a line end; secrets are hidden. Pure."""
    shape = {
        "format": FORMAT,
        "scenario": result.scenario.name,
        "verdict": result.verdict,
        "assertions": [
            {"verdict": found.verdict, "message": found.message, "actual": found.actual}
            for found in result.assertions
        ],
        "rollout": result.rollout,
    }
    # ASCII: no character of a reply can end the line or steer a terminal.
    return json.dumps(masked(plain(shape))) + "\n"
