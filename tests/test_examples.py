"""Every example is valid and does offline, on its script, what it is there to show."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from finetune_fsm import (
    LLMError,
    Request,
    Rollout,
    Run,
    ScriptedLLM,
    Suite,
    Workflow,
    finetune,
    load_suite,
    load_workflow,
    run_suite,
    run_workflow,
)
from finetune_fsm.execution.inputs import MappingInputs
from finetune_fsm.execution.limits import Settings
from finetune_fsm.execution.rollout import RunStatus
from finetune_fsm.improve.model import Strategy
from finetune_fsm.llm.scripted import load_script
from finetune_fsm.loop.outcomes import Ending
from finetune_fsm.scenarios.load import check_suite
from finetune_fsm.scenarios.model import AssertionType, SuiteReport
from finetune_fsm.workflow.load import check_file
from finetune_fsm.workflow.model import PLACEHOLDER, State, StateKind

Copy = Callable[[Path], Path]
"""Copies a folder of examples to a place where files may be written."""

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
README = EXAMPLES / "README.md"
FOLDERS = sorted(path.parent for path in EXAMPLES.glob("*/*.script.yaml"))
SUITES = sorted(path for folder in FOLDERS for path in folder.glob("*.test.yaml"))

FLAWED = {
    "commit-message": Strategy.REWRITE,
    "recipe-scaler": Strategy.REPAIR,
    "returns-desk": Strategy.REPAIR,
    "ticket-triage": Strategy.REPAIR,
    "trip-planner": Strategy.REPAIR,
}
"""Examples that fail their tests on purpose, and what repairs them."""

IMPROVED = "simple-greeter"
"""The example that passes its tests and that finetune improves all the same."""

WARNED = {"recipe-scaler": {"unused_save"}, "trip-planner": {"unreachable"}}
"""Flaws that validation sees; they are the point of these examples."""

CONTENT = [f for f in FOLDERS if f.name not in FLAWED and f.name != IMPROVED]
SOUND_SUITES = [path for path in SUITES if path.parent.name not in FLAWED]


def by_name(path: Path) -> str:
    return path.name.removesuffix(".test.yaml")


each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=by_name)
each_suite = pytest.mark.parametrize("tests", SUITES, ids=by_name)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError(f"an example wants the network: {args[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture
def copied(tmp_path: Path) -> Copy:
    return lambda folder: shutil.copytree(folder, tmp_path / folder.name)


def workflow_file(folder: Path) -> Path:
    return folder / f"{folder.name}.yaml"


def script_of(folder: Path) -> ScriptedLLM:
    return load_script(folder / f"{folder.name}.script.yaml")


def loaded(tests: Path) -> tuple[Workflow, Suite]:
    suite = load_suite(tests)
    return load_workflow(tests.parent / suite.workflow), suite


def report_of(tests: Path) -> SuiteReport:
    workflow, suite = loaded(tests)
    return run_suite(workflow, suite, script_of(tests.parent))


def improved(folder: Path, llm: ScriptedLLM | None = None) -> Run:
    return finetune(workflow_file(folder), llm=llm or script_of(folder))


def bytes_in(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def why(report: SuiteReport) -> str:
    lines = [f"{r.scenario.name}: {r.error}" for r in report.results if r.error]
    failures = [f for r in report.results for f in r.failures]
    return "\n".join([*lines, *(f"{f.message}: {f.actual!r}" for f in failures)])


# What is on disk


def test_a_folder_holds_a_workflow_a_test_file_and_a_script_of_its_name() -> None:
    assert len(FOLDERS) >= 17
    for folder in FOLDERS:
        names = {path.name for path in folder.iterdir()}
        assert {f"{folder.name}.{kind}" for kind in ("yaml", "test.yaml", "script.yaml")} <= names


@each_suite
def test_a_workflow_is_valid_without_a_warning_unless_its_flaw_is_the_point(tests: Path) -> None:
    suite = load_suite(tests)
    checked = check_file(tests.parent / suite.workflow, strict=True)
    assert checked.workflow is not None
    assert {problem.code for problem in checked.problems} == WARNED.get(tests.parent.name, set())


@each_suite
def test_a_test_file_fits_its_workflow(tests: Path) -> None:
    assert check_suite(tests).problems == ()


@each_suite
def test_an_example_says_what_it_is_for_and_uses_a_small_model(tests: Path) -> None:
    workflow, _ = loaded(tests)
    assert workflow.description
    assert workflow.default_model == "gemma3:4b"
    assert workflow.text.startswith("# ")


def test_the_examples_together_show_every_feature() -> None:
    shown = {feature for tests in SUITES for feature in features(*loaded(tests))}
    assert shown >= {
        *(f"state:{kind}" for kind in StateKind),
        *(f"assertion:{kind}" for kind in AssertionType),
        *("variable:str", "variable:value", "variable:file"),
        *("file:.csv", "file:.docx", "file:.pdf", "file:.png", "file:.txt"),
        *("prompt steps", "input steps", "default_value", "next_options", "prompt_file"),
        *("model", "option:temperature", "option:num_predict", "on_error", "loop"),
        *("run_directory", "error", "error_state"),
    }


def features(workflow: Workflow, suite: Suite) -> Iterator[str]:
    for scenario in suite.scenarios:
        yield from (f"assertion:{assertion.type}" for assertion in scenario.assertions)
    for value in workflow.document.get("variables", {}).values():
        yield "variable:" + (next(iter(value)) if isinstance(value, dict) else "str")
    for state in workflow.states.values():
        yield f"state:{state.kind}"
        yield from (f"option:{name}" for name in state.options)
        yield from state.reads & {"run_directory", "error", "error_state"}
        if state.origin[2:3] == ("steps",):
            yield f"{state.kind} steps"
        if state.kind is StateKind.INPUT and state.default_value:
            yield f"file:{Path(state.default_value).suffix}"
        yield from (f"file:{Path(path).suffix}" for path in state.files)
        for name in ("default_value", "next_options", "prompt_file", "model", "on_error"):
            if getattr(state, name):
                yield name
        if state.name in reachable(workflow, state):
            yield "loop"


def reachable(workflow: Workflow, start: State) -> set[str]:
    """Names of the states that may follow *start*, at once or later."""
    found: set[str] = set()
    ahead = list(start.targets)
    while ahead:
        name = ahead.pop()
        if name in workflow.states and name not in found:
            found.add(name)
            ahead += workflow.states[name].targets
    return found


def test_the_readme_has_a_row_for_every_folder_and_names_only_files_that_exist() -> None:
    text = README.read_text("utf-8")
    rows = re.findall(r"^\| \[([\w-]+)\]\(([\w-]+)/?\) \|", text, re.MULTILINE)
    folders = {path.parent.name for path in EXAMPLES.glob("*/*.yaml")}
    assert [name for name, _ in rows] == sorted(folders)
    assert all(name == target for name, target in rows)
    for path in re.findall(r"[\w-]+/[\w.-]+\.yaml", text):
        made = path.replace(".finetuned.yaml", ".yaml")
        assert (EXAMPLES / made).is_file(), path


# What they do


@pytest.mark.parametrize("tests", SOUND_SUITES, ids=by_name)
def test_a_suite_passes_on_its_script(tests: Path) -> None:
    report = report_of(tests)
    assert report.solved, why(report)


@each_folder
def test_a_person_who_only_presses_enter_gets_to_the_end(folder: Path) -> None:
    rollout = rolled_out(folder, {})
    assert rollout.status is RunStatus.COMPLETED, rollout.error


def rolled_out(folder: Path, answers: Mapping[str, str], llm: ScriptedLLM | None = None) -> Rollout:
    return run_workflow(
        load_workflow(workflow_file(folder)),
        llm or script_of(folder),
        inputs=MappingInputs(answers),
        options=Settings(fatal_raises=True),
    )


@pytest.mark.parametrize("tests", SOUND_SUITES, ids=by_name)
def test_a_prompt_that_loses_its_placeholders_fails_the_suite(tests: Path) -> None:
    workflow, suite = loaded(tests)
    for state in workflow.states.values():
        if state.kind is StateKind.PROMPT and PLACEHOLDER.search(state.prompt or ""):
            bare = replace(state, prompt=PLACEHOLDER.sub("", state.prompt))
            broken = replace(workflow, states={**workflow.states, state.name: bare})
            assert not passes(broken, suite, tests.parent), state.name


def passes(workflow: Workflow, suite: Suite, folder: Path) -> bool:
    """Whether the suite passes; a script without a reply says no."""
    try:
        return run_suite(workflow, suite, script_of(folder)).solved
    except LLMError:
        return False


def test_the_letter_goes_round_its_loop_until_it_is_approved() -> None:
    visited = rolled_out(EXAMPLES / "cover-letter", {}).visited
    assert visited[-6:] == ("draft", "review", "revise", "review", "approved", "end")


def test_the_picture_of_the_receipt_is_sent_as_a_picture() -> None:
    llm = script_of(EXAMPLES / "expense-check")
    rolled_out(EXAMPLES / "expense-check", {}, llm)
    images = [image for request in llm.requests for m in request.messages for image in m.images]
    assert images == [(EXAMPLES / "expense-check" / "receipt.png").read_bytes()]


def test_each_state_of_the_name_finder_asks_its_own_model_with_its_own_options() -> None:
    llm = script_of(EXAMPLES / "name-finder")
    rolled_out(EXAMPLES / "name-finder", {}, llm)
    asked = [(r.label, r.model, r.options["temperature"]) for r in llm.requests]
    assert asked == [
        ("brainstorm", "gemma3:1b", 1.1),
        ("choose", "gemma3:4b", 0),
        ("pitch", "gemma3:4b", 0.7),
    ]


def test_an_essay_is_read_from_the_run_directory(tmp_path: Path) -> None:
    folder = EXAMPLES / "essay-coach"
    shutil.copy(folder / "sample-essay.txt", tmp_path / "essay.txt")
    llm = ScriptedLLM(lambda request: request.text)
    rollout = run_workflow(
        load_workflow(workflow_file(folder)),
        llm,
        inputs=MappingInputs({}),
        run_directory=tmp_path,
    )
    assert "Should school start later?" in rollout.variables["feedback"]
    assert rollout.warnings == ()


# What finetune makes of them


@pytest.mark.parametrize("folder", CONTENT, ids=by_name)
def test_finetune_leaves_a_good_example_as_it_is(folder: Path, copied: Copy) -> None:
    place = copied(folder)
    run = improved(place)
    assert run.ending in (Ending.SOLVED, Ending.PASSED)
    assert run.iteration == 1
    assert run.output is not None
    assert run.output.read_bytes() == workflow_file(folder).read_bytes()


@pytest.mark.parametrize("name", sorted(FLAWED))
def test_a_flawed_example_fails_and_finetune_repairs_it(name: str, copied: Copy) -> None:
    folder = EXAMPLES / name
    tests = folder / f"{name}.test.yaml"
    assert not report_of(tests).solved
    place = copied(folder)
    run = improved(place)
    assert run.solved, why(run.best.report)
    assert run.ending is Ending.SOLVED
    accepted = [record.headline.strategy for record in run.history if record.accepted]
    assert accepted == ["", FLAWED[name]]
    kept = bytes_in(place)
    assert {file: kept[file] for file in bytes_in(folder)} == bytes_in(folder)
    checked = check_file(run.output, strict=True)
    assert checked.problems == ()
    again = run_suite(checked.workflow, load_suite(tests), script_of(folder))
    assert again.solved, why(again)


def test_finetune_improves_the_greeter_in_three_iterations(copied: Copy) -> None:
    place = copied(EXAMPLES / IMPROVED)
    run = improved(place)
    assert [(r.iteration, r.passed, r.accepted) for r in run.history] == [
        (1, 1, True),
        (2, 1, True),
        (3, 1, True),
    ]
    assert run.ending is Ending.SOLVED
    before, after = load_workflow(workflow_file(place)), load_workflow(run.output)
    assert before.states["greet"].prompt == "Say hello"
    assert len(after.states["greet"].prompt) > 100
    assert re.findall("#.*", after.text) == re.findall("#.*", before.text)


@each_folder
def test_every_rule_of_a_script_is_used(folder: Path, copied: Copy) -> None:
    llm = script_of(folder)
    rules = tuple(llm._rules)
    improved(copied(folder), llm)
    for tests in folder.glob("*.test.yaml"):
        run_suite(*loaded(tests), llm)
    rolled_out(folder, {}, llm)
    used = {first_fitting(rules, request) for request in llm.requests}
    assert [rule for i, rule in enumerate(rules) if i not in used] == []


def first_fitting(rules: tuple, request: Request) -> int:
    return next(i for i, rule in enumerate(rules) if rule.fits(request) is not None)
