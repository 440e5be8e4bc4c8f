"""``agentmech compare``: what it finds, every form of the report, and the exit code."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import GREETER, Agentmech, Done
from faults.terminal import CTRL_C, terminal

from finetune_fsm.errors import ExitCode

Compare = Callable[..., Done]

SCENARIO = """\
  - name: Greets {name}
    inputs: [{{state: ask, value: {name}}}]
    assertions:
      - {{type: contains, target: greeting, value: {name}}}
"""
NAMES = ("Ann", "Bob", "Cem", "Dora", "Eve", "Fritz", "Gina")
DEAF = GREETER.replace('"Greet {{name}}"', '"Welcome {{name}}"')
SCRIPT = """\
format: 1
replies:
  - {when: "Welcome", reply: "Hello Gina!"}
  - {when: "Greet (?P<who>.*)", reply: "Hello {{who}}!"}
"""


@pytest.fixture
def compare(agentmech: Agentmech, tmp_path: Path) -> Compare:
    """Run ``agentmech compare`` where good.yaml greets all seven and deaf.yaml Gina alone."""
    (tmp_path / "good.yaml").write_text(GREETER)
    (tmp_path / "deaf.yaml").write_text(DEAF)
    tests = "".join(SCENARIO.format(name=name) for name in NAMES)
    (tmp_path / "deaf.test.yaml").write_text(f"workflow: deaf.yaml\ntest_scenarios:\n{tests}")
    (tmp_path / "script.yaml").write_text(SCRIPT)
    return lambda *arguments, **more: agentmech(
        "compare", *arguments, "--llm", "script:script.yaml", **more
    )


def test_the_better_one_is_told_with_all_that_it_won(compare: Compare) -> None:
    done = compare("deaf.yaml", "good.yaml")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:4] == [
        "Comparing 2 workflows on 7 scenarios of deaf.test.yaml",
        "",
        "A  deaf.yaml  (the baseline)",
        "B  good.yaml",
    ]
    assert re.match(r"A  1 of 7   14 %       2 - 52 %    1\.0 ", lines[6])
    assert re.match(r"B  7 of 7  100 %     64 - 100 %    1\.0 ", lines[7])
    assert "B is better than A" in lines
    assert "  6 won, 0 lost, 1 tied; p = 0.031 (exact sign test)" in lines
    assert [line for line in lines if line.startswith("  + ")] == [
        f"  + Greets {name}" for name in NAMES[:-1]
    ]
    assert re.match(r"14 model calls, \d+ tokens, ", lines[-1])


@pytest.mark.parametrize(
    ("order", "flag", "code"),
    [
        (("deaf.yaml", "good.yaml"), ("--fail-on-regression",), 0),
        (("good.yaml", "deaf.yaml"), (), 0),
        (("good.yaml", "deaf.yaml"), ("--fail-on-regression",), 1),
        (("good.yaml", "good.yaml", "deaf.yaml"), ("--fail-on-regression", "-q"), 1),
        (("good.yaml", "good.yaml"), ("--fail-on-regression", "--json"), 0),
        (("deaf.yaml", "deaf.yaml"), ("--fail-on-regression", "-f", "markdown"), 0),
    ],
)
def test_a_lost_scenario_is_a_failure_only_where_one_asks_for_it(
    order: tuple[str, ...], flag: tuple[str, ...], code: int, compare: Compare
) -> None:
    assert compare(*order, "--tests", "deaf.test.yaml", *flag).code == code


def test_one_lost_scenario_is_enough_for_a_failure_though_it_proves_nothing(
    compare: Compare, tmp_path: Path
) -> None:
    few = f"workflow: good.yaml\ntest_scenarios:\n{SCENARIO.format(name='Ann')}"
    (tmp_path / "few.yaml").write_text(few)
    arguments = ("good.yaml", "deaf.yaml", "--tests", "few.yaml", "--fail-on-regression")
    done = compare(*arguments)
    assert done.code == ExitCode.FAILED
    assert "B: too few scenarios to tell from A — it would take about 6 like these" in done.out
    assert "  - Greets Ann" in done.out


def test_json_is_the_document_alone(compare: Compare) -> None:
    for arguments in (("--json",), ("-f", "json"), ("-f", "json", "-o", "-")):
        done = compare("deaf.yaml", "good.yaml", "--repeat", "3", *arguments)
        assert done.out.isascii()
        document = done.document
        assert (document["tests"], document["scenarios"]) == ("deaf.test.yaml", 7)
        assert document["repeat"] == 3
        assert document["regressed"] is False
        assert document["asked"]["llm_calls"] == 42
        first, second = document["workflows"]
        assert (first["passed"], first["runs"], first["llm_calls"]) == (3, 21, 21)
        assert second["against_first"]["finding"] == "better"
        assert second["scenarios"][0] == {
            "name": "Greets Ann",
            "passed": True,
            "draws": [True, True, True],
        }


@pytest.mark.parametrize(
    ("name", "begins"), [("r.json", "{"), ("r.md", "# "), ("r.txt", "Comparing")]
)
def test_the_ending_of_the_output_says_the_form(
    name: str, begins: str, compare: Compare, tmp_path: Path
) -> None:
    done = compare("deaf.yaml", "good.yaml", "-o", f"new/{name}")
    assert (done.code, done.out) == (0, "")
    assert (tmp_path / "new" / name).read_text().startswith(begins)
    assert done.err == f"report: new/{name}\n"


def test_quiet_is_the_report_without_its_title(compare: Compare) -> None:
    done = compare("deaf.yaml", "good.yaml", "-q")
    assert done.out.startswith("A  deaf.yaml")
    assert "B is better than A" in done.out
    assert done.err == ""


def test_one_model_can_be_asked_by_all(compare: Compare, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(GREETER.replace("default_model: m", "default_model: n"))
    arguments = ("good.yaml", "other.yaml", "--tests", "deaf.test.yaml", "--json")
    asked = [
        compare(*arguments, *more).document["asked"]["llm_calls"] for more in ((), ("-m", "x"))
    ]
    assert asked == [14, 7]


def test_a_workflow_may_come_from_standard_input(compare: Compare) -> None:
    done = compare("deaf.yaml", "-", stdin=GREETER)
    assert done.code == 0
    assert "B  <stdin>" in done.out
    assert "B is better than A" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("good.yaml",), "compare needs two workflows"),
        ((), "missing argument"),
        (("good.yaml", "deaf.yaml"), "'good.yaml' has no test file — say --tests"),
        (("-", "deaf.yaml"), "say --tests"),
        (("-", "-", "--tests", "deaf.test.yaml"), "standard input is one workflow"),
        (("deaf.yaml", "good.yaml", "--tests", "-"), "needs a file"),
        (("deaf.yaml", "deaf.test.yaml"), "'deaf.test.yaml' is a test file"),
        (("deaf.yaml", "nope.yaml"), "does not exist"),
        (("deaf.yaml", "good.yaml", "--tests", "nope.yaml"), "does not exist"),
        (("deaf.yaml", "broken.yaml"), "broken.yaml"),
        (("deaf.yaml", "other.yaml"), "with other.yaml: "),
        (("deaf.yaml", "good.yaml", "--repeat", "0"), "--repeat"),
        (("deaf.yaml", "good.yaml", "-o", "r.xml"), "say --format"),
        (("deaf.yaml", "good.yaml", "-o", "good.yaml", "-f", "json"), "is an input"),
        (("deaf.yaml", "good.yaml", "-o", "deaf.test.yaml", "-f", "text"), "is an input"),
        (("deaf.yaml", "good.yaml", "-o", "folder.json"), "is a folder"),
    ],
)
def test_what_cannot_be_compared_or_written_is_refused(
    arguments: tuple[str, ...], words: str, compare: Compare, tmp_path: Path
) -> None:
    (tmp_path / "broken.yaml").write_text(GREETER.replace("next: greet", "next: nowhere"))
    (tmp_path / "other.yaml").write_text(
        GREETER.replace("ask", "question").replace("save_as: greeting", "save_as: words")
    )
    (tmp_path / "folder.json").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = compare(*arguments, stdin=GREETER)
    assert done.code == ExitCode.BAD_INPUT
    assert words in done.err
    assert done.out == ""
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_two_forms_at_once_are_refused(compare: Compare) -> None:
    done = compare("deaf.yaml", "good.yaml", "--json", "-f", "markdown")
    assert done.code == ExitCode.BAD_INPUT
    assert "contradict" in done.document["error"]["message"]


def test_all_problems_of_all_workflows_are_told_at_once(compare: Compare, tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(GREETER.replace("next: greet", "next: nowhere"))
    done = compare("one.yaml", "two.yaml", "--tests", "deaf.test.yaml")
    assert done.code == ExitCode.BAD_INPUT
    assert "one.yaml" in done.err
    assert "two.yaml" in done.err


def test_a_broken_workflow_is_told_as_test_tells_it(
    compare: Compare, agentmech: Agentmech, tmp_path: Path
) -> None:
    (tmp_path / "broken.yaml").write_text(GREETER.replace("next: greet", "next: nowhere"))
    llm = ("--llm", "script:script.yaml")
    tested = agentmech("test", "deaf.test.yaml", "-w", "broken.yaml", *llm)
    compared = compare("deaf.yaml", "broken.yaml")
    assert (compared.code, compared.err) == (tested.code, tested.err)


def test_a_warning_stands_beside_the_report_once(compare: Compare, tmp_path: Path) -> None:
    tests = tmp_path / "deaf.test.yaml"
    tests.write_text(tests.read_text() + "colour: red\n")
    done = compare("deaf.yaml", "good.yaml")
    assert done.code == 0
    assert done.err.count("unknown key 'colour'") == 1
    assert "colour" not in done.out


def test_without_a_model_the_code_is_another_one(compare: Compare, tmp_path: Path) -> None:
    gone = json.dumps({"format": 1, "replies": [{"error": "unreachable"}]})
    (tmp_path / "script.yaml").write_text(gone)
    done = compare("deaf.yaml", "good.yaml", "--json")
    assert done.code == ExitCode.WORLD
    assert done.document["error"]["exit_code"] == 3


# On a terminal

PIECE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


def seen(text: str) -> list[str]:
    """Return the lines that stand on a screen, wide enough for all, after *text* was written."""
    lines, row, column = [""], 0, 0
    for count, order, end, words in PIECE.findall(text):
        if end == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif end == "\r":
            column = 0
        elif order == "A":
            row = max(0, row - int(count or 1))
        elif order == "K":
            lines[row] = "" if count == "2" else lines[row][:column]
        elif words:
            lines[row] = (
                lines[row][:column].ljust(column) + words + lines[row][column + len(words) :]
            )
            column += len(words)
    return [line.rstrip() for line in lines]


def slow_down(folder: Path, seconds: float = 0.3) -> None:
    script = folder / "script.yaml"
    script.write_text(script.read_text().replace('!"}', f'!", seconds: {seconds}}}'))


AGENTMECH = (sys.executable, "-m", "finetune_fsm")
SLOWLY = ("--llm", "script:script.yaml", "-j", "1")


def test_a_terminal_shows_progress_that_leaves_nothing_behind(
    compare: Compare, tmp_path: Path
) -> None:
    piped = compare("deaf.yaml", "good.yaml").out.splitlines()
    slow_down(tmp_path)
    with terminal(
        *AGENTMECH, "compare", "deaf.yaml", "good.yaml", *SLOWLY, folder=tmp_path
    ) as screen:
        screen.wait_for("/14")
        code, _ = screen.wait()
        shown = seen(screen.text)
    assert code == 0
    assert shown[:4] == piped[:4]
    assert "B is better than A" in shown
    assert not [line for line in shown if "/14" in line]
    assert "\x1b[32m" in screen.text


def test_the_results_of_test_stand_on_lines_of_their_own_beside_the_progress(
    compare: Compare, tmp_path: Path
) -> None:
    assert compare
    slow_down(tmp_path, 0.8)  # long enough for the line of progress to come back
    with terminal(*AGENTMECH, "test", "deaf.yaml", *SLOWLY, folder=tmp_path) as screen:
        screen.wait_for("/7")
        code, _ = screen.wait()
        shown = seen(screen.text)
    assert code == ExitCode.FAILED
    assert sum(line.startswith("FAIL  Greets") for line in shown) == 6
    assert not [line for line in shown if "/7" in line]


def test_ctrl_c_ends_it_with_its_code_and_no_report(compare: Compare, tmp_path: Path) -> None:
    assert compare
    slow_down(tmp_path)
    with terminal(
        *AGENTMECH, "compare", "deaf.yaml", "good.yaml", *SLOWLY, folder=tmp_path
    ) as screen:
        screen.wait_for("/14")
        screen.type(CTRL_C)
        code, _ = screen.wait()
    assert code == ExitCode.INTERRUPTED
    assert "A  deaf.yaml" not in screen.text
