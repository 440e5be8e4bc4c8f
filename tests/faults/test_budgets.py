"""Budgets are exact, and a run that spent one goes on where it was; replies serve other runs too.

The server counts, not the client. Whatever the limit, the best so far is on the disk at the end,
and `resume` with a higher limit comes to the end of a run that had none, asking nothing twice.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from commandline import Agentmech
from faults.scene import (
    BEST,
    CHAT,
    FINETUNE,
    TESTS,
    WORKFLOW,
    Calm,
    World,
    cut,
    files,
    journal,
    none,
    prompt_of,
    reply_to,
    since,
    world,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire import Act, Call, chat, refusal

from finetune_fsm.api import finish, open_run, reopen_run
from finetune_fsm.llm.base import Completion, Request
from finetune_fsm.llm.meter import Budget
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.outcomes import Ending
from finetune_fsm.loop.run import Run

STAGES = {
    WORKFLOW: 0,
    WORKFLOW.replace("Shout:", "Shout in capitals:"): 1,
    WORKFLOW.replace("Whisper:", "Whisper in smalls:"): 1,
    BEST: 2,
}
"""How good a workflow is."""

MORE_TESTS = TESTS + "".join(
    f"""\
  - name: {word}
    inputs: [{{state: ask, value: {word}}}]
    assertions: [{{type: state_reached, value: soft}}]
