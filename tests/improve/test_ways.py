"""The ways through a workflow: what is reached, what never ends, whom nobody asks."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from policies import swapped, workflow
from strategies import workflows

from finetune_fsm.improve.ways import endless, reached, unasked
from finetune_fsm.workflow.graph import unreachable, without_end
from finetune_fsm.workflow.model import Workflow


def made(*states: str, top: str = "") -> Workflow:
    """Prompt states from words such as ``a>b,c!d``: name, targets, fallback."""
    lines = [f"name: W\nstart_state: {states[0][0]}\n{top}states:"]
    for text in states:
        ways, _, after = text.partition("!")
        name, _, targets = ways.partition(">")
        several = [t for t in targets.split(",") if t]
        lines.append(f"  {name}:\n    type: prompt\n    prompt: x")
        if len(several) > 1:
            options = ", ".join(f"{{state: {t}, description: x}}" for t in several)
            lines.append(f"    next_options: [{options}]")
        elif several:
            lines.append(f"    next: {several[0]}")
        if after:
            lines.append(f"    on_error: {after}")
    return workflow("\n".join(lines) + "\n")


def test_ways_of_success_and_of_failure_are_told_apart() -> None:
    one = made("a>b!c", "b>end", "c>end", "d>a")
    assert reached(one) == {"a", "b", "c", "end"}
    assert reached(one, errors=False) == {"a", "b", "end"}
    assert reached(one, ("d",)) == {"a", "b", "c", "d", "end"}
    assert reached(one, ("nothing", "c")) == {"c", "end"}
    assert reached(one, without="b") == {"a", "c", "end"}
    assert reached(one, without="a") == frozenset()


def test_the_fallback_of_the_whole_workflow_counts_where_a_state_has_none() -> None:
    one = made("a>b", "b>end!end", "c>d", "d>end", top="on_error: c\n")
    assert reached(one) == {"a", "b", "c", "d", "end"}
    assert reached(one, ("b",)) == {"b", "end"}


@settings(max_examples=40)
@given(workflows())
def test_what_is_reached_is_what_the_graph_says(one: Workflow) -> None:
    if one.start_state != "end":
        assert reached(one) - {"end"} == set(one.states) - set(unreachable(one))


@settings(max_examples=40)
@given(workflows())
def test_a_state_that_only_leads_round_is_endless(one: Workflow) -> None:
    assert endless(one) >= reached(one) & set(without_end(one))
    assert "end" not in endless(one)


def test_a_circle_is_endless_only_without_a_way_out_and_where_a_run_can_come() -> None:
    assert endless(made("a>b", "b>a")) == {"a", "b"}
    assert endless(made("a>a")) == {"a"}
    assert endless(made("a>b", "b>a,end")) == frozenset()
    assert endless(made("a>end", "b>b")) == frozenset()
    assert endless(made("a>end!b", "b>b")) == {"a", "b"}


def test_a_state_that_is_tried_again_for_ever_is_endless() -> None:
    assert endless(made("a>end!b", "b>a")) == {"a"}
    assert endless(made("a>b!b", "b>c", "c>a")) == {"a", "b", "c"}
    assert endless(made("a>end!b", "b>a,end")) == frozenset()
    assert endless(made("a>end!b", "b>a!end")) == {"a"}
    assert endless(made("a>end!b", "b>end")) == frozenset()
    assert endless(made("a>end!a")) == frozenset()  # the second failure ends the run
    assert endless(made("a>b", "b>end", "c>a", top="on_error: c\n")) == {"a", "b"}
    assert endless(made("a>end!end")) == frozenset()


ACTING = """\
name: W
start_state: ask
mcp_servers: {disk: {command: ls}}
states:
  ask: {type: input, prompt: "?", next: choose}
  choose:
    type: prompt
    prompt: x
    next_options: [{state: sure, description: x}, {state: other, description: x}]
  sure: {type: input, prompt: "?", next: act}
  other: {type: prompt, prompt: x, next: end}
  act: {type: prompt, prompt: x, mcp_servers: [disk], next: end}
"""


def test_whoever_need_not_be_asked_before_an_action_is_told() -> None:
    one = workflow(ACTING)
    assert unasked(one, ["ask", "sure"]) == frozenset()
    assert unasked(one, ["other", ""]) == {("act", "other"), ("act", "")}
    round_it = workflow(
        ACTING.replace("prompt: x, next: end}\n  act", "prompt: x, next: act}\n  act")
    )
    assert unasked(round_it, ["ask", "sure"]) == {("act", "sure")}
    harmless = workflow(ACTING.replace(", mcp_servers: [disk]", ""))
    assert unasked(harmless, ["other", ""]) == frozenset()


def test_to_run_another_workflow_is_to_act(tmp_path: Path) -> None:
    child = "name: C\nstart_state: a\nstates:\n  a: {type: prompt, prompt: A, next: end}\n"
    (tmp_path / "c.yaml").write_text(child)
    text = swapped(ACTING, "type: prompt, prompt: x, mcp_servers: [disk]", "type: workflow_ref")
    one = workflow(
        swapped(text, "workflow_ref, next", "workflow_ref, workflow_ref: c.yaml, next"), tmp_path
    )
    assert unasked(one, ["ask", "other"]) == {("act", "other")}
