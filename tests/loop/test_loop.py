"""The whole loop on real files: whatever a model replies, nothing bad gets out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.api import finetune, open_loop, output_path
from finetune_fsm.errors import LLMError, LLMErrorKind, UsageError
from finetune_fsm.improve.policy import capabilities, violations
from finetune_fsm.llm.base import Purpose, Request
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.loop.learning import step_bound
from finetune_fsm.loop.outcomes import Ending
from finetune_fsm.loop.table import LoopState
from finetune_fsm.scenarios.load import load_suite
from finetune_fsm.workflow.load import load
from finetune_fsm.workflow.splice import splice

WORKFLOW = """\
# My own comment.
name: Mood
description: Says whether a review is good or bad.
start_state: ask
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sort}
  sort:
    type: prompt
    prompt: |
      What do you think of this review?

      {{review}}
    save_as: mood   # one word is wanted
    next: end
"""

TESTS = """\
workflow: mood.yaml
test_scenarios:
  - name: Likes it
    inputs: [{state: ask, value: The room was lovely and quiet}]
    assertions: [{type: equals, target: mood, value: good}]
  - name: Hates it
    inputs: [{state: ask, value: Never again will I stay there}]
    assertions: [{type: equals, target: mood, value: bad}]
"""

BETTER = "Is this review good or bad? Answer with that one word.\n\n{{review}}"


def model(request: Request) -> str:
    """Behave like a model that does what it is told, and only then."""
    if request.purpose is Purpose.STATE:
        mood = "good" if "lovely" in request.text else "bad"
        return mood if "one word" in request.text else f"I think it is {mood}!"
    if request.purpose is Purpose.ANALYSIS:
        return json.dumps({"analysis": "It does not say what form is wanted.", "suggestions": []})
    if request.purpose is Purpose.PROPOSAL:
        return json.dumps({"problem": "No form.", "new_prompt": BETTER})
    return "1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mood.yaml").write_text(WORKFLOW)
    (tmp_path / "mood.test.yaml").write_text(TESTS)
    return tmp_path


def test_a_workflow_whose_tests_fail_is_repaired(folder: Path) -> None:
    run = finetune(folder / "mood.yaml", llm=ScriptedLLM(model))
    assert run.best is not None
    assert run.best.report.solved
    assert run.ending is Ending.SOLVED
    assert run.output == folder / "mood.finetuned.yaml"
    text = run.output.read_text()
    assert "# My own comment." in text
    assert "# one word is wanted" in text
    assert (folder / "mood.yaml").read_text() == WORKFLOW
    kept = {trial.snapshot.name for record in run.history for trial in record.trials}
    assert "mood.finetune-iter1.yaml" in kept
    written = {"mood.agentmech", "mood.finetuned.yaml", "mood.test.yaml", "mood.yaml"}
    assert {p.name for p in folder.iterdir()} == kept | written


TWO_FLAWS = """\
name: Pair
start_state: ask
states:
  ask: {type: input, prompt: "Word?", save_as: word, next: first}
  first: {type: prompt, prompt: "Shout {{wrod}}", save_as: loud, next: second}
  second: {type: prompt, prompt: "Whisper {{wodr}}", save_as: soft, next: end}
"""

TWO_TESTS = """\
workflow: pair.yaml
test_scenarios:
  - name: Loud
    inputs: [{state: ask, value: Lisbon}]
    assertions: [{type: contains, target: loud, value: LISBON}]
  - name: Soft
    inputs: [{state: ask, value: Lisbon}]
    assertions: [{type: contains, target: soft, value: lisbon}]
