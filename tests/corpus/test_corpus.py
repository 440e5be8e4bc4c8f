"""The whole corpus of bad input, as a person meets it: by the real command, measured."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from commandline import BAD_SCRIPT, GOOD_SCRIPT, GREETER, GREETER_TESTS
from corpus import command_lines, heavy, replies, scenario_files, workflows
from corpus.prober import Command, Outcome, Prober
from suites import WORKFLOW as ASKING

SECONDS, MEGABYTES = 4.0, 200.0  # 1.0 on a machine with nothing else to do: see bench/fuzz.py
SCRIPT = "format: 1\nreplies: [{reply: Alice}]\n"
LLM = ("--llm", "script:any.script.yaml")
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Place:
    """A folder with files in it, and commands that are run there."""

    def __init__(self, prober: Prober, folder: Path) -> None:
        self.folder = folder
        self._prober = prober

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode(errors=SURROGATES)
            (self.folder / name).write_bytes(data)

    def run(
        self,
        *arguments: str,
        code: int | Sequence[int] = 2,
        words: Sequence[str] = (),
        seconds: float = SECONDS,
        **how: object,
    ) -> Outcome:
        """Run one command line; check all that must hold for every one of them."""
        before = listing(self.folder)
        environment = {"HOME": str(self.folder.parent / "home"), "COLUMNS": "80"}
        done = self._prober.run(
            Command(arguments, str(self.folder), environment=environment, **how)
        )
        assert not done.hung
        assert done.code in ([code] if isinstance(code, int) else code), done.said[-1500:]
        assert done.seconds <= seconds
        assert done.memory <= MEGABYTES
        assert "Traceback" not in done.said
        assert not CONTROL.search(done.said)
        missing = [word for word in words if word.lower() not in done.said.lower()]
        assert not missing, done.said[-1500:]
        after = listing(self.folder)
        assert {name: after.get(name) for name in before} == before
        if done.code == 2:
            assert after.keys() == before.keys()
        if "--json" in arguments:
            json.loads(done.out)
        return done


SURROGATES = "surrogateescape"


def listing(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every regular file below *folder*; of a large one only the size."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "lock":  # who holds it stands in it
            size = path.stat().st_size
            found[str(path)] = (size, path.read_bytes() if size < 1_000_000 else b"")
    return found


@pytest.fixture
def place(prober: Prober, tmp_path: Path) -> Place:
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    found = Place(prober, tmp_path / "here")
    found.write({"any.script.yaml": SCRIPT})
    return found


def named(rows: Sequence[tuple]) -> list[object]:
    """The rows as parameters; a name that stands twice gets a number."""
    seen: dict[str, int] = {}
    params: list[object] = []
    for name, *values in rows:
        count = seen[name] = seen.get(name, 0) + 1
        shown = re.sub(r"[^\w./'{}\[\]-]+", "-", name) + (f"-{count}" if count > 1 else "")
        params.append(pytest.param(*values, id=shown))
    return params


# W — workflow files


@pytest.fixture
def workflow(place: Place) -> Place:
    workflows.prepare(place.folder)
    tests = "workflow: w.yaml\ntest_scenarios:\n- name: A\n  assertions:\n"
    place.write({"w.test.yaml": tests + "  - {type: state_reached, value: end}\n"})
    return place


@pytest.mark.parametrize(("content", "code", "line", "words"), named(workflows.ERRORS))
def test_a_bad_workflow_is_refused_by_every_command_with_its_place_and_a_way_out(
    workflow: Place, content: str | bytes, code: str, line: int, words: str
) -> None:
    workflow.write({"w.yaml": content})
    where = f"w.yaml:{line}:" if line else "w.yaml: error: "
    workflow.run("validate", "w.yaml", words=(where, words))
    done = workflow.run("validate", "w.yaml", "--json")
    document = json.loads(done.out)
    assert not document["valid"]
    assert (code, line) in [(found["code"], found["line"]) for found in document["problems"]]
    for command in ("run", "finetune"):
        done = workflow.run(command, "w.yaml", *LLM, words=(where, words))
        assert done.out == ""
    workflow.run("validate", "w.test.yaml", words=(where, words))


@pytest.mark.parametrize(("content", "code", "line", "words"), named(workflows.WARNINGS))
def test_an_odd_workflow_is_used_with_a_warning(
    workflow: Place, content: str, code: str, line: int, words: str
) -> None:
    workflow.write({"w.yaml": content})
    where = f"w.yaml:{line}:"
    workflow.run("validate", "w.yaml", code=0, words=(where, "warning", words))
    workflow.run("run", "w.yaml", *LLM, "--max-steps", "5", code=(0, 1), words=(where, words))
    done = workflow.run("run", "w.yaml", *LLM, "--max-steps", "5", "--json", code=(0, 1))
    assert json.loads(done.out)["status"] in ("completed", "failed")
    workflow.run("test", "w.yaml", *LLM, code=(0, 1))
    workflow.run("finetune", "w.yaml", *LLM, "-i", "1", code=(0, 1))


@pytest.mark.parametrize("content", named(workflows.ACCEPTED))
def test_an_unusual_workflow_is_simply_used(workflow: Place, content: str | bytes) -> None:
    workflow.write({"w.yaml": content})
    workflow.run("validate", "w.yaml", code=0, words=("w.yaml: valid\n",))
    workflow.run("run", "w.yaml", *LLM, code=0)
    workflow.run("finetune", "w.yaml", *LLM, "-i", "1", code=0)
    assert (workflow.folder / "w.finetuned.yaml").exists()


PATHS = [
    ("W58-a-value-leads-up", "../../etc/passwd", "refused"),
    ("W58-a-value-is-absolute", "/etc/passwd", "refused"),
    ("W58-a-value-is-a-home", "~/x.txt", "no such file"),
    ("W58-a-value-is-a-link-out", "link.txt", "refused"),
    ("W58-a-value-is-a-device", "/dev/zero", "refused"),
    ("W58-a-value-is-a-pipe", "pipe", "its kind is not known"),
    ("W58-a-value-holds-a-placeholder", "{{secret}}.txt", "no such file"),
]


@pytest.mark.parametrize(("answer", "words"), named(PATHS))
def test_a_path_that_an_answer_makes_stays_inside(workflow: Place, answer: str, words: str) -> None:
    (workflow.folder / "link.txt").symlink_to("/etc/passwd")
    text = workflows.state("prompt: hi\nfiles: ['{{x}}']").replace("state: a", "state: ask")
    asks = "  ask: {type: input, prompt: which, save_as: x, next: a}\n"
    workflow.write({"w.yaml": text + asks})
    arguments = ("run", "w.yaml", *LLM, "--strict", "--input", f"ask={answer}")
    done = workflow.run(*arguments, code=1, words=("state 'a'", words))
    assert "root:" not in done.said


# T — test files


@pytest.fixture
def suite(place: Place) -> Place:
    place.write({"greeter.yaml": ASKING})
    return place


@pytest.mark.parametrize(("text", "words"), named(scenario_files.ERRORS))
def test_a_bad_test_file_is_refused_by_every_command(suite: Place, text: str, words: str) -> None:
    suite.write({"greeter.test.yaml": text})
    where = "greeter.test.yaml:"
    suite.run("validate", "greeter.test.yaml", words=(where, words))
    done = suite.run("validate", "greeter.test.yaml", "--json")
    problems = json.loads(done.out)["problems"]
    assert any(found["severity"] == "error" for found in problems)
    done = suite.run("test", "greeter.test.yaml", *LLM, words=(where, words))
    assert done.out == ""
    # Told which workflow it is for, a test file need not name it rightly.
    done = suite.run("finetune", "greeter.yaml", *LLM, code=(1, 2))
    assert done.code == 2 or "workflow" in text


@pytest.mark.parametrize(("text", "words"), named([r for r in scenario_files.WARNINGS if r[0]]))
def test_an_odd_test_file_is_used_with_a_warning(suite: Place, text: str, words: str) -> None:
    suite.write({"greeter.test.yaml": text})
    suite.run(
        "validate", "greeter.test.yaml", code=0, words=("greeter.test.yaml:", "warning", words)
    )
    suite.run("test", "greeter.test.yaml", *LLM, code=(0, 1), words=(words,))


@pytest.mark.parametrize("text", named([r for r in scenario_files.ACCEPTED if r[0]]))
def test_an_unusual_test_file_is_simply_used(suite: Place, text: str) -> None:
    suite.write({"greeter.test.yaml": text})
    suite.run("validate", "greeter.test.yaml", code=0, words=("greeter.test.yaml: valid\n",))
    suite.run("test", "greeter.test.yaml", *LLM, code=(0, 1))


@pytest.mark.parametrize("case", named([("T11-slow-pattern", None)]))
def test_a_pattern_that_takes_for_ever_is_given_up_and_is_no_verdict(
    suite: Place, case: None
) -> None:
    text = scenario_files.one("{type: regex, target: greeting, value: '(a+)+$'}")
    suite.write(
        {
            "greeter.test.yaml": text,
            "any.script.yaml": SCRIPT.replace("Alice", "a" * 60 + "!"),
        }
    )
    words = ("pattern took longer than 1 s",)
    # The process that searches may have its second, whatever the command itself needs.
    suite.run("test", "greeter.yaml", *LLM, code=1, words=words, seconds=SECONDS + 1.2)


@pytest.mark.parametrize("case", named([("T17-missing-input", None)]))
def test_an_input_that_is_asked_for_and_not_given_is_warned_of(suite: Place, case: None) -> None:
    suite.write(
        {
            "greeter.yaml": ASKING.replace(", default_value: Bob", ""),
            "greeter.test.yaml": scenario_files.one(scenario_files.ANY),
        }
    )
    suite.run("validate", "greeter.test.yaml", code=0, words=("no input for 'ask'", "warning"))
    suite.run("test", "greeter.yaml", *LLM, code=1, words=("no input for 'ask'",))


# C — command lines


@pytest.fixture
def greeter(place: Place) -> Place:
    (place.folder / "folder").mkdir()
    place.write(
        {
            "greeter.yaml": GREETER,
            "greeter.test.yaml": GREETER_TESTS,
            "good.yaml": GOOD_SCRIPT,
            "bad.yaml": BAD_SCRIPT,
        }
    )
    return place


C_ROWS = [(f"C{int(name[:2])}{name[2:]}", *rest) for name, *rest in command_lines.BAD]


@pytest.mark.parametrize(("arguments", "words"), named(C_ROWS))
def test_a_bad_command_line_is_refused(
    greeter: Place, arguments: tuple[str, ...], words: str
) -> None:
    done = greeter.run(*arguments, words=(words,))
    assert "secret" not in done.said
    assert done.out == "" or arguments[0] == "validate"


WORLD = [
    ("C17-no-such-weights", ("run", "greeter.yaml", "--llm", "llamacpp:nope"), 3, "no weights"),
    ("C17-no-server", ("run", "greeter.yaml", "-u", "http://127.0.0.1:9"), 3, "127.0.0.1:9"),
    ("C17-no-server-list", ("list-models", "-u", "http://127.0.0.1:9"), 3, "127.0.0.1:9"),
    ("C6-user-and-password", ("run", "greeter.yaml", "-u", "http://me:secret@127.0.0.1:9"), 3,
     "127.0.0.1:9"),
    ("C8-flag-twice", ("validate", "greeter.yaml", "--strict", "--strict"), 0, "valid"),
    ("C9-dash", ("validate", "--", "-x.yaml"), 2, "-x.yaml"),
    ("C14-json-verbose", ("validate", "greeter.yaml", "--json", "-v"), 0, '"valid": true'),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "words"), named(WORLD))
def test_what_the_world_does_not_have_is_told(
    greeter: Place, arguments: tuple[str, ...], code: int, words: str
) -> None:
    # Three tries with pauses are made before a server counts as down.
    done = greeter.run(*arguments, code=code, words=(words,), seconds=3 * SECONDS)
    assert "secret" not in done.said


FILES = [*command_lines.NAMES, "ü" * 125 + ".yaml", "a.yaml.b/x.yaml"]


@pytest.mark.parametrize("name", named([("C10-" + repr(name)[:40], name) for name in FILES]))
def test_a_file_may_be_called_anything(greeter: Place, name: str) -> None:
    (greeter.folder / name).parent.mkdir(exist_ok=True)
    greeter.write({name: GREETER})
    greeter.run("validate", "--", name, code=0, words=("valid",))
    greeter.run("run", "--llm", "script:good.yaml", "--", name, code=0)
    greeter.write({name: "name: x"})
    greeter.run("run", "--llm", "script:good.yaml", "--", name, words=("'states' is missing",))


STREAMS = [
    ("C20-no-stdin", {"closed": [0]}, (), 0, ""),
    ("C20-no-stdin-to-read", {"closed": [0]}, ("-",), 2, "empty"),
    ("C20-no-stderr", {"closed": [2]}, (), 0, ""),
    ("C20-no-stdout", {"closed": [1]}, (), 0, ""),
    ("C20-nothing", {"closed": [0, 1, 2]}, (), 0, ""),
    ("C7-full", {"stdout": "/dev/full"}, (), 3, "No space left"),
]


@pytest.mark.parametrize(("how", "more", "code", "words"), named(STREAMS))
def test_streams_may_be_missing_or_full(
    greeter: Place, how: dict[str, object], more: tuple[str, ...], code: int, words: str
) -> None:
    greeter.run("validate", *(more or ("greeter.yaml",)), code=code, words=(words,), **how)
    file = more or ("greeter.yaml",)
    greeter.run("run", *file, "--llm", "script:good.yaml", code=code, words=(words,), **how)


@pytest.mark.parametrize("case", named([("C13-finished-run", None)]))
def test_a_finished_run_is_not_resumed(greeter: Place, case: None) -> None:
    script = ("--llm", "script:good.yaml")
    greeter.run("finetune", "greeter.yaml", *script, "-i", "1", code=0)
    greeter.run("resume", *script, words=("finished", "-i NUMBER"))
    greeter.run("resume", "greeter.yaml", *script, words=("finished",))
    (greeter.folder / "elsewhere").mkdir()
    other = Place(greeter._prober, greeter.folder / "elsewhere")
    other.run("resume", *script, words=("there is no run",))


@pytest.mark.parametrize("case", named([("C19-ten-thousand-files", None)]))
def test_ten_thousand_files_are_told_apart(greeter: Place, case: None) -> None:
    names = [f"missing-{number}.yaml" for number in range(10_000)]
    done = greeter.run("validate", *names, words=("missing-9999.yaml",), seconds=3 * SECONDS)
    assert done.out.count("error:") == 10_000
    text = workflows.state("prompt_file: missing-1.yml")
    (greeter.folder / "many").mkdir()
    for name in names:
        (greeter.folder / "many" / name).touch()
    greeter.write({"many/w.yaml": text})
    greeter.run("validate", "many/w.yaml", words=("does not exist",))


# L — replies


@pytest.fixture
def mood(place: Place) -> Place:
    place.write({"mood.yaml": replies.WORKFLOW, "mood.test.yaml": replies.TESTS})
    return place


def finetuned(mood: Place, script: Sequence[Mapping[str, object]], *, code: object = 1) -> Outcome:
    mood.write({"l.script.yaml": json.dumps({"format": 1, "replies": script})})
    llm = ("--llm", "script:l.script.yaml")
    # A whole run with many calls is no single input: it may take a second beside the imports.
    done = mood.run("finetune", "mood.yaml", *llm, "-i", "3", code=code, seconds=2 * SECONDS)
    mood.run("validate", "mood.finetuned.yaml", code=0)
    return done


STATE = {"purpose": "state", "reply": "I cannot say."}


@pytest.mark.parametrize("reply", named(list(replies.REPLIES.items())))
def test_a_bad_reply_changes_nothing(mood: Place, reply: str) -> None:
    finetuned(mood, [STATE, {"reply": reply}])
    assert (mood.folder / "mood.finetuned.yaml").read_text() == replies.WORKFLOW


@pytest.mark.parametrize("reply", named(list(replies.ODD_BUT_HARMLESS.items())))
def test_an_odd_reply_is_text_and_nothing_else(mood: Place, reply: str) -> None:
    finetuned(mood, [STATE, {"reply": reply}])
    assert (mood.folder / "mood.finetuned.yaml").read_text() == replies.WORKFLOW
    for path in mood.folder.glob("mood.finetune-iter*.yaml"):
        mood.run("validate", path.name, "--strict", code=0)


@pytest.mark.parametrize("tail", named([(f"L5-cut-{n}", n) for n in range(6)]))
def test_a_reply_that_is_cut_anywhere_changes_nothing(mood: Place, tail: int) -> None:
    cuts = [replies.GOOD[:length] for length in range(tail, len(replies.GOOD), 6)]
    once = [{"purpose": "proposal", "reply": text, "once": True} for text in cuts]
    finetuned(mood, [STATE, *once, {"reply": ""}])
    assert (mood.folder / "mood.finetuned.yaml").read_text() == replies.WORKFLOW


@pytest.mark.parametrize("reply", named(replies.OF_THE_STATE))
def test_what_a_state_is_told_gives_no_orders(mood: Place, reply: str) -> None:
    done = finetuned(mood, [{"purpose": "state", "reply": reply}, {"reply": replies.GOOD}])
    assert not any(line.startswith("::") for line in done.said.splitlines())
    llm = ("--llm", "script:l.script.yaml")
    mood.run("run", "mood.yaml", *llm, "--input", "ask=x", code=0)
    mood.run("test", "mood.yaml", *llm, code=1)
    assert (mood.folder / "mood.finetuned.yaml").read_text() == replies.WORKFLOW


@pytest.mark.parametrize("verdict", named(replies.VERDICTS))
def test_a_verdict_that_is_none_keeps_what_the_user_has(mood: Place, verdict: str) -> None:
    passing = {"purpose": "state", "reply": "sunny"}
    finetuned(mood, [passing, {"purpose": "judge", "reply": verdict}, *replies.HINTS], code=0)
    assert (mood.folder / "mood.finetuned.yaml").read_text() == replies.WORKFLOW


@pytest.mark.parametrize("number", named([("L34-another-reply-each-time", 40)]))
def test_a_model_that_never_repeats_itself_comes_to_an_end(mood: Place, number: int) -> None:
    once = [
        {"purpose": "proposal", "once": True, "reply": replies.prompt(f"Word {n}. {{{{review}}}}")}
        for n in range(number)
    ]
    finetuned(mood, [STATE, *once, {"reply": replies.GOOD}])
    assert (mood.folder / "mood.finetuned.yaml").read_text() == replies.WORKFLOW


# X — what the mutations found


@pytest.mark.parametrize(("files", "target", "code"), named(heavy.ITEMS))
def test_a_file_at_the_limits_is_told_of_in_time(
    place: Place, files: Mapping[str, str], target: str, code: int
) -> None:
    place.write(files)
    done = place.run("validate", target, code=code)
    assert len(done.out) < 100_000


BAD_SCRIPTS = [
    ("X-script-deep", "format: 1\nreplies: " + "[" * 50_000),
    ("X-script-nested", "format: 1\nreplies: [{reply: " + "[" * 900 + "]" * 900 + "}]"),
    ("X-script-bomb", "a: &a [x]\nb: &b [" + "*a," * 9 + "]\nformat: 1\nreplies: [{reply: *b}]"),
    ("X-script-many-rules", "format: 1\nreplies:\n" + "- {reply: x}\n" * 30_000),
    ("X-script-long-sleep", "format: 1\nreplies: [{seconds: 1e9, reply: x}]"),
    ("X-script-big-number", "format: 1\nreplies: [{reply: x, seconds: " + "9" * 5000 + "}]"),
    ("X-script-type", "format: 1\nreplies: [{reply: x, when: {a: b}}]"),
]


@pytest.mark.parametrize("script", named(BAD_SCRIPTS))
def test_a_bad_script_is_refused(greeter: Place, script: str) -> None:
    greeter.write({"odd.yaml": script})
    for command in ("run", "test", "finetune"):
        done = greeter.run(
            command, "greeter.yaml", "--llm", "script:odd.yaml", words=("odd.yaml:",)
        )
        assert done.out == ""


def test_every_item_of_the_corpus_is_here() -> None:
    ids = [row[0] for row in (*workflows.ERRORS, *workflows.WARNINGS, *workflows.ACCEPTED)]
    assert {int(re.match(r"W(\d+)", name)[1]) for name in ids} == set(range(1, 72))
    rows = (*scenario_files.ERRORS, *scenario_files.WARNINGS, *scenario_files.ACCEPTED)
    found = {row[0].split()[0] for row in rows if row[0]} | {"T17"}
    assert found == {f"T{number}" for number in range(1, 24)}
    kinds = {re.match(r"C(\d+)", row[0])[1] for row in (*C_ROWS, *WORLD, *STREAMS)} | {"10", "19"}
    assert kinds == {str(n) for n in range(1, 21)} - {"15", "16"}  # approval and settings: to come
    names = (*replies.REPLIES, *replies.ODD_BUT_HARMLESS)
    listed = (*names, *(row[0] for row in (*replies.OF_THE_STATE, *replies.VERDICTS)), "L5", "L34")
    assert {int(re.match(r"L(\d+)", name)[1]) for name in listed} == set(range(1, 36))


assert os.name == "posix", "devices, pipes and forks"
