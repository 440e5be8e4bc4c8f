"""Rows 9 to 16, 19 to 22 and 25 to 31 of the fault matrix: replies that are broken, or bad.

A test's number is its row. What arrives broken is asked for again and changes nothing; what a model
says badly is data: the run goes on, and the workflow stays what it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
import wire
from commandline import Agentmech, Done
from corpus.replies import REPLIES
from faults.scene import (
    BEST,
    CHAT,
    FINETUNE,
    WORKFLOW,
    Calm,
    at,
    cut,
    files,
    prompt_of,
    purpose_of,
    reply_to,
    since,
    whole,
    world,
)
from wire import RESET, Act, Call, chunked, final, page, piece, refusal, thought

from finetune_fsm.llm.base import REPLY_LIMIT
from finetune_fsm.workflow.load import load

# Rows 9 to 13: an answer that is none, or breaks off. Two scenarios begin with one each.

PAGE = "<!DOCTYPE html><html><title>Bad\x1b[2J Gateway</title>" + "x" * 500
HEAD = wire.head(transfer_encoding="chunked")
HALF = piece("only half of it")

BROKEN: Mapping[str, tuple[tuple[Iterable[Act], str], ...]] = {
    "row_09": (
        (page(200, PAGE), r"sent something unexpected: <!DOCTYPE html><html><title>Bad\\x1b\[2J"),
        (page(502, PAGE), r"sent something unexpected: 502 <!DOCTYPE html>"),
    ),
    "row_10": (
        (page(200, ""), "broke off before its end"),
        (chunked([]), "broke off before its end"),
    ),
    "row_11": (
        (chunked([HALF]), "broke off before its end"),
        (chunked([HALF, HALF[:20]]), "broke off before its end"),
    ),
    "row_12": (
        (chunked([HALF, b'{"error": "llama runner has died"}\n']), "gave up .*runner has died"),
        (chunked([b'{"error": "CUDA error"}\n']), "gave up within the reply: CUDA error"),
    ),
    "row_13": (
        ([HEAD, b"%x\r\n%b\r\n" % (len(HALF), HALF), RESET], "broke the connection off"),
        ([HEAD, b"%x\r\n%b" % (len(HALF), HALF[:9]), RESET], "broke the connection off"),
    ),
}


def report(done: Done) -> str:
    return re.sub(r"\d+(\.\d+)? m?s\b", "_", done.out)


@pytest.mark.parametrize("row", BROKEN)
def test_rows_09_to_13_an_answer_that_breaks_is_asked_for_again_and_changes_nothing(
    row: str, agentmech: Agentmech, pair: Path
) -> None:
    (one, said), (other, said_too) = BROKEN[row]
    with world() as story:
        calm = agentmech("test", "pair.yaml", *story.at)
    with world(at({1: one, 2: other})) as story:
        done = agentmech("test", "pair.yaml", *story.at, "-j", "2")
    assert (done.code, report(done)) == (calm.code, report(calm))
    warnings = [line for line in done.err.splitlines() if "; try 2 of 3 in " in line]
    assert len(warnings) == 2
    for words in (said, said_too):
        assert any(re.search(words, line) for line in warnings), warnings
    assert all(len(line) < 250 and "\x1b" not in line for line in warnings)
    assert "only half" not in done.out + done.err
    assert story.asked == 4 + 2


def test_row_11_what_came_of_a_reply_that_broke_off_is_in_the_log_alone(
    agentmech: Agentmech, pair: Path
) -> None:
    with world(at({1: chunked([HALF])})) as story:
        done = agentmech("run", "pair.yaml", "--input", "ask=x", *story.at, "--json", "-l", "log")
    assert done.code == 0
    assert "only half" not in done.out + done.err
    assert "A reply that broke off: only half of it" in (pair / "log").read_text()


# Rows 14 to 16: however the bytes arrive, the text is the same.

TEXT = "Größe 😀"


def test_row_14_a_reply_split_at_any_byte_is_the_same_text(
    agentmech: Agentmech, pair: Path
) -> None:
    lines = json.dumps({"message": {"content": TEXT}}, ensure_ascii=False).encode() + b"\n"
    lines += json.dumps({"message": {"content": ""}, "done": True}).encode() + b"\n"
    scenarios = [
        f"  - name: At {number}\n"
        f"    inputs: [{{state: ask, value: w{number}}}]\n"
        f"    assertions: [{{type: equals, target: shouted, value: '{TEXT}'}}]\n"
        for number in range(1, len(lines))
    ]
    (pair / "pair.test.yaml").write_text(
        "workflow: one.yaml\ntest_scenarios:\n" + "".join(scenarios)
    )
    (pair / "one.yaml").write_text(WORKFLOW.replace("next: soft}\n", "next: end}\n"))

    def split(number: int, call: Call) -> Iterable[Act]:
        place = int(prompt_of(call.json).rpartition("w")[2])
        parts = (lines[:place], lines[place : place + 1], lines[place + 1 :])
        return chunked([part for part in parts if part])

    with world(split) as story:
        done = agentmech("test", "pair.test.yaml", *story.at, "-j", "8", "-q")
    assert done.code == 0, done.out
    assert story.asked == len(lines) - 1


def test_row_15_blank_lines_crlf_and_a_byte_order_mark_change_nothing(
    agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    def odd(number: int, call: Call) -> Iterable[Act]:
        story.answered.append(call.json)
        lines = b"".join(whole(reply_to(call.json))).replace(b"\n", b"\r\n\r\n  \n")
        return chunked([b"\xef\xbb\xbf\r\n", lines])

    with world(odd) as story:
        done = agentmech(*FINETUNE, *story.at)
    assert (done.code, files(pair)) == (0, calm.files)
    assert story.questions == calm.questions


def test_row_16_bytes_that_are_no_text_are_replaced_and_split_characters_are_whole(
    agentmech: Agentmech, pair: Path
) -> None:
    bad = b'{"message": {"content": "a\xff\xc3b"}}\n'
    split = json.dumps({"message": {"content": TEXT}}, ensure_ascii=False).encode() + b"\n"
    single = [split[n : n + 1] for n in range(len(split))]
    broken = at({1: chunked([bad, final()]), 2: chunked([*single, final()])})
    with world(broken) as story:
        done = agentmech("run", "pair.yaml", "--input", "ask=x", *story.at, "--json")
    assert done.code == 0
    assert done.document["variables"]["shouted"] == "a\ufffd\ufffdb"
    assert done.document["variables"]["whispered"] == TEXT


# Rows 19 and 20: no end, or nothing but thoughts.


def flood(_: Call) -> Iterable[Act]:
    yield HEAD
    part = piece("word " * 4000)
    for _ in range(500 * REPLY_LIMIT // 20_000):  # far more than buffers on the way hold
        yield b"%x\r\n%b\r\n" % (len(part), part)


ENDLESS: tuple[tuple[Callable[[Call], Iterable[Act]], str], ...] = (
    (flood, "the reply is longer than 1,000,000 characters — set num_predict, or a stop text"),
    (
        lambda _: chunked([*[piece("\n\t ")] * 300, final("length")]),
        "the limit of 1,024 tokens was reached before the reply had any text — raise num_predict",
    ),
)


@pytest.mark.parametrize(("endless", "said"), ENDLESS, ids=["words", "white space"])
def test_row_19_a_reply_without_an_end_is_a_failed_scenario_and_the_loop_goes_on(
    endless: Callable[[Call], Iterable[Act]],
    said: str,
    agentmech: Agentmech,
    pair: Path,
    calm: Calm,
) -> None:
    def fault(number: int, call: Call) -> Iterable[Act] | None:
        return endless(call) if prompt_of(call.json) == "Shout: Lisbon" else None

    with world(fault) as story:
        done = agentmech(*FINETUNE, *story.at)
        asked = next(c for c in story.server.asked(CHAT) if prompt_of(c.json) == "Shout: Lisbon")
        assert endless is not flood or asked.gone.wait(40)  # we hung up
    assert f"    - Loud: in state 'loud': {said}" in done.out
    assert (done.code, files(pair)["pair.finetuned.yaml"]) == (0, BEST)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("length", "raise num_predict, or take a model that does not think aloud"),
        ("stop", "the model thought, and then said nothing — set the option think to false"),
    ],
)
def test_row_20_a_model_that_only_thinks_is_told_what_helps(
    reason: str, said: str, agentmech: Agentmech, pair: Path
) -> None:
    with world(since(1, chunked([thought("hm"), thought("so"), final(reason)]))) as story:
        done = agentmech("run", "pair.yaml", "--input", "ask=x", *story.at)
        assert done.code == 1
        (last,) = [line for line in done.err.splitlines() if line.startswith("the run failed")]
        assert last.startswith("the run failed in state 'loud': ")
        assert last.endswith(said)
        assert story.asked == 1
        done = agentmech(*FINETUNE, *story.at)
    assert done.code == 1  # a loop in which nothing ever passes comes to its end all the same
    assert f"    - Loud: in state 'loud': {'the ' if reason == 'stop' else ''}" in done.out
    assert files(pair)["pair.finetuned.yaml"] == WORKFLOW


# Row 21: a prompt that does not fit.

TOO_LONG = "the input length exceeds the context length"


def test_row_21_a_prompt_that_cannot_fit_is_never_sent_and_its_state_is_named(
    agentmech: Agentmech, pair: Path
) -> None:
    with world(models={"tiny": 2048}) as story:
        done = agentmech("run", "pair.yaml", "--input", f"ask={'x' * 9000}", *story.at)
    assert (done.code, story.asked) == (1, 0)
    assert re.search(
        r"^the run failed in state 'loud': the prompt of about 3,\d\d\d tokens does not fit the "
        r"context of 'tiny', 2,048 tokens — shorten the prompt, or take",
        done.err,
        re.MULTILINE,
    )


def test_row_21_what_the_server_finds_too_long_is_told_with_both_sizes(
    agentmech: Agentmech, pair: Path
) -> None:
    with world(since(1, refusal(400, TOO_LONG))) as story:
        done = agentmech("run", "pair.yaml", "--input", "ask=x", *story.at)
    assert (done.code, story.asked) == (1, 1)
    assert "in state 'loud': the prompt of about " in done.err
    assert f"4,096 tokens ({TOO_LONG})" in done.err


def test_row_21_the_analysis_goes_without_the_oldest_drafts_until_it_fits(
    agentmech: Agentmech, pair: Path
) -> None:
    def model(body: Mapping) -> str:
        if purpose_of(body) == "proposal" and "Shout" in prompt_of(body):
            if "new_prompt" in body["format"]["properties"]:
                return json.dumps({"problem": "-", "new_prompt": "Shout nicely: {{word}}"})
            return json.dumps({"problem": "-", "addition": "Shout in capitals: {{word}}"})
        return reply_to(body)

    def fault(number: int, call: Call) -> Iterable[Act] | None:
        return refusal(400, TOO_LONG) if len(tried(call.json)) > 1 else None

    def tried(body: Mapping) -> list[str]:
        _, _, rest = prompt_of(body).partition("Tried in vain:\n")
        return [line for line in rest.splitlines() if line.startswith("- ")]

    with world(fault, model=model) as story:
        done = agentmech(*FINETUNE, *story.at, "-v")
        asked = [call.json for call in story.server.asked(CHAT)]
    histories = [tried(body) for body in asked if purpose_of(body) == "analysis"]
    longest = next(lines for lines in histories if len(lines) > 1)
    shorter = histories[histories.index(longest) :][: len(longest)]
    assert shorter == [longest[n:] for n in range(len(longest))]  # down to the newest one
    assert any("nicely" in line for lines in histories for line in lines)
    assert "The analysis' prompt does not fit: the oldest draft tried is left out, 1 " in done.err
    assert "analysis is missing" not in done.out
    assert done.code == 0


# Row 22: a reply of the improver that its limit cuts.


def cut_below(purpose: str, tokens: int) -> Callable[[int, Call], Iterable[Act] | None]:
    """Cut the replies of this *purpose* that have less room than so many *tokens*."""

    def fault(number: int, call: Call) -> Iterable[Act] | None:
        if purpose_of(call.json) != purpose or call.json["options"]["num_predict"] >= tokens:
            return None
        return cut(reply_to(call.json)[:20])

    return fault


ROOM = {"analysis": 400, "proposal": 500}


@pytest.mark.parametrize("purpose", ROOM)
def test_row_22_a_reply_that_is_cut_is_asked_for_once_more_with_twice_the_room(
    purpose: str, agentmech: Agentmech, pair: Path, calm: Calm
) -> None:
    room = ROOM[purpose]
    with world(cut_below(purpose, 2 * room)) as story:
        done = agentmech(*FINETUNE, *story.at)
        bodies = [c.json for c in story.server.asked(CHAT) if purpose_of(c.json) == purpose]
    assert (done.code, files(pair)) == (0, calm.files)
    given = [body["options"]["num_predict"] for body in bodies]
    assert given == [room, 2 * room] * (len(given) // 2)


@pytest.mark.parametrize("purpose", ROOM)
def test_row_22_a_reply_that_is_cut_again_is_a_problem_and_no_error(
    purpose: str, agentmech: Agentmech, pair: Path
) -> None:
    with world(cut_below(purpose, 10**6)) as story:
        done = agentmech(*FINETUNE, *story.at)
        bodies = [c.json for c in story.server.asked(CHAT) if purpose_of(c.json) == purpose]
    assert {body["options"]["num_predict"] for body in bodies} == {ROOM[purpose], 2 * ROOM[purpose]}
    if purpose == "analysis":  # the rules do without
        assert done.code == 0
        assert "  The model's analysis is missing: the reply is too long and was cut" in done.out
    else:
        assert done.code == 1
        assert "  Not usable: the reply is too long and was cut — be brief" in done.out
        assert files(pair)["pair.finetuned.yaml"] == WORKFLOW


def test_row_22_holds_for_tests_that_a_model_writes(agentmech: Agentmech, pair: Path) -> None:
    (pair / "pair.test.yaml").unlink()
    wanted = {
        "name": "Any word",
        "inputs": {"ask": "Rome"},
        "assertions": [{"type": "state_reached", "value": "end"}],
    }

    def model(body: Mapping) -> str:
        tests = purpose_of(body) == "tests"
        return json.dumps({"scenarios": [wanted]}) if tests else reply_to(body)

    with world(cut_below("tests", 1800), model=model) as story:
        done = agentmech("finetune", "pair.yaml", "-m", "tiny", "-i", "1", *story.at)
    assert done.code == 0
    assert "Any word" in files(pair)["pair.finetune-tests.yaml"]


# Rows 25 and 26: the improver talks nonsense, or says the same for ever.


def test_row_25_nonsense_is_told_to_the_model_once_and_leaves_the_workflow_alone(
    agentmech: Agentmech, pair: Path
) -> None:
    left = list(REPLIES.values())

    def model(body: Mapping) -> str:
        if purpose_of(body) == "proposal":
            return left.pop() if left else "I am sorry."
        return "I cannot say." if purpose_of(body) == "state" else reply_to(body)

    rounds = 0
    while left and rounds < 20:
        rounds += 1
        with world(model=model) as story:
            done = agentmech(*FINETUNE, *story.at, "--no-cache")
            bodies = [call.json for call in story.server.asked(CHAT)]
        # Without those that row 22 asks for once more.
        asked = [prompt_of(b) for b in bodies if b["options"]["num_predict"] == ROOM["proposal"]]
        assert done.code == 1
        assert "Traceback" not in done.err
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.out + done.err)
        assert files(pair)["pair.finetuned.yaml"] == WORKFLOW
        assert files(pair)["pair.yaml"] == WORKFLOW
        again = [text for text in asked if "An earlier answer was refused:" in text]
        plain = {text.partition("\n\nAn earlier answer was refused:")[0] for text in again}
        assert len(again) > 0
        assert len(again) <= sum(text in plain for text in asked)  # one repair for one draft
    assert not left


def test_row_26_the_same_proposal_for_ever_ends_the_run_and_says_so(
    agentmech: Agentmech, pair: Path
) -> None:
    same = json.dumps({"problem": "-", "new_prompt": "Say: {{word}}", "addition": "Say it."})

    def model(body: Mapping) -> str:
        return same if purpose_of(body) == "proposal" else reply_to(body)

    with world(model=model) as story:
        done = agentmech("finetune", "pair.yaml", "-m", "tiny", "-i", "1000", *story.at, "--json")
        proposals = [c for c in story.server.asked(CHAT) if purpose_of(c.json) == "proposal"]
    assert done.code == 1
    assert done.document["ending"] == "nothing is left to try"
    assert "tried before" in "".join(r["reason"] for r in done.document["refused"])
    assert len(proposals) <= 20
    assert files(pair)["pair.finetuned.yaml"] == WORKFLOW


# Rows 27 to 29: drafts that the gate refuses.

WAYS = """\
name: Ways
default_model: tiny
start_state: sort
states:
  sort: {type: prompt, prompt: "Sort it", save_as: kind, next: sure}
  sure: {type: input, prompt: "Really?", default_value: "yes", next: act}
  act: {type: workflow_ref, workflow_ref: child.yaml, next: pick}
  pick:
    type: prompt
    prompt: "Pick by {{kind}}"
    next_options:
      - {state: extra, description: for more}
      - {state: end, description: for no more}
  extra: {type: prompt, prompt: "Thank them", next: end}
