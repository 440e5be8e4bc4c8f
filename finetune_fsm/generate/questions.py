"""What a model is asked while a workflow is made: small requests, each with its schema. Pure.

The number of a choice is asked for alone, unconstrained: measured with a 1.5B model, a numbered
list is answered better than an enumeration of names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from finetune_fsm.execution.interpolation import fill
from finetune_fsm.generate.template import Template
from finetune_fsm.generate.templates import TEMPLATES
from finetune_fsm.llm.base import Message, Purpose, Request
from finetune_fsm.sinks import visible, visible_line

DESCRIPTION_LIMIT = 2_000
"""Characters of a description that models are shown."""

STEPS_LIMIT = 8
"""Steps of a workflow that a model plans."""

OWN = "none of these: other steps, or several ways to go on"

_TEXT: Mapping[str, object] = {"type": "string"}
_TOKENS = {"pick": 8, "fill": 700, "plan": 1_200}


def pick(model: str, description: str, *, seed: int = 0) -> Request:
    """Return the question which template fits; the number after the last is a plan of its own."""
    kinds = [*(f"{t.name}: {t.summary}" for t in TEMPLATES.values()), f"own: {OWN}"]
    listed = "\n".join(f"{number}. {kind}" for number, kind in enumerate(kinds, 1))
    values = {"kinds": listed, "count": str(len(kinds))}
    return _request("pick", model, description, values, seed=seed)


def form(model: str, template: Template, description: str, *, seed: int = 0) -> Request:
    """Return the question for the texts of *template*."""
    blanks = "\n".join(f'- "{blank.name}": {blank.wanted}' for blank in template.blanks)
    names = ["name", *(blank.name for blank in template.blanks)]
    values = {"shape": template.shape, "blanks": blanks}
    schema = strict(dict.fromkeys(names, _TEXT))
    return _request("fill", model, description, values, schema=schema, seed=seed)


def plan(model: str, description: str, complaints: Sequence[str] = (), *, seed: int = 0) -> Request:
    """Return the question for steps; *complaints* say what was wrong with the last answer."""
    told = "\n".join(f"- {visible_line(text, limit=300)}" for text in complaints)
    again = f"\nThe last answer could not be used:\n{told}" if told else ""
    values = {"count": str(STEPS_LIMIT), "complaints": again}
    return _request("plan", model, description, values, schema=PLAN_SCHEMA, seed=seed)


def _request(
    name: str,
    model: str,
    description: str,
    values: Mapping[str, str],
    *,
    schema: Mapping[str, object] | None = None,
    seed: int,
) -> Request:
    shown = visible(description.strip(), limit=DESCRIPTION_LIMIT)
    text = fill(_template(name), {**values, "description": shown}).text.strip()
    return Request(
        model=model,
        messages=(Message("user", text),),
        options={"temperature": 0, "seed": seed, "num_predict": _TOKENS[name]},
        schema=schema,
        purpose=Purpose.ROUTE if name == "pick" else Purpose.PROPOSAL,
        label=name,
    )


@cache
def _template(name: str) -> str:
    return files("finetune_fsm.generate").joinpath("prompts", f"{name}.txt").read_text("utf-8")


def strict(properties: Mapping[str, object]) -> dict[str, object]:
    """Return the schema of an object with exactly these *properties*."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Mapping[str, object], least: int, most: int) -> dict[str, object]:
    return {"type": "array", "minItems": least, "maxItems": most, "items": items}


def _step(kind: str, **more: object) -> dict[str, object]:
    return strict({"name": _TEXT, "kind": {"const": kind}, "prompt": _TEXT, **more})


_WAY = strict({"when": _TEXT, "next": _TEXT})

PLAN_SCHEMA: Mapping[str, object] = strict(
    {
        "name": _TEXT,
        "steps": _list(
            {
                "anyOf": [
                    _step("input", next=_TEXT),
                    _step("prompt", next=_TEXT),
                    _step("choice", ways=_list(_WAY, 2, 4)),
                ]
            },
            1,
            STEPS_LIMIT,
        ),
    }
)
