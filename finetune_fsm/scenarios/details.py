"""What a schema cannot say of one assertion's own fields: ranges, JSON Schemas, paths. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from finetune_fsm.errors import Path, Problem
from finetune_fsm.scenarios.json_checks import path_steps, schema_problems
from finetune_fsm.scenarios.model import AssertionType
from finetune_fsm.sinks import one_line

_RANGED = (AssertionType.LENGTH, AssertionType.VISITS)


def detail_problems(raw: Mapping[str, object], path: Path) -> Iterator[Problem]:
    """Yield what is wrong with *raw*, an assertion of any shape that stands at *path*."""
    kind = raw.get("type")
    if kind in _RANGED:
        yield from _range_problems(raw, path)
    if kind == AssertionType.IS_JSON and "schema" in raw:
        place = (*path, "schema")
        for problem in schema_problems(raw["schema"]):
            yield replace(problem, path=(*place, *problem.path))
    given = raw.get("path")
    if kind == AssertionType.JSON_PATH and isinstance(given, str) and path_steps(given) is None:
        message = f"'{one_line(given)}' is no path into JSON"
        hint = "write keys and indices: $.items[0].name, or ['a name'] in brackets"
        yield Problem("bad_path", message, hint, (*path, "path"))


def _range_problems(raw: Mapping[str, object], path: Path) -> Iterator[Problem]:
    least, most = raw.get("min"), raw.get("max")
    if "min" not in raw and "max" not in raw:
        yield Problem("missing_key", "'min' or 'max' is missing", "add one of them, or both", path)
    elif type(least) is int and type(most) is int and least > most:
        message = f"nothing is at least {least} and at most {most}"
        yield Problem("empty_range", message, "exchange them", (*path, "min"))
