"""Every way we know to write a bad workflow file, and what a person is told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from corpus.workflows import ACCEPTED, ERRORS, WARNINGS, prepare, state

from finetune_fsm.errors import Problem, Severity
from finetune_fsm.workflow.load import check_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


def checked(folder: Path, content: str | bytes) -> tuple[tuple[Problem, ...], bool]:
    path = folder / "w.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    started = time.process_time()
    found = check_file(path)
    assert time.process_time() - started < 1
    return found.problems, found.workflow is not None


@pytest.mark.parametrize(("content", "code", "line", "words"), [
    pytest.param(*row[1:], id=row[0]) for row in ERRORS
])  # fmt: skip
def test_a_bad_file_is_an_error_with_its_place_and_a_way_out(
    folder: Path, content: str | bytes, code: str, line: int, words: str
) -> None:
    problems, usable = checked(folder, content)
    assert not usable
    found = [p for p in problems if p.code == code and p.severity is Severity.ERROR]
    assert found, problems
    first = found[0]
    assert words in f"{first.message} {first.hint}"
    assert first.line == line
    assert (first.column > 0) == (line > 0)
    assert first.file == str(folder / "w.yaml")


@pytest.mark.parametrize(("content", "code", "line", "words"), [
    pytest.param(*row[1:], id=row[0]) for row in WARNINGS
])  # fmt: skip
def test_an_odd_file_works_with_a_warning(
    folder: Path, content: str, code: str, line: int, words: str
) -> None:
    problems, usable = checked(folder, content)
    assert usable, problems
    found = [p for p in problems if p.code == code]
    assert found, problems
    assert found[0].severity is Severity.WARNING
    assert words in f"{found[0].message} {found[0].hint}"
    assert found[0].line == line


@pytest.mark.parametrize("content", [pytest.param(row[1], id=row[0]) for row in ACCEPTED])
def test_an_unusual_file_is_simply_accepted(folder: Path, content: str | bytes) -> None:
    assert checked(folder, content) == ((), True)


def test_strict_turns_unknown_keys_and_endless_replies_into_errors(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(state("prompt: hi\non_enter: os.system\noptions: {num_predict: -1}"))
    found = check_file(path, strict=True)
    assert found.workflow is None
    assert [(p.code, p.severity) for p in found.problems] == [
        ("unknown_key", Severity.ERROR),
        ("unbounded_reply", Severity.ERROR),
    ]


def test_everything_is_told_at_once_from_top_to_bottom(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(
        "name: 5\nstart_state: begin\nstates:\n  a:\n    type: promt\n  b:\n    type: input\n"
        "    next: aa\n    mcp_servers: [x]\n"
    )
    found = [(p.line, p.code) for p in check_file(path).problems]
    assert found == [
        (1, "schema_type"),
        (2, "unknown_target"),
        (5, "unknown_type"),
        (6, "missing_key"),
        (8, "unknown_target"),
        (9, "unknown_server"),
        (9, "unknown_key"),
    ]