"""

CHILD = """\
name: Child
start_state: only
states:
  only: {type: transition, next: end}
"""

WAYS_TESTS = """\
workflow: ways.yaml
test_scenarios:
  - name: Sorts
    assertions: [{type: contains, target: kind, value: fruit}, {type: state_reached, value: sure}]
  - name: Comes to extra
    assertions: [{type: state_reached, value: extra}]
"""


@pytest.mark.parametrize(
    ("state", "target", "code", "words"),
    [
        ("sort", "act", "unasked", "a run could come to 'act' without 'sure'"),
        ("sort", "pick", "lost_support", "sure"),
        ("act", "nowhere", "unknown_target", "nowhere"),
        ("act", "sort", "lost_support", "only an error would lead"),
    ],
    ids=["row_27", "row_28", "row_29 nowhere", "row_29 no end"],
)
def test_rows_27_to_29_a_draft_that_must_not_be_is_refused_listed_and_costs_nothing(
    state: str,
    target: str,
    code: str,
    words: str,
    agentmech: Agentmech,
    tmp_path: Path,
) -> None:
    for name, text in (("ways", WAYS), ("child", CHILD), ("ways.test", WAYS_TESTS)):
        (tmp_path / f"{name}.yaml").write_text(text)

    def model(body: Mapping) -> str:
        if purpose_of(body) == "proposal":
            wanted = f"Which step should follow '{state}'?" in prompt_of(body)
            return json.dumps({"problem": "-", "next": target}) if wanted else "{}"
        if "Choose the option" in prompt_of(body):
            return "end"
        return "fruit" if purpose_of(body) == "state" else reply_to(body)

    with world(model=model) as story:
        done = agentmech("finetune", "ways.yaml", "-m", "tiny", "-i", "3", *story.at, "--json")
    refused = done.document["refused"]
    best = (tmp_path / "ways.finetuned.yaml").read_text()
    assert (done.code, best) == (1, WAYS)
    assert any(r["code"] == code and words in r["reason"] for r in refused), refused
    edit = f"{state}.next to '{target}'"
    assert any(edit in r["change"] for r in refused)
    assert not any(
        load(path).states[state].next == target for path in tmp_path.glob("*finetune-iter*")
    )  # it was neither saved nor run


# Row 30: a draft that goes round for ever.

ROUND = """\
name: Story
default_model: tiny
start_state: write
variables: {story: "-"}
states:
  write: {type: prompt, prompt: "Write: {{story}}", save_as: story, next: judge}
  judge:
    type: prompt
    prompt: "Good? {{story}}"
    next_options:
      - {state: write, description: more is needed}
      - {state: end, description: it is good}
