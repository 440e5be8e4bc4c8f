"""The house: modules import their own package and lower floors, never sideways or up."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import finetune_fsm

PACKAGE = Path(finetune_fsm.__file__).parent

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "codec", "log", "schema", "schemas", "sinks", "storage"}),
    frozenset({"workflow", "llm"}),
    frozenset({"knowledge"}),
    frozenset({"tools"}),
    frozenset({"execution"}),
    frozenset({"scenarios"}),
    frozenset({"improve"}),
    frozenset({"loop", "generate"}),
    frozenset({"runs"}),
    frozenset({"reports"}),
    frozenset({"api", "observers"}),
    frozenset({"serve"}),
    frozenset({"cli"}),
)
"""Lowest first; packages on one floor do not know each other."""

ONLY_IN = {
    "transitions": {"loop/machine.py"},
    "ollama": {"llm/ollama_session.py"},
    "jsonschema": {"schema.py"},
    "dask": {"llm/dask_client.py"},
    "distributed": {"llm/dask_client.py", "llm/dask_cluster.py", "llm/dask_worker.py"},
    "starlette": {"serve/app.py", "serve/wire.py"},
    "uvicorn": {"serve/server.py"},
    "numpy": {"knowledge/search.py"},
    "msgpack": {"knowledge/store.py"},
    "pypdf": {"execution/documents.py"},
    "docx": {"execution/documents.py"},
    "mcp": {"tools/processes.py", "tools/pipes.py"},
    "mcp_types": {"tools/processes.py", "tools/pipes.py"},
    "xllamacpp": {"llm/llamacpp.py", "llm/llamacpp_child.py", "llm/engine.py", "llm/select.py"},
}
"""One library, one place."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py")


def floor_of(name: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if name in names)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    here = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if here == "__init__":
        return
    for module in imports(path):
        if not module.startswith("finetune_fsm."):
            continue
        there = module.split(".")[1]
        assert there == here or floor_of(there) < floor_of(here) or floor_of(here) == 0, module


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_in_its_own_place_only(library: str) -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users <= ONLY_IN[library]


def test_every_public_name_is_there_and_documented() -> None:
    for name in finetune_fsm.__all__:
        value = getattr(finetune_fsm, name)
        assert name == "Observer" or value.__doc__, name
    assert set(finetune_fsm.__all__) == set(finetune_fsm._HOMES)
    assert set(finetune_fsm.__all__) < set(dir(finetune_fsm))


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        importlib.import_module("finetune_fsm").nonsense  # noqa: B018  # the access is the test
