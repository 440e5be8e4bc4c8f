"""``agentmech run``: replies out, questions beside, one document for programs."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
from commandline import Agentmech
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_fsm.cli.answers import stdin_lines
from finetune_fsm.cli.run import _Replies
from finetune_fsm.errors import Cancelled
from finetune_fsm.llm.base import Stop
from finetune_fsm.sinks import clean

GOOD = ("--llm", "script:good.yaml")
CONTROL = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xed[\xa0-\xbf]"
)


def script(path: Path, *replies: object) -> None:
    path.write_text(json.dumps({"format": 1, "replies": list(replies)}))


def test_the_reply_is_the_result_and_the_question_is_not(
    agentmech: Agentmech, greeter: Path
) -> None:
    done = agentmech("run", greeter, *GOOD, stdin="Alice\n")
    assert (done.code, done.out) == (0, "Hello Alice!\n")
    assert "Your name?" in done.err
    assert "[nobody] > " in done.err
    assert "completed: ask → greet → end" in done.err


def test_quiet_leaves_the_reply_and_the_question(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("run", greeter, *GOOD, "-q", stdin="Alice\n")
    assert done.out == "Hello Alice!\n"
    assert done.err == "Your name?\n[nobody] > \n"


def test_the_document_of_a_run(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("run", greeter, *GOOD, "--json", "--input", "ask=Bob=Builder")
    document = done.document
    assert document["workflow"] == "Greeter"
    assert document["status"] == "completed"
    assert document["visited"] == ["ask", "greet", "end"]
    assert document["variables"]["name"] == "Bob=Builder"
    assert document["variables"]["greeting"] == "Hello Bob=Builder!"
    assert document["error"] is None
    assert document["llm_calls"] == 1
    assert document["seconds"] >= 0


def test_an_empty_line_takes_the_default(agentmech: Agentmech, greeter: Path) -> None:
    assert agentmech("run", greeter, *GOOD, stdin="\n").out == "Hello nobody!\n"


def test_no_answer_and_no_default_is_a_failed_run(agentmech: Agentmech, greeter: Path) -> None:
    greeter.write_text(greeter.read_text().replace("    default_value: nobody\n", ""))
    done = agentmech("run", greeter, *GOOD, "--json")
    assert done.code == 1
    assert done.document["status"] == "failed"
    assert done.document["error"]["state"] == "ask"
    assert done.document["error"]["message"]
    assert "the run failed in state 'ask'" in done.err


@pytest.mark.parametrize(
    ("kind", "code"),
    [("unreachable", 3), ("missing_model", 3), ("empty", 1), ("context_overflow", 1)],
)
def test_a_model_that_cannot_be_had_is_another_failure_than_a_bad_reply(
    kind: str, code: int, agentmech: Agentmech, greeter: Path, tmp_path: Path
) -> None:
    script(tmp_path / "broken.yaml", {"error": kind})
    done = agentmech("run", greeter, "--llm", "script:broken.yaml", "--json", "--input", "ask=A")
    assert done.code == code
    assert done.document["status"] == "failed"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--input", "nope"), "STATE=VALUE"),
        (("--input", "aks=Bob"), "did you mean 'ask'?"),
        (("--input", "greet=Bob"), "no input state"),
        (("--input", "ask=A", "--input", "ask=B"), "twice"),
        (("--max-steps", "0"), "--max-steps"),
    ],
)
def test_answers_that_fit_no_question_are_refused_before_anything_runs(
    given: tuple[str, ...], words: str, agentmech: Agentmech, greeter: Path
) -> None:
    done = agentmech("run", greeter, *GOOD, *given)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_the_step_limit_holds(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("run", greeter, *GOOD, "--max-steps", "1", stdin="A\n")
    assert done.code == 1
    assert "--max-steps" in done.err


def test_the_run_directory_keeps_the_facts_and_the_trace(
    agentmech: Agentmech, greeter: Path
) -> None:
    done = agentmech("run", greeter, *GOOD, "--json", "--trace", "--input", "ask=Al")
    folder = Path(done.document["variables"]["run_directory"])
    facts = json.loads((folder / "metadata.json").read_text())
    assert (facts["workflow"], facts["status"]) == ("Greeter", "completed")
    visits = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
    assert [visit["state"] for visit in visits] == ["ask", "greet"]
    assert visits[1]["completion"] == "Hello Al!"


def test_a_workflow_from_standard_input_takes_its_answers_from_options(
    agentmech: Agentmech, greeter: Path
) -> None:
    done = agentmech("run", "-", *GOOD, "--input", "ask=Al", stdin=greeter.read_text())
    assert (done.code, done.out) == (0, "Hello Al!\n")


def test_unknown_keys_are_warnings_unless_strict(agentmech: Agentmech, greeter: Path) -> None:
    greeter.write_text(greeter.read_text() + "    colour: red\n")
    done = agentmech("run", greeter, *GOOD, "--input", "ask=Al")
    assert done.code == 0
    assert "warning: unknown key 'colour'" in done.err
    strict = agentmech("run", greeter, *GOOD, "--input", "ask=Al", "--strict")
    assert strict.code == 2
    assert "error: unknown key 'colour'" in strict.err


def test_the_log_goes_to_a_file_and_hides_nothing(
    agentmech: Agentmech, greeter: Path, tmp_path: Path
) -> None:
    done = agentmech("run", greeter, *GOOD, "--input", "ask=Al", "--log-file", "run.log")
    assert done.code == 0
    assert (tmp_path / "run.log").exists()
    refused = agentmech("run", greeter, *GOOD, "--input", "ask=Al", "-l", str(tmp_path))
    assert refused.code == 3
    assert "cannot write the log" in refused.err


@settings(max_examples=25)
@given(reply=st.text(min_size=1, max_size=40), answer=st.text(max_size=20))
def test_no_text_of_a_model_or_a_person_puts_a_control_byte_on_a_stream(
    reply: str, answer: str, agentmech: Agentmech, greeter: Path, tmp_path: Path
) -> None:
    script(tmp_path / "odd.yaml", {"reply": reply})
    given_answer = f"ask={answer}".replace("\0", "")
    llm = ("--llm", "script:odd.yaml")
    for extra in ((), ("--json",), ("-vv",)):
        done = agentmech("run", greeter, *llm, *extra, "--input", given_answer)
        assert done.code in (0, 1)
        for text in (done.out, done.err):
            assert not CONTROL.search(text.encode("utf-8", "surrogatepass"))


@given(st.lists(st.text("ab\r\n"), max_size=6))
def test_a_streamed_reply_is_shown_as_if_it_had_come_at_once(pieces: list[str]) -> None:
    class Out:
        json, text = False, ""

        @property
        def out(self) -> Out:
            return self

        def piece(self, text: str) -> None:
            self.text += clean(text)

    console = Out()
    replies = _Replies(console)  # type: ignore[arg-type]
    for piece in pieces:
        replies.piece(piece)
    replies.end()
    whole = "".join(pieces)
    end = "" if not whole or whole.endswith("\n") else "\n"
    assert console.text == clean(whole) + end


@given(st.lists(st.text("aé中🎈 "), max_size=5), st.booleans())
def test_lines_of_a_real_pipe_are_those_of_the_text(lines: list[str], ended: bool) -> None:
    import os

    text = "\n".join(lines) + ("\n" if ended and lines else "")
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    with open(reader, encoding="utf-8") as stream:  # noqa: PTH123  # a handle, no path
        found = list(stdin_lines(stream, Stop()))
    assert found == (text.removesuffix("\n").split("\n") if text else [])


def test_waiting_for_a_line_ends_with_a_stop() -> None:
    import os

    reader, writer = os.pipe()
    stop = Stop()
    stop.ask()
    with open(reader, encoding="utf-8") as stream, pytest.raises(Cancelled):  # noqa: PTH123
        next(stdin_lines(stream, stop))
    os.close(writer)


def test_a_stream_that_is_no_file_is_read_as_it_is() -> None:
    assert list(stdin_lines(io.StringIO("a\nb\n"), Stop())) == ["a\n", "b\n"]
    assert sys.stdin is not None