"""


def test_two_flaws_are_repaired_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "pair.yaml").write_text(TWO_FLAWS)
    (tmp_path / "pair.test.yaml").write_text(TWO_TESTS)

    def echo(request: Request) -> str:
        said = request.text.split()[-1]
        return said.upper() if "Shout" in request.text else said.lower()

    run = finetune(tmp_path / "pair.yaml", llm=ScriptedLLM(echo))
    assert run.output is not None
    assert run.output.read_text() == TWO_FLAWS.replace("wrod", "word").replace("wodr", "word")
    assert [row.passed for row in run.history] == [0, 1, 2]


def test_a_model_that_only_talks_leaves_the_workflow_as_it_was(folder: Path) -> None:
    talk = ScriptedLLM(lambda request: "I am sorry, but I cannot help with that.")
    run = finetune(folder / "mood.yaml", llm=talk)
    assert run.output is not None
    assert run.output.read_text() == WORKFLOW
    assert run.ending is Ending.NOTHING_LEFT


def test_tests_are_generated_saved_and_used_again(folder: Path) -> None:
    (folder / "mood.test.yaml").unlink()
    wanted = {
        "name": "Likes it",
        "inputs": {"ask": "It was lovely"},
        "assertions": [
            {"type": "state_reached", "value": "end"},
            {"type": "equals", "target": "mood", "value": "nonsense"},
        ],
    }

    def writes_tests(request: Request) -> str:
        tests = request.purpose is Purpose.TESTS
        return json.dumps({"scenarios": [wanted, {"name": "bad"}]}) if tests else model(request)

    llm = ScriptedLLM(writes_tests)
    run = finetune(folder / "mood.yaml", llm=llm, max_iterations=1)
    saved = folder / "mood.finetune-tests.yaml"
    assert run.tests == saved
    suite = load_suite(saved)
    assert [s.name for s in suite.scenarios] == ["Likes it"]
    # What failed on the workflow as it is was not trusted; what it reaches was.
    assert [a.value for a in suite.scenarios[0].assertions] == ["end"]
    assert suite.scenarios[0].generated
    again = ScriptedLLM(model)
    assert finetune(folder / "mood.yaml", llm=again, max_iterations=1).tests == saved
    assert all(request.purpose is not Purpose.TESTS for request in again.requests)


def test_a_model_that_cannot_write_tests_gets_one_that_follows_the_workflow(folder: Path) -> None:
    (folder / "mood.test.yaml").unlink()
    run = finetune(folder / "mood.yaml", llm=ScriptedLLM(lambda r: "No."), max_iterations=1)
    assert run.suite is not None
    assert [s.name for s in run.suite.scenarios] == ["Comes to its end"]
    assert run.solved


def test_with_all_tests_passing_a_change_needs_the_judge_in_both_orders(folder: Path) -> None:
    (folder / "mood.yaml").write_text(WORKFLOW.replace("What do you think of this", "one word:"))

    def judged(likes: str, request: Request) -> str:
        if request.purpose is Purpose.ANALYSIS:
            change = {"state": "sort", "change": "Be clearer."}
            return json.dumps({"analysis": "Fine.", "suggestions": [change]})
        if request.purpose is Purpose.PROPOSAL:
            new = "In one word, please! {{review}}"
            return json.dumps({"problem": "-", "new_prompt": new})
        if request.purpose is Purpose.JUDGE:
            first, second = request.text.index("Result 1"), request.text.index("Result 2")
            new = request.text.find("better")
            return "1" if (first < new < second) == (likes == "new") else "2"
        mood = "good" if "lovely" in request.text else "bad"
        return mood + (" " if "please" in request.text else "")

    # Trailing space: verdicts are equal after trimming, the texts are not.
    run = finetune(
        folder / "mood.yaml",
        llm=ScriptedLLM(lambda r: judged("old", r)),
        max_iterations=2,
        on_tie="judge",
    )
    assert [row.accepted for row in run.history] == [True, False]
    assert run.output is not None
    assert run.output.read_text() == (folder / "mood.yaml").read_text()


def test_with_all_tests_passing_a_persons_tests_decide_and_nobody_is_asked(folder: Path) -> None:
    (folder / "mood.yaml").write_text(WORKFLOW.replace("What do you think of this", "one word:"))
    llm = ScriptedLLM(model)
    run = finetune(folder / "mood.yaml", llm=llm)
    assert run.ending is Ending.SOLVED
    assert {request.purpose for request in llm.requests} == {Purpose.STATE, Purpose.ANALYSIS}


def test_luck_is_found_out_before_it_is_shipped(folder: Path) -> None:
    """The new prompt is right at the first draw of each scenario, and never again."""
    seen: set[str] = set()

    def lucky(request: Request) -> str:
        if request.purpose is not Purpose.STATE or "one word" not in request.text:
            return model(request)
        text = request.text if request.draw == 0 else ""
        first = text and text not in seen
        seen.add(text)
        return model(request) if first else "I cannot say."

    run = finetune(folder / "mood.yaml", llm=ScriptedLLM(lucky))
    assert [row.passed for row in run.history][-1] == 2
    assert run.best == run.first
    assert run.ending is Ending.NOTHING_LEFT
    assert "the gains were chance" in run.confirmed
    assert run.output is not None
    assert run.output.read_text() == WORKFLOW


def test_what_is_held_out_and_fails_is_not_called_solved(tmp_path: Path) -> None:
    """The model learns to be careful, which helps one of the two that fail, not the other."""
    (tmp_path / "mood.yaml").write_text(WORKFLOW.replace("What do", "In one word, what do"))
    wanted = [*[("good", "so lovely"), ("bad", "so bad")] * 3, ("good", "fine"), ("good", "empty")]
    rows = ["workflow: mood.yaml", "test_scenarios:"]
    for n, (mood, value) in enumerate(wanted):
        rows.append(f"  - name: s{n}")
        rows.append(f"    inputs: [{{state: ask, value: {value} {n}}}]")
        rows.append(f"    assertions: [{{type: equals, target: mood, value: {mood}}}]")
    (tmp_path / "mood.test.yaml").write_text("\n".join(rows))

    def careful(request: Request) -> str:
        if request.purpose is Purpose.PROPOSAL:
            new = "Good or bad, in one word? Be careful.\n\n{{review}}"
            return json.dumps({"problem": "-", "new_prompt": new})
        if (
            request.purpose is Purpose.STATE
            and "careful" in request.text
            and "fine" in request.text
        ):
            return "good"
        return model(request)

    unseen = 0
    for seed in range(6):
        run = finetune(tmp_path / "mood.yaml", llm=ScriptedLLM(careful), seed=seed, holdout=0.5)
        assert not run.passed
        assert run.ending not in (Ending.SOLVED, Ending.PASSED)
        unseen += run.solved
    assert unseen  # what is shown passes; who sees only that would call it solved


def test_a_stop_keeps_the_best_so_far(folder: Path) -> None:
    loop = open_loop(folder / "mood.yaml", llm=ScriptedLLM(model))
    for _ in loop:
        if loop.run.iteration == 2 and loop.run.best and loop.run.best.iteration == 2:
            break
    loop.interrupt(Ending.INTERRUPTED)
    assert loop.run.output is not None
    assert "one word" in loop.run.output.read_text()


def test_a_server_that_dies_leaves_the_best_so_far(folder: Path) -> None:
    def dies(request: Request) -> str:
        if request.purpose is Purpose.PROPOSAL:
            raise LLMError(LLMErrorKind.UNREACHABLE, "gone")
        return model(request)

    with pytest.raises(LLMError, match="gone"):
        finetune(folder / "mood.yaml", llm=ScriptedLLM(dies))
    assert (folder / "mood.finetuned.yaml").read_text() == WORKFLOW


def test_an_impatient_person_finds_the_best_so_far_too(folder: Path) -> None:
    def interrupted(request: Request) -> str:
        if request.purpose is Purpose.PROPOSAL:
            raise KeyboardInterrupt
        return model(request)

    with pytest.raises(KeyboardInterrupt):
        finetune(folder / "mood.yaml", llm=ScriptedLLM(interrupted))
    assert (folder / "mood.finetuned.yaml").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": "mood.yaml"}, "never overwritten"),
        ({"output": "."}, "is a folder"),
        ({"output": "mood.test.yaml/x.yaml"}, "cannot write"),
        ({"max_iterations": 0}, "1..1000"),
        ({"jobs": 0}, "1 or more"),
    ],
)
def test_what_could_not_work_is_told_before_the_first_call(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], words: str
) -> None:
    monkeypatch.chdir(folder)
    llm = ScriptedLLM([])
    with pytest.raises(UsageError, match=words):
        open_loop("mood.yaml", llm=llm, **options)
    assert llm.requests == []


def test_a_yml_file_stays_one(tmp_path: Path) -> None:
    assert output_path(tmp_path / "a.b.yml") == tmp_path / "a.b.finetuned.yml"


TEXTS = st.sampled_from(
    [
        *("", " ", "no", BETTER, "Say positive. {{review}}", "{{undefined}} {{review}}"),
        *("The room was lovely and quiet", "\x1b[2J", "a\x00", "<script>", "::error::x"),
        *("x" * 9000, "Be brief, one word. {{review}}", "!!python/object:os.system {{review}}"),
        *("ask", "end", "nope", "sort", "- a\n- b", "*alias {{review}}", "日本語で {{review}}"),
    ]
) | st.text(max_size=40)
JSON = st.recursive(
    TEXTS | st.none() | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "problem": TEXTS,
        "new_prompt": TEXTS | JSON,
        "addition": TEXTS | JSON,
        "next": TEXTS | JSON,
        "descriptions": JSON,
        "analysis": TEXTS | JSON,
        "suggestions": st.lists(
            st.fixed_dictionaries({"state": TEXTS | JSON, "change": TEXTS | JSON}) | JSON,
            max_size=4,
        ),
        "scenarios": JSON,
        "mcp_servers": JSON,
        "files": JSON,
    },
)
REPLIES = (
    OBJECTS.map(json.dumps)
    | OBJECTS.map(lambda o: f"```json\n{json.dumps(o)}\n```")
    | st.tuples(OBJECTS.map(json.dumps), st.integers(0, 60)).map(lambda t: t[0][: t[1]])
    | TEXTS
    | st.sampled_from(["good", "bad", "1", "2"])
)


@settings(max_examples=60)
@given(st.lists(REPLIES, min_size=1, max_size=12), st.booleans(), st.integers(1, 4))
def test_no_replies_do_harm(
    tmp_path_factory: pytest.TempPathFactory, replies: list[str], tested: bool, iterations: int
) -> None:
    folder = tmp_path_factory.mktemp("loop")
    source = folder / "mood.yaml"
    source.write_text(WORKFLOW)
    if tested:
        (folder / "mood.test.yaml").write_text(TESTS)
    count = 0

    def anything(request: Request) -> str:
        nonlocal count
        count += 1
        return replies[count % len(replies)]

    original = load(source)
    loop = open_loop(source, llm=ScriptedLLM(anything), max_iterations=iterations, jobs=1)
    bound, passed = step_bound(loop.run), 0
    for entry in loop:
        assert entry.number <= bound
        best = loop.run.best.report.passed if loop.run.best else 0
        if entry.state is not LoopState.CONFIRMING:  # there, luck may be found out
            assert best >= passed
        assert loop.run.first is None or best >= loop.run.first.report.passed
        passed = best
        for candidate in (*loop.run.candidates, *loop.run.waiting):
            if candidate.draft and loop.run.best:
                grown = splice(loop.run.best.candidate.text, candidate.draft.edits)
                assert candidate.text == grown.text
    assert source.read_text() == WORKFLOW
    for path in folder.glob("mood.finetune*"):
        if "tests" in path.name:
            load_suite(path)
            continue
        written = load(path, strict=True)
        assert capabilities(written.document) <= capabilities(original.document)
        assert loop.run.suite is not None
        assert violations(original, written, loop.run.suite) == ()
        assert "\x1b" not in path.read_text()


def test_replies_of_the_scripted_model_can_be_rules(folder: Path) -> None:
    rules = [
        Reply("{{mood}}", when=("one word.*(?P<mood>bad)",), purpose=Purpose.STATE),
        Reply("I like it.", purpose=Purpose.STATE),
        Reply("{}", purpose=None),
    ]
    run = finetune(folder / "mood.yaml", llm=ScriptedLLM(rules), max_iterations=2)
    assert run.best is not None
    assert run.best.report.passed == 0
