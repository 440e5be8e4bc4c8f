"""Suspects: the field that is flawed comes first, and every reason is one a person can follow."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from flaws import (
    ASK,
    BOTH,
    CHOOSE,
    FLAWS,
    SHOUTS,
    SIDE,
    SIDES,
    WORK,
    Flaw,
    contains,
    equals,
    reached,
    scenario,
    workflow,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import reports
from strategies import workflows

from finetune_fsm.errors import LLMErrorKind
from finetune_fsm.execution.rollout import Rollout, RunError, RunStatus, Visit
from finetune_fsm.improve.blame import CERTAINTY, suspects
from finetune_fsm.improve.repairs import RULES
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import Assertion, AssertionType, SuiteReport
from finetune_fsm.workflow.model import Workflow


@pytest.mark.parametrize("code", FLAWS)
def test_the_flawed_field_is_the_first_suspect(code: str) -> None:
    flaw = FLAWS[code]
    blamed = suspects(flaw.workflow, flaw.run(flaw.workflow))
    likely = 2 if code == "exchanged_ways" else 1  # to exchange the options would do as well
    assert flaw.path in [suspect.path for suspect in blamed[:likely]]
    failed = {
        result.scenario.name for result in flaw.run(flaw.workflow).results if not result.passed
    }
    assert {*blamed[0].scenarios} <= failed


def test_nobody_is_suspected_when_all_pass() -> None:
    good = Flaw(ASK + WORK, BOTH, SHOUTS, "", ())
    assert suspects(good.workflow, good.run(good.workflow)) == ()


def test_what_is_certain_is_said_of_rules_that_there_are() -> None:
    assert set(CERTAINTY) <= {rule.__name__ for rule in RULES}


CHAIN = workflow(
    ASK + "  work: {type: prompt, prompt: 'A {{word}}', save_as: a, next: more}\n"
    "  more: {type: prompt, prompt: 'B {{a}}', save_as: b, next: end}\n"
)


def broken(error: RunError | None, *checks: Assertion, **variables: str) -> SuiteReport:
    status = RunStatus.FAILED if error else RunStatus.COMPLETED
    rollout = Rollout(status, visited=("ask", "work", "more"), variables=variables, error=error)
    return SuiteReport((judge_rollout(scenario("one", *checks, ask="x"), rollout),))


def test_the_state_that_wrote_the_wrong_text_is_blamed_before_those_that_fed_it() -> None:
    blamed = suspects(CHAIN, broken(None, equals("b", "z"), a="x", b="y"))
    assert [(s.state, s.field) for s in blamed] == [("more", "prompt"), ("work", "prompt")]
    assert blamed[0].reason == "it writes 'b'"
    assert blamed[0].requirements == ("the answer must be exactly: z",)
    assert blamed[0].scenarios == ("one",)


def test_five_checks_of_one_text_are_no_five_reasons() -> None:
    once = suspects(CHAIN, broken(None, contains("b", "p"), equals("a", "z"), a="x", b="y"))
    checks = [contains("b", letter) for letter in "pqrst"]
    often = suspects(CHAIN, broken(None, *checks, equals("a", "z"), a="x", b="y"))
    assert [s.path for s in once] == [s.path for s in often]
    assert len(next(s for s in often if s.state == "more").requirements) == 5


def test_the_state_that_broke_off_is_blamed_for_what_broke_it() -> None:
    empty = suspects(CHAIN, broken(RunError("work", "the reply is empty"), equals("a", "x")))
    assert empty[0].path == ("states", "work", "prompt")
    assert "the reply is empty" in empty[0].reason
    cut = RunError("work", "the reply has only thinking", LLMErrorKind.CUT_BY_LIMIT)
    path = ("states", "work", "options", "num_predict")
    assert suspects(CHAIN, broken(cut, equals("a", "x")))[0].path == path
    asked = suspects(CHAIN, broken(RunError("ask", "no answer left"), equals("a", "x")))
    assert asked[0].path == ("states", "ask", "default_value")


def test_what_only_failing_runs_visit_is_blamed_before_what_all_visit() -> None:
    flaw = FLAWS["exchanged_ways"]
    half = Flaw(
        flaw.states.replace("go_right: {type: transition, next: left}", "go_right: "
                            "{type: transition, next: right}"),
        flaw.scenarios, flaw.replies, "", (),
    )  # fmt: skip
    report = half.run(half.workflow)
    assert [result.passed for result in report.results] == [False, True]
    assert suspects(half.workflow, report)[0].path == ("states", "go_left", "next")


def test_a_text_is_blamed_less_when_another_state_should_have_written_it() -> None:
    states = ASK + "".join(
        f"  {name}: {{type: prompt, prompt: '{name} {{{{word}}}}', save_as: out, next: end}}\n"
        for name in ("work", "other")
    )
    states = states.replace("save_as: out,", "save_as: out, on_error: other,", 1)
    flaw = Flaw(states, (scenario("one", reached("other"), contains("out", "O"), ask="x"),),
                (("", "W"),), "", ())  # fmt: skip
    blamed = [s.path for s in suspects(flaw.workflow, flaw.run(flaw.workflow))]
    assert blamed.index(("states", "work", "next")) < blamed.index(("states", "work", "prompt"))


def test_a_choice_that_the_scenario_wants_was_no_mistake() -> None:
    states = CHOOSE + (
        "      - {state: go_left, description: A left}\n"
        "      - {state: go_right, description: Else}\n"
        "  go_left: {type: transition, next: end}\n  go_right: {type: transition, next: left}\n"
    )
    flaw = Flaw(
        ASK + states + SIDES,
        (scenario("left", reached("go_left"), reached("left"), ask="left"),
         scenario("right", reached("left"), ask="right")),
        (*SIDE, ("<asked>\nleft", "1"), ("<asked>\nright", "2")), "", (),
    )  # fmt: skip
    assert suspects(flaw.workflow, flaw.run(flaw.workflow))[0].path == ("states", "go_left", "next")


def test_in_a_run_without_an_end_the_way_back_is_blamed_before_the_choices_on_it() -> None:
    states = CHOOSE + (
        "      - {state: go_left, description: A left}\n"
        "      - {state: go_right, description: Else}\n"
        "  go_left: {type: transition, next: ask}\n  go_right: {type: transition, next: left}\n"
    )
    flaw = Flaw(
        ASK + states + SIDES,
        (scenario("left", reached("left"), equals("out", "L"), ask="left"),
         scenario("right", reached("left"), ask="right")),
        (*SIDE, ("<asked>\nleft", "1"), ("<asked>\nright", "2")), "", (),
    )  # fmt: skip
    assert suspects(flaw.workflow, flaw.run(flaw.workflow))[0].path == ("states", "go_left", "next")


FIELDS = {"prompt", "next", "next_options", "save_as", "default_value", "num_predict"}


@settings(max_examples=80)
@given(st.data())
def test_a_suspect_is_a_field_that_there_can_be_and_a_failing_scenario_points_at_it(
    data: st.DataObject,
) -> None:
    one = data.draw(workflows())
    report = data.draw(reports(one))
    names = [result.scenario.name for result in report.results if not result.passed]
    blamed = suspects(one, report)
    assert len({suspect.path for suspect in blamed}) == len(blamed)
    for suspect in blamed:
        assert suspect.reason
        assert suspect.scenarios
        assert [name for name in names if name in suspect.scenarios] == list(suspect.scenarios)
        if len(suspect.path) == 1:
            assert suspect.path[0] in ("states", "start_state")
            assert suspect.state == ""
        else:
            assert suspect.field in FIELDS
            assert isinstance(part_at(one, suspect.path), Mapping)


def part_at(one: Workflow, path: tuple[str | int, ...]) -> object:
    """The state or step that *path* lies in."""
    part: object = one.document
    for step in path[: 4 if len(path) > 4 and path[2] == "steps" else 2]:
        part = part[step]  # type: ignore[index]
    return part


ROUTED = workflow(
    ASK + "  work: {type: prompt, prompt: 'Which? {{word}}', save_as: a, next_options: "
    "[{state: left, description: l}, {state: right, description: r}]}\n"
    "  left: {type: prompt, prompt: 'L {{word}}', save_as: b, next: end}\n"
    "  right: {type: prompt, prompt: 'R {{word}}', save_as: b, next: end}\n"
)


def went_left(check: Assertion) -> SuiteReport:
    rollout = Rollout(
        RunStatus.COMPLETED,
        (
            Visit("work", "prompt", completion="left", next="left", routed=True),
            Visit("left", "prompt", completion="a long answer", next="end"),
        ),
        ("ask", "work", "left", "end"),
        {"a": "left", "b": "a long answer"},
        seconds=9.0,
    )
    return SuiteReport((judge_rollout(scenario("one", check, ask="x"), rollout),))


@pytest.mark.parametrize(
    "check",
    [
        Assertion(AssertionType.STATE_NOT_REACHED, "left"),
        Assertion(AssertionType.STATE_REACHED, "left", negated=True),
        Assertion(AssertionType.VISITS, "left", most=0.0),
        Assertion(AssertionType.PATH, values=("work", "right")),
    ],
)
def test_a_run_that_went_where_it_should_not_is_blamed_on_who_chose(check: Assertion) -> None:
    blamed = suspects(ROUTED, went_left(check))
    assert (blamed[0].state, blamed[0].field) == ("work", "next_options")
    assert blamed[0].requirements


def test_a_run_that_takes_too_much_is_blamed_on_who_wrote_most() -> None:
    check = Assertion(AssertionType.LATENCY, most=1.0)
    blamed = suspects(ROUTED, went_left(check))
    assert [suspect.state for suspect in blamed] == ["left", "work"]
    assert blamed[0].requirements == (check.requirement,)