"""

ROUND_TESTS = """\
workflow: round.yaml
test_scenarios:
  - name: Has an end
    assertions: [{type: contains, target: story, value: The end}]
"""


def test_row_30_a_draft_that_never_ends_fails_its_scenarios_and_the_loop_goes_on(
    agentmech: Agentmech, tmp_path: Path
) -> None:
    (tmp_path / "round.yaml").write_text(ROUND)
    (tmp_path / "round.test.yaml").write_text(ROUND_TESTS)

    def model(body: Mapping) -> str:
        prompt = prompt_of(body)
        if purpose_of(body) == "proposal":
            rewrite = "new_prompt" in body["format"]["properties"]
            new = {"new_prompt": "Write ever more: {{story}}"}
            return json.dumps({"problem": "-"} | (new if rewrite else {"addition": "Close it."}))
        if purpose_of(body) == "analysis":
            return reply_to(body)
        if "Choose the option" in prompt:
            return "1" if "!" in prompt else "2"
        if "ever more" in prompt:
            return prompt.rpartition(": ")[2] + "!"  # so no question is asked twice
        return "The end." if "Close" in prompt else "Once."

    with world(model=model) as story:
        done = agentmech("finetune", "round.yaml", "-m", "tiny", "-i", "4", *story.at)
    assert "the run was ended after 100 visited states, before this one" in done.out
    assert "Workflow failed in 1 of 1 scenario:" in done.out
    assert "not kept: " in done.out.lower()
    assert done.code == 0
    assert "Close it." in (tmp_path / "round.finetuned.yaml").read_text()


# Row 31: a judge that cannot judge. There are no judged assertions, but there is the preference.


def softer(verdict: Callable[[str], str]) -> Callable[[Mapping], str]:
    """A model that suggests a change which breaks nothing; *verdict* judges the judge's prompt."""

    def model(body: Mapping) -> str:
        prompt = prompt_of(body)
        match purpose_of(body):
            case "analysis":
                change = {"state": "soft", "change": "Be softer."}
                return json.dumps({"analysis": "Fine.", "suggestions": [change]})
            case "proposal":
                new = "Whisper softly, in smalls: {{word}}"
                return json.dumps({"problem": "-", "new_prompt": new})
            case "judge":
                return verdict(prompt)
        return reply_to(body) + ("..." if "softly" in prompt and "Lisbon" in prompt else "")

    return model


