"""However much is wrong, enough of it is told, in time, and an error is never lost among doubts."""

from __future__ import annotations

from difflib import SequenceMatcher, get_close_matches
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import Problem, Severity, errors_in
from finetune_fsm.schema import PROBLEM_LIMIT, WORKFLOW, limited, problems_in, suggestion
from finetune_fsm.workflow import files
from finetune_fsm.workflow.validate import problems_of

MANY = 3 * PROBLEM_LIMIT
WORDS = st.text("abcd", max_size=8)


@given(st.integers(0, MANY))
@settings(max_examples=20)
def test_of_many_problems_the_first_are_told_and_that_there_are_more(count: int) -> None:
    problems = [Problem("x", str(number), path=(number,)) for number in range(count)]
    told = list(limited(problems))
    assert told[:PROBLEM_LIMIT] == problems[:PROBLEM_LIMIT]
    assert [problem.path for problem in told[PROBLEM_LIMIT:]] == (
        [(PROBLEM_LIMIT,)] if count > PROBLEM_LIMIT else []
    )


def test_what_is_not_told_is_not_worked_out() -> None:
    made = []
    problems = (made.append(number) or Problem("x", str(number)) for number in range(MANY))
    assert len(list(limited(problems))) == PROBLEM_LIMIT + 1
    assert len(made) == PROBLEM_LIMIT + 1


@given(WORDS, st.lists(WORDS, max_size=12))
@settings(max_examples=200)
@example("promt", ["type", "prompt", "prompt_file"])
@example("", [""])
def test_the_likeliest_word_is_as_alike_as_the_one_of_difflib(word: str, known: list[str]) -> None:
    found = suggestion(word, known).removeprefix("did you mean '").removesuffix("'?")
    best = get_close_matches(word, known, n=1, cutoff=0.6)
    if best:  # of words that are equally alike either may be first
        assert likeness(word, found) == likeness(word, best[0])
    else:
        assert found.lower() in ("", word.lower())


def likeness(word: str, other: str) -> float:
    return SequenceMatcher(None, other, word).ratio()


def state(**fields: object) -> dict[str, object]:
    return {"name": "x", "start_state": "a", "states": {"a": {"type": "prompt", **fields}}}


@given(st.integers(0, MANY), st.sampled_from([{"files": 5}, {"model": ""}, {"next": "nowhere"}]))
@settings(max_examples=20)
def test_an_error_is_told_however_many_unknown_keys_come_before_it(
    count: int, wrong: dict[str, object]
) -> None:
    unknown = {f"key{number}": 1 for number in range(count)}
    document = state(prompt="hi", **unknown, **wrong)
    problems = problems_of(document)
    (error,) = errors_in(problems)
    assert error.path == ("states", "a", *wrong)
    told = [problem for problem in problems if problem.code == "unknown_key"]
    assert len(told) == min(count, PROBLEM_LIMIT)
    assert any(problem.code == "more_problems" for problem in problems) == (count > PROBLEM_LIMIT)


def test_more_errors_of_the_schema_than_enough_are_cut_short() -> None:
    problems = problems_in(state(prompt="hi", files=[5] * MANY), WORKFLOW)
    assert len(problems) == PROBLEM_LIMIT + 1
    assert problems[-1].severity is Severity.WARNING
    assert "more problems" in problems[-1].message


def test_prompt_files_have_a_limit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "TOTAL_LIMIT", 25)
    for name in "abc":
        (tmp_path / name).write_text(name * 10)
    steps = [{"prompt_file": name} for name in "aabbcc"]
    (problem,) = problems_of(state(steps=steps[:4] + steps), folder=tmp_path)
    assert (problem.code, problem.path[-2:]) == ("too_large", (8, "prompt_file"))
    assert problems_of(state(steps=steps[:4]), folder=tmp_path) == ()


def test_a_prompt_file_that_many_steps_use_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("hi")
    found = files.opened(state(steps=[{"prompt_file": "a"}] * 400), tmp_path)
    assert len({id(text) for text in found.prompts.values()}) == 1
