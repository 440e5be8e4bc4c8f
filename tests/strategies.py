"""Hypothesis strategies, one per type, for all tests."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from finetune_fsm.workflow.edits import GROWN, Edit, EditOp
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import END, Workflow
from finetune_fsm.workflow.text import dump, parse

Draw = st.DrawFn

NAMES = ("ask", "greet", "classify", "on", "no", "a b", "1", "true", "état", "last-one")
VARIABLES = ("name", "topic", "reply", "x1", "_y")
TRICKY = (
    "yes", "010", "1:30", "2024-01-01", "null", "~", "- a", "a: b", "a #b", "{{name}}", "*x", "&x",
    "say \"it's\"",
    "!x", "%x", "@x", "`x`", "[", "}", "'", '"', "\\", "<<", "=", ".5", "1e5", "0x1F",
    "0o7", "1_000", ".nan", "?", "? a", "-", "---", "...", "y", "a:", ":a", "trailing ", " leading",
    "tab\tin", "\ttab", "two\nlines", "ends\n", "ends twice\n\n", "\nbegins", "  deep\nin", "\r\n",
    "a\rb", "\x85", "\u2028", "\ufeff", "\x00", "\x1b[31m", "🎈", "مرحبا", "\xa0", "é" * 60,
    "w " * 60,
    "- list\n- in text\n", "# no comment\n# at all\n", "key: value\nother: |\n  block\n", "\n", " ",
)  # fmt: skip


def words() -> st.SearchStrategy[str]:
    """Text that is not blank, placeholders among it."""
    plain = st.text(string.ascii_letters + " .,?!'é", min_size=1, max_size=40)
    holding = st.sampled_from(VARIABLES).map(lambda name: f"About {{{{{name}}}}}: be brief.")
    several = st.lists(plain, min_size=2, max_size=4).map("\n".join)
    return st.one_of(plain, holding, several).filter(lambda text: bool(text.strip()))


def texts() -> st.SearchStrategy[str]:
    """Any text that UTF-8 can hold, the tricky ones often."""
    anything = st.text(st.characters(codec="utf-8"), max_size=30)
    return st.one_of(st.sampled_from(TRICKY), anything, words())


def scalars() -> st.SearchStrategy[Any]:
    """Any single value that YAML and JSON can hold."""
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**17), 10**17),
        st.floats(allow_nan=False, allow_infinity=False),
        texts(),
    )


def plain_data(max_leaves: int = 12) -> st.SearchStrategy[Any]:
    """Any value made of mappings with text keys, lists and scalars."""
    return st.recursive(
        scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(texts(), inner, max_size=4)
        ),
        max_leaves=max_leaves,
    )


def hostile_data() -> st.SearchStrategy[Any]:
    """What a JSON reply may turn into: not even plain data."""
    odd = st.one_of(st.just(float("nan")), st.just("\ud800"), st.integers(min_value=10**18))
    keys = st.one_of(st.integers(), st.none(), texts())
    return st.recursive(
        st.one_of(scalars(), odd),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)
        ),
        max_leaves=8,
    )


@st.composite
def documents(draw: Draw, *, max_states: int = 5) -> dict[str, Any]:
    """A valid workflow document that opens no files; warnings are possible, errors are not."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=max_states, unique=True))
    document: dict[str, Any] = {"name": draw(words())}
    if draw(st.booleans()):
        document["description"] = draw(words())
    if draw(st.booleans()):
        document["default_model"] = draw(st.sampled_from(("gemma3:4b", "qwen2.5:1.5b")))
    document["start_state"] = draw(st.sampled_from(names))
    variables = draw(st.dictionaries(st.sampled_from(VARIABLES), _variables(), max_size=3))
    if variables:
        document["variables"] = variables
    targets = st.sampled_from((*names, END))
    document["states"] = {name: draw(_states(targets)) for name in names}
    if draw(st.booleans()):
        document["on_error"] = draw(targets)
    return document


def _variables() -> st.SearchStrategy[Any]:
    value = st.one_of(words(), st.integers(-5, 5), st.booleans())
    return st.one_of(words(), value.map(lambda item: {"value": item}))


@st.composite
def _states(draw: Draw, targets: st.SearchStrategy[str]) -> dict[str, Any]:
    kind = draw(st.sampled_from(("prompt", "prompt", "input", "transition")))
    state: dict[str, Any] = {"type": kind}
    if kind == "transition":
        return state | {"next": draw(targets)}
    if draw(st.integers(0, 3)) == 0:
        state["steps"] = draw(st.lists(_bodies(kind), min_size=2, max_size=3))
    else:
        state |= draw(_bodies(kind))
    if kind == "prompt" and draw(st.booleans()):
        options = st.fixed_dictionaries({"state": targets, "description": words()})
        state["next_options"] = draw(st.lists(options, min_size=2, max_size=3))
    elif draw(st.booleans()):
        state["next"] = draw(targets)
    if draw(st.integers(0, 4)) == 0:
        state["on_error"] = draw(targets)
    return state