def likes_softness(prompt: str) -> str:
    return "1" if "..." in prompt.partition("Result 2:")[0] else "2"


def test_row_31_a_judge_that_talks_nonsense_keeps_what_the_user_has(
    agentmech: Agentmech, pair: Path
) -> None:
    (pair / "pair.yaml").write_text(BEST)
    with world(model=softer(lambda _: '{"verdict": maybe')) as story:
        done = agentmech(
            "finetune", "pair.yaml", "-m", "tiny", "-i", "2", "--on-tie", "judge", *story.at
        )
        judged = [c.json for c in story.server.asked(CHAT) if purpose_of(c.json) == "judge"]
    assert done.code == 0
    assert len(judged) == 2
    assert "all tests still pass, but its results are not clearly better" in done.out
    assert files(pair)["pair.finetuned.yaml"] == BEST


def test_row_22_holds_for_a_judge(agentmech: Agentmech, pair: Path) -> None:
    (pair / "pair.yaml").write_text(BEST)
    with world(cut_below("judge", 16), model=softer(likes_softness)) as story:
        done = agentmech(
            "finetune", "pair.yaml", "-m", "tiny", "-i", "2", "--on-tie", "judge", *story.at
        )
        judged = [c.json for c in story.server.asked(CHAT) if purpose_of(c.json) == "judge"]
    assert "its results are preferred in both orders" in done.out
    assert [body["options"]["num_predict"] for body in judged] == [8, 16, 8, 16]
    assert "softly" in files(pair)["pair.finetuned.yaml"]
