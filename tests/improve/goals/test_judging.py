"""A judge who is told a goal: blind, in both orders, and nothing else of the question changes."""

from __future__ import annotations

from collections.abc import Mapping

from flaws import ASK, reached, workflow
from hypothesis import given
from hypothesis import strategies as st
from strategies import texts

from finetune_fsm.execution.rollout import Rollout, RunStatus, Visit
from finetune_fsm.improve.judge import COMPARED, Balance, prefers, weighed
from finetune_fsm.llm.base import Completion, Purpose, Request
from finetune_fsm.scenarios.evaluate import judge_rollout
from finetune_fsm.scenarios.model import Scenario, SuiteReport

ONE = workflow(ASK + "  work: {type: prompt, prompt: 'Greet {{word}}.', save_as: out}\n")
REPLIES = ("Hi!", "Hello there.", "Go away.", "Good day, dear guest.")
replies = st.lists(st.sampled_from(REPLIES), min_size=3, max_size=3)


def report(texts: list[str], word: str = "tea") -> SuiteReport:
    found = []
    for number, text in enumerate(texts):
        one = Scenario(str(number), (reached("end"),), {"ask": word})
        visit = Visit("work", "prompt", completion=text)
        found.append(judge_rollout(one, Rollout(RunStatus.COMPLETED, (visit,), ("end",), {})))
    return SuiteReport(tuple(found))


class Judge:
    """Likes results by a table of likings, whatever their place; keeps the questions."""

    def __init__(self, likes: Mapping[str, int], *, always: str = "") -> None:
        self.likes, self.always, self.asked = likes, always, list[Request]()

    def __call__(self, request: Request) -> Completion:
        self.asked.append(request)
        first, second = (part.split("\n>>>")[0] for part in request.text.split("<<<\n")[1:])
        if self.always or self.likes[first] == self.likes[second]:
            return Completion(self.always or "both")
        return Completion("1" if self.likes[first] > self.likes[second] else "Result 2.")


tables = st.fixed_dictionaries({text: st.integers(0, 2) for text in REPLIES})


@given(replies, replies, tables, st.sampled_from(("", "be kind")))
def test_the_balance_is_that_of_the_likings_and_turns_with_the_sides(
    old: list[str], new: list[str], likes: dict[str, int], goal: str
) -> None:
    judge = Judge(likes)
    found = weighed("tiny", ONE, report(old), report(new), judge, goal=goal)
    differing = [(a, b) for a, b in zip(old, new, strict=True) if a != b][:COMPARED]
    won = sum(likes[b] > likes[a] for a, b in differing)
    lost = sum(likes[b] < likes[a] for a, b in differing)
    assert found == Balance(won, lost, len(differing))
    assert len(judge.asked) == 2 * len(differing)
    back = weighed("tiny", ONE, report(new), report(old), Judge(likes), goal=goal)
    assert back == Balance(lost, won, len(differing))
    clear = won > 0 and lost == 0
    assert prefers("tiny", ONE, report(old), report(new), Judge(likes), goal=goal) is clear


@given(replies, replies, st.sampled_from(("1", "2", "", "neither")))
def test_a_judge_who_names_a_place_prefers_nothing(
    old: list[str], new: list[str], always: str
) -> None:
    judge = Judge(dict.fromkeys(REPLIES, 0), always=always)
    found = weighed("tiny", ONE, report(old), report(new), judge, goal="be kind")
    assert (found.won, found.lost) == (0, 0)


@given(st.lists(st.sampled_from(("1", "2", "", "Result 2", "neither")), min_size=4, max_size=4))
def test_only_what_is_said_in_both_orders_counts(answers: list[str]) -> None:
    left = iter(answers)
    sides = report(["Hi!"] * 2), report(["Go away."] * 2)
    found = weighed("tiny", ONE, *sides, lambda _: Completion(next(left)), goal="be kind")
    said = [answer[-1:] for answer in answers]
    pairs = [tuple(said[:2]), tuple(said[2:])]
    assert found == Balance(pairs.count(("2", "1")), pairs.count(("1", "2")), 2)


def questions(goal: str, word: str = "tea") -> list[Request]:
    judge = Judge(dict.fromkeys(REPLIES, 0))
    weighed(
        "tiny", ONE, report(["Hi!"] * 2, word), report(["Go away."] * 2, word), judge, goal=goal
    )
    return judge.asked


def test_the_question_as_it_is_sent() -> None:
    straight, crossed, *_ = questions("sound like a friend")
    assert straight.text == (
        "Two versions of a workflow were given the same task. Judge which result comes closer to a"
        " goal that a person has set.\n\nThe task: W\nThe goal: sound like a friend\n\n"
        "What the user said:\nask: tea\n\nResult 1:\n<<<\nHi!\n>>>\n\nResult 2:\n<<<\nGo away.\n"
        ">>>\n\nWhich result comes closer to the goal? Answer with the number alone: 1 or 2."
    )
    assert crossed.text.index("Go away.") < crossed.text.index("Hi!")
    assert straight.purpose is Purpose.JUDGE


def test_what_stays_the_same_comes_first() -> None:
    """All questions of a run share everything up to what was typed in."""
    asked = [request.text for word in ("tea", "coffee") for request in questions("be kind", word)]
    heads = {text.split("What the user said:")[0] for text in asked}
    assert len(heads) == 1
    assert "The goal: be kind" in heads.pop()


def test_without_a_goal_it_is_judged_as_ever() -> None:
    for request in questions(""):
        assert "goal" not in request.text
        assert request.text.endswith("more helpful, correct and clear? "
                                     "Answer with the number alone: 1 or 2.")  # fmt: skip


@given(texts())
def test_a_goal_is_one_line_and_fills_no_other_place(goal: str) -> None:
    goal = f"x{{{{first}}}} {goal}"
    (text, *_) = [request.text for request in questions(goal)]
    (line,) = [one for one in text.splitlines() if one.startswith("The goal: ")]
    assert line.startswith("The goal: x{{first}}")
    assert len(text.splitlines()) == len(questions("x")[0].text.splitlines())
    assert text.count("Hi!") == 1 + goal.count("Hi!")
