"""Small workflows, built by hand, and a strategy for any of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st

from finetune_fsm.workflow.model import END, Option, State, StateKind, Workflow

NAMES = ("a", "b", "c", "d")


def state(kind: str, name: str, **fields: object) -> State:
    origin = ("states", name)
    return State(name=name, kind=StateKind(kind), origin=origin, **fields)


def prompt(name: str, text: str = "say something", **fields: object) -> State:
    return state("prompt", name, prompt=text, **fields)


def ask(name: str, text: str = "what?", **fields: object) -> State:
    return state("input", name, prompt=text, **fields)


def go(name: str, to: str, **fields: object) -> State:
    return state("transition", name, next=to, **fields)


def child(name: str, path: str, **fields: object) -> State:
    return state("workflow_ref", name, workflow_ref=path, **fields)


def options(**described: str) -> tuple[Option, ...]:
    return tuple(Option(name, text) for name, text in described.items())


def workflow(*states: State, folder: Path | None = None, **fields: object) -> Workflow:
    named: Mapping[str, State] = {s.name: s for s in states}
    start = fields.pop("start_state", states[0].name if states else END)
    return Workflow(
        name="small",
        start_state=start,
        states=named,
        folder=folder or Path("/nonexistent"),
        document={},
        text="",
        **fields,
    )


def texts(limit: int = 30) -> st.SearchStrategy[str]:
    """Short texts, many with placeholders, some with broken ones."""
    names = ["{{a}}", "{{b}}", "{{error}}", "{{nobody}}"]
    pieces = st.sampled_from([*names, "{", "}", "{{", "}}", "{{ a }}", "x", "é", " "])
    several = st.lists(pieces | st.text(max_size=4), max_size=6)
    return several.map(lambda found: "".join(found)[:limit])


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Any small graph of prompt, input and transition states, loops and fallbacks included."""
    targets = st.sampled_from((*NAMES, END))
    fallbacks = st.none() | targets

    def one(name: str) -> State:
        kind = draw(st.sampled_from(["prompt", "input", "transition"]))
        fields: dict[str, object] = {"next": draw(targets), "on_error": draw(fallbacks)}
        if kind != "transition":
            fields |= {"prompt": draw(texts()), "save_as": draw(st.sampled_from([None, "a", "b"]))}
        if kind == "input":
            fields["default_value"] = draw(st.none() | texts())
        if kind == "prompt" and draw(st.booleans()):
            chosen = draw(st.lists(targets, min_size=2, max_size=3, unique=True))
            fields |= {"next": None, "next_options": tuple(Option(t, f"for {t}") for t in chosen)}
        return state(kind, name, **fields)

    made = [one(name) for name in NAMES]
    values = draw(st.dictionaries(st.sampled_from(["a", "b", "x"]), texts(), max_size=3))
    return workflow(*made, variables=values, on_error=draw(fallbacks))