"""
    for word in ("Rome", "Oslo")
)
"""Four scenarios, so that four calls are under way."""


# Any limit, with a scripted model.


def body_of(request: Request) -> dict:
    messages = [{"content": message.content} for message in request.messages]
    return {"messages": messages, "format": request.schema or {}}


class Model(ScriptedLLM):
    """The one of the wire, with counts of tokens; slow enough that calls overlap."""

    def __init__(self, pause: float = 0.0) -> None:
        super().__init__(self.reply)
        self.pause = pause

    def reply(self, request: Request) -> Completion:
        time.sleep(self.pause)
        return Completion(reply_to(body_of(request)), prompt_tokens=7, completion_tokens=3)

    @property
    def questions(self) -> Counter[str]:
        return Counter(f"{prompt_of(body_of(r))}{sorted(r.options.items())}" for r in self.requests)


@dataclass(frozen=True)
class Whole:
    """A run without limits: its questions, its result, and how good it was after each call."""

    questions: Counter[str]
    files: Mapping[str, str]


def new(folder: Path) -> Path:
    """A new folder in *folder*."""
    return Path(tempfile.mkdtemp(dir=folder))


def put(folder: Path) -> Path:
    (folder / "pair.yaml").write_text(WORKFLOW)
    (folder / "pair.test.yaml").write_text(MORE_TESTS)
    return folder / "pair.yaml"


def improve(source: Path, model: Model, budget: Budget, jobs: int) -> Run:
    options = {"model": "tiny", "max_iterations": 8, "jobs": jobs, "budget": budget}
    with open_run(source, llm=model, **options) as session:
        return finish(session.loop)


@pytest.fixture(scope="module")
def unlimited(in_memory: Path) -> Whole:
    source = put(new(in_memory))
    model = Model()
    improve(source, model, Budget(), 1)
    found = Whole(model.questions, files(source.parent))
    assert found.files["pair.finetuned.yaml"] == BEST
    assert set(found.questions.values()) == {1}
    return found


def stage_of(folder: Path) -> int:
    """How good the result in *folder* is; -1 without one."""
    output = folder / "pair.finetuned.yaml"
    return STAGES[output.read_text()] if output.exists() else -1


@pytest.mark.parametrize("jobs", [1, 4])
def test_with_any_number_of_calls_the_best_so_far_is_kept_and_the_rest_comes_later(
    jobs: int, unlimited: Whole, in_memory: Path
) -> None:
    total = unlimited.questions.total()
    stages = []
    for allowed in range(1, total + 1):
        folder = new(in_memory)
        source, model = put(folder), Model(0.0 if jobs == 1 else 0.003)
        run = improve(source, model, Budget(calls=allowed), jobs)
        assert len(model.requests) == min(allowed, total)  # not one too many, not one too few
        assert run.usage.calls == len(model.requests)
        assert run.ending is (Ending.CALLS if allowed < total else Ending.SOLVED)
        stages.append(stage_of(folder))
        assert stages[-1] == (-1 if run.best is None else STAGES[run.best.candidate.text])
        if allowed < total and jobs > 1:  # for one, the next test does it
            later = Model()
            with reopen_run(source, llm=later, budget=Budget(calls=total)) as session:
                run = finish(session.loop)
            assert run.usage.calls == total
            assert model.questions + later.questions == unlimited.questions
            assert files(folder) == unlimited.files
        shutil.rmtree(folder)
    assert stages == sorted(stages)  # who pays more never gets less
    assert set(stages) == {-1, 0, 1, 2}


@settings(max_examples=5)
@given(limits=st.lists(st.integers(1, 9), min_size=1, max_size=4), jobs=st.sampled_from([1, 4]))
@example(limits=[1, 1, 1, 1], jobs=4)
def test_a_run_paid_for_in_pieces_is_the_run_paid_for_at_once(
    unlimited: Whole, in_memory: Path, limits: list[int], jobs: int
) -> None:
    source = put(new(in_memory))
    asked: Counter[str] = Counter()
    allowed = 0
    for piece in limits:
        allowed += piece
        model, budget = Model(0.002), Budget(calls=allowed)
        if not asked:
            run = improve(source, model, budget, jobs)
        elif run.ending is Ending.SOLVED:
            break
        else:
            with reopen_run(source, llm=model, budget=budget) as session:
                run = finish(session.loop)
        asked += model.questions
        assert asked.total() == min(allowed, unlimited.questions.total())
    if run.ending is not Ending.SOLVED:
        model = Model()
        with reopen_run(source, llm=model, budget=Budget(calls=1000)) as session:
            finish(session.loop)
        asked += model.questions
    assert asked == unlimited.questions
    assert files(source.parent) == unlimited.files


@settings(max_examples=5)
@given(allowed=st.integers(1, 250), jobs=st.sampled_from([1, 4]))
@example(allowed=10, jobs=1)
@example(allowed=11, jobs=1)
def test_no_call_begins_once_the_tokens_are_spent(
    unlimited: Whole, in_memory: Path, allowed: int, jobs: int
) -> None:
    source = put(new(in_memory))
    model = Model(0.0 if jobs == 1 else 0.002)
    run = improve(source, model, Budget(tokens=allowed), jobs)
    needed = -(-allowed // 10)  # calls of 10 tokens each
    assert min(needed, unlimited.questions.total()) <= len(model.requests) <= needed + jobs - 1
    assert run.usage.tokens == 10 * len(model.requests)
    if run.ending is Ending.TOKENS:
        later = Model()
        with reopen_run(source, llm=later, budget=Budget(tokens=10_000)) as session:
            assert finish(session.loop).ending is Ending.SOLVED
        assert model.questions + later.questions == unlimited.questions
    assert files(source.parent) == unlimited.files


# The same at the command line, where a server counts.


@pytest.mark.parametrize("jobs", ["1", "4"])
@pytest.mark.parametrize("allowed", [1, 6, 14, 22])
def test_the_server_is_never_asked_once_too_often(
    allowed: int, jobs: str, agentmech: Agentmech, tmp_path: Path, unlimited: Whole
) -> None:
    total = unlimited.questions.total()
    put(tmp_path)
    with world() as story:
        story.delay = 0.02
        done = agentmech(*FINETUNE, *story.at, "-j", jobs, "--max-calls", allowed)
        assert story.asked == allowed
        stage = stage_of(tmp_path)
        assert done.code == (0 if stage > 0 else 1)
        assert "⚠ Stopped: the budget of LLM calls is spent" in done.out
        assert "  Ended because: the budget of LLM calls is spent" in done.out
        assert f"  LLM calls: {allowed} (" in done.out
        assert re.fullmatch(r"to go on: agentmech resume \S+", done.err.splitlines()[-1])
        again = agentmech("resume", "--max-calls", allowed)  # nothing more is allowed
        assert (again.code, story.asked) == (done.code, allowed)
        assert stage_of(tmp_path) == stage
        story.delay = 0.0
        done = agentmech("resume", "--max-calls", "100", "--json")
    assert (done.code, done.document["llm_calls"], story.asked) == (0, total, total)
    assert set(story.questions.values()) == {1}
    assert (tmp_path / "pair.finetuned.yaml").read_text() == BEST


def test_a_request_that_is_sent_again_is_paid_for_too(agentmech: Agentmech, pair: Path) -> None:
    with world(since(3, refusal(500, "boom"))) as story:
        done = agentmech(*FINETUNE, *story.at, "-j", "1", "--max-calls", "4", "--json")
        assert story.asked == 4  # two replies, one refusal, and one try more
        assert done.code == 1
        document = done.document
        assert document["ending"] == "the budget of LLM calls is spent"
        assert (document["llm_calls"], document["retries"]) == (3, 1)
        story.fault = none
        assert agentmech("resume", "--max-calls", "100").code == 0
    assert set(story.questions.values()) == {1}


def test_what_broke_off_stays_paid_for_in_all_sessions(agentmech: Agentmech, pair: Path) -> None:
    with world(since(3, refusal(401, "who are you?"))) as story:
        assert agentmech(*FINETUNE, *story.at, "-j", "1", "--max-calls", "6").code == 3
        assert agentmech("resume").code == 3
        assert agentmech("resume").code == 3
        assert story.asked == 5  # two replies and three refusals
        story.fault = none
        done = agentmech("resume", "--json")
        assert story.asked == 6
        assert done.document["ending"] == "the budget of LLM calls is spent"
        assert done.document["llm_calls"] == 6
        assert "LLM calls: 6 (" in agentmech("show").out
        done = agentmech("resume", "--max-calls", "100", "--json")
        assert (done.code, done.document["llm_calls"]) == (0, story.asked)
        assert f"LLM calls: {story.asked} (" in agentmech("show").out
    assert story.asked == story.questions.total() + 3
    assert set(story.questions.values()) == {1}


def test_tokens_are_counted_as_the_server_says(agentmech: Agentmech, pair: Path) -> None:
    with world() as story:
        done = agentmech(*FINETUNE, *story.at, "-j", "1", "--max-tokens", "41")
        assert story.asked == 5
        assert "Ended because: the budget of tokens is spent" in done.out
        assert "LLM calls: 5 (50 tokens), " in done.out
        assert done.code == 1
        assert agentmech("resume", "--max-tokens", "5000").code == 0
    assert set(story.questions.values()) == {1}


def test_a_call_under_way_ends_with_the_time_and_not_later(
    agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    def hangs(number: int, call: Call) -> Iterable[Act] | None:
        return None if number < 10 else [30.0]

    with world(hangs) as story:
        done = agentmech(*FINETUNE, *story.at, "-j", "1", "--max-time", "1.5s")
        hanging = story.server.asked(CHAT)[-1]
        assert hanging.gone.wait(5)
        assert done.code == (0 if stage_of(pair) > 0 else 1)
        assert "Ended because: the time is over" in done.out
        ended = next(r["at"] for r in journal(pair) if r["data"].get("event") == "interrupted")
        assert 1.5 <= ended < 1.5 + 4  # 0.3 s on a machine that has nothing else to do
        asked = story.asked
        assert agentmech("resume", "--max-time", "1.5s").code == done.code  # it is over already
        assert story.asked == asked
        story.fault = none
        done = agentmech("resume", "--max-time", "1h")
    assert (done.code, files(pair)) == (0, calm.files)
    assert story.questions == calm.questions


# Replies kept for other runs.

MODELS = {"tiny": 4096, "tiny:latest": 4096}  # Ollama lists the second and takes both
DIGESTS = {"tiny:latest": "sha256:one"}


def asked_in(agentmech: Agentmech, story: World, *options: str) -> int:
    """Requests of one more run."""
    before = story.asked
    assert agentmech(*FINETUNE, *story.at, *options).code == 0
    return story.asked - before


def test_a_second_run_asks_nothing_and_comes_to_the_same(
    agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    digests = dict(DIGESTS)
    with world(models=MODELS, digests=digests) as story:
        whole = asked_in(agentmech, story)
        assert whole > 10
        first = files(pair)
        assert first == calm.files
        (pair / "pair.finetuned.yaml").unlink()
        done = agentmech(*FINETUNE, *story.at, "--json", "--max-calls", "1")
        assert (done.code, story.asked) == (0, whole)  # what is kept costs nothing
        assert files(pair) == first
        document = done.document
        assert (document["llm_calls"], document["tokens"], document["cached"]) == (0, 0, whole)
        assert asked_in(agentmech, story, "--no-cache") == whole
        digests["tiny:latest"] = "sha256:two"
        assert asked_in(agentmech, story) == whole


def test_a_server_that_does_not_tell_its_weights_apart_is_asked_every_time(
    agentmech: Agentmech, pair: Path
) -> None:
    with world() as story:
        first, second = (asked_in(agentmech, story) for _ in range(2))
        assert first == second > 10


def kept(agentmech: Agentmech) -> int:
    document = agentmech("cache", "ls", "--json").document
    assert len(list(Path(document["folder"]).glob("??/*.json"))) == document["replies"]
    return document["replies"]


def test_errors_and_replies_that_are_cut_or_empty_are_not_kept(
    agentmech: Agentmech, pair: Path
) -> None:
    bad = {
        "Shout: Lisbon": cut("LIS"),
        "Shout: Porto": chat(""),
        "Whisper: Porto": refusal(400, "no"),
    }
    answers = {text: list(acts) for text, acts in bad.items()}

    def fault(number: int, call: Call) -> Iterable[Act] | None:
        return answers.get(prompt_of(call.json))

    with world(fault, models=MODELS, digests=DIGESTS) as story:
        agentmech("finetune", "pair.yaml", "-m", "tiny", "-i", "1", *story.at)
        assert story.asked == 4
        assert kept(agentmech) == 1
        agentmech("finetune", "pair.yaml", "-m", "tiny", "-i", "1", *story.at)
    again = Counter(prompt_of(call.json) for call in story.server.asked(CHAT))
    assert again == dict.fromkeys(bad, 2) | {"Whisper: Lisbon": 1}


def test_what_was_sampled_is_not_kept(agentmech: Agentmech, pair: Path) -> None:
    (pair / "pair.yaml").write_text(
        WORKFLOW.replace("next: soft", "options: {temperature: 1}, next: soft")
    )
    with world(models=MODELS, digests=DIGESTS) as story:
        first, second = (asked_in(agentmech, story) for _ in range(2))
        sampled = [c for c in story.server.asked(CHAT) if c.json["options"]["temperature"] == 1]
    assert 0 < second < first
    assert len(sampled) == 2 * second


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'"reply":"', b'"reply":7,"x":"'),
        lambda data: data.replace(b"Shout", b"Shoot"),
        lambda data: b"[" * 100_000,
        lambda data: data.replace(b'"format":1', b'"format":2'),
        lambda data: b"\xff" + data,
    ],
)
def test_a_damaged_reply_is_asked_for_again(
    damage: Callable[[bytes], bytes], agentmech: Agentmech, pair: Path
) -> None:
    command = ("finetune", "pair.yaml", "-m", "tiny", "-i", "1")
    with world(models=MODELS, digests=DIGESTS) as story:
        agentmech(*command, *story.at)
        root = Path(agentmech("cache", "ls", "--json").document["folder"])
        for path in root.glob("??/*.json"):
            data = path.read_bytes()
            if b"Shout: Lisbon" in data:
                path.write_bytes(damage(data))
        before = story.asked
        done = agentmech(*command, *story.at)
        assert done.code == 1
        assert story.asked == before + 1
        agentmech(*command, *story.at)
    assert story.asked == before + 1  # it is whole again


def test_the_cache_is_shown_and_cleared(agentmech: Agentmech, pair: Path) -> None:
    assert kept(agentmech) == 0
    assert agentmech("cache", "ls").out.startswith("0 replies, 0.0 MB, in ")
    with world(models=MODELS, digests=DIGESTS) as story:
        whole = asked_in(agentmech, story)
        assert kept(agentmech) == whole > 10
        root = Path(agentmech("cache", "ls", "--json").document["folder"])
        assert root.stat().st_mode & 0o777 == 0o700
        assert agentmech("cache", "clear").out.startswith(f"{whole} replies removed, 0.0 MB")
        assert kept(agentmech) == 0
        assert asked_in(agentmech, story) == whole
        assert json.loads(agentmech("cache", "clear", "--json").out)["removed"] == whole