@st.composite
def _bodies(draw: Draw, kind: str) -> dict[str, Any]:
    body: dict[str, Any] = {"prompt": draw(words())}
    if draw(st.booleans()):
        body["save_as"] = draw(st.sampled_from(VARIABLES))
    if kind == "input" and draw(st.booleans()):
        body["default_value"] = draw(words())
    if kind == "prompt" and draw(st.booleans()):
        body["options"] = draw(_options())
    if kind == "prompt" and draw(st.integers(0, 4)) == 0:
        body["model"] = "llama3.2:1b"
    return body


def _options() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.sampled_from((0, 0.5, 1.0, 2)),
            "seed": st.integers(0, 99),
            "stop": st.lists(words(), max_size=2),
        },
    )


def workflows(*, max_states: int = 5) -> st.SearchStrategy[Workflow]:
    """A valid workflow, made from `documents`."""
    return documents(max_states=max_states).map(as_workflow)


def as_workflow(document: dict[str, Any]) -> Workflow:
    """The workflow that an error-free *document* means."""
    checked = check_text(dump(document), folder=Path())
    assert checked.workflow is not None, checked.problems
    return checked.workflow


@st.composite
def layouts(draw: Draw, content: st.SearchStrategy[Any] | None = None) -> str:
    """A valid workflow, or other *content*, as a person's file: styles, comments, blank lines."""
    document = draw(content if content is not None else documents())
    text = draw(st.sampled_from((_ours, _wide, _quoted, _mixed, _json)))(document)
    if draw(st.booleans()):
        text = _commented(text, draw(st.integers(0, 9)))
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.integers(0, 3)) == 0:
        crlf = text.replace("\n", "\r\n")
        text = crlf if _reads(crlf) else text
    return text


def _ours(document: Any) -> str:
    return dump(document)


def _wide(document: Any) -> str:
    return yaml.safe_dump(document, indent=4, sort_keys=False, allow_unicode=True)


def _quoted(document: Any) -> str:
    return yaml.dump(document, Dumper=_Quoting, sort_keys=False, width=30)


class _Quoting(yaml.SafeDumper):
    """Puts all text in single quotes and folds it early."""


_Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'")
)


def _mixed(document: Any) -> str:
    return yaml.safe_dump(document, default_flow_style=None, sort_keys=False, allow_unicode=True)


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=True)


def _reads(text: str) -> bool:
    try:
        parse(text)
    except Exception:  # noqa: BLE001  # a strategy only asks whether it can be used
        return False
    return True


def _commented(text: str, first: int) -> str:
    """Return *text* with comments on some five lines where they change nothing."""
    before = parse(text).document
    lines = text.split("\n")
    for number in range(first % len(lines), len(lines), len(lines) // 5 + 1):
        indent = re.match(" *", lines[number])[0]  # type: ignore[index]
        above = [*lines[:number], f"{indent}# above {number}", *lines[number:]]
        beside = [*lines[:number], f"{lines[number]}  # beside {number}", *lines[number + 1 :]]
        for changed in (beside, above):
            joined = "\n".join(changed)
            if _reads(joined) and parse(joined).document == before:
                lines = changed
                break
    return "\n".join(lines)


@st.composite
def edits(draw: Draw, document: Any) -> Edit:
    """An edit that can be made to *document*."""
    places = [path for path in paths_in(document) if path]
    path = draw(st.sampled_from(places))
    op = draw(st.sampled_from((EditOp.SET, EditOp.SET, EditOp.SET, EditOp.REMOVE)))
    if op is EditOp.REMOVE:
        return Edit(op, path)
    owner = item_at(document, path[:-1])
    if draw(st.integers(0, 2)) == 0:  # something new beside it
        new = len(owner) if isinstance(owner, list) else draw(st.sampled_from(sorted(GROWN)))
        path = (*path[:-1], new)
    return Edit(op, path, draw(st.one_of(texts(), words(), plain_data(6))))


def item_at(document: Any, path: tuple[str | int, ...]) -> Any:
    """What stands at *path* in *document*."""
    for step in path:
        document = document[step]
    return document


def paths_in(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every path in *document*, the root's first."""
    found = [path]
    if isinstance(document, dict):
        items: Any = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    else:
        return found
    for step, item in items:
        found += paths_in(item, (*path, step))
    return found
