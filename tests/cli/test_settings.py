"""Command line before environment before file before default; and files that may be anybody's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from commandline import Agentmech
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.cli import config_file, known
from finetune_fsm.cli.config import Config, parse
from finetune_fsm.cli.config_file import find, upwards
from finetune_fsm.cli.registry import MEANS_OTHERWISE
from finetune_fsm.cli.settings import Effective, effective
from finetune_fsm.errors import FinetuneError

GOOD = "script:good.yaml"

KEYS = sorted({key for options in known.all_options().values() for key in options} | {"url"})

values = st.one_of(
    st.integers(-5, 400).map(str),
    st.sampled_from(
        ['"text"', '"1h"', "true", "false", "1.5", "[]", '["a"]', "{a = 1}", '"\\u0000"']
    ),
    st.text(max_size=10),
)
lines = st.one_of(
    st.builds("{} = {}".format, st.sampled_from(KEYS), values),
    st.builds("{} = {}".format, st.text(max_size=8), values),
    st.builds(
        "[{}]".format, st.sampled_from(["finetune", "test", "fintune", "tool.agentmech", ""])
    ),
    st.text(max_size=20),
)
texts = st.lists(lines, max_size=6).map("\n".join)


@given(texts)
@example("model = 'a'\nmodel = 'b'")
@example("url = ['http://a']\nollama_url = ['http://b']")
@example("jobs = 9999999999999999999999999999")
@example("max_time = 1e999")
@example("finetune = 3")
@settings(max_examples=150)
def test_any_text_is_settings_or_problems_with_a_place(text: str) -> None:
    config = parse(text, "agentmech.toml")
    assert config is not None
    for problem in config.problems:
        assert problem.file == "agentmech.toml"
        assert problem.message
        assert problem.line <= text.count("\n") + 2
    if config.problems:
        return
    for command in known.all_options():
        found = settled(command, config, {})
        if isinstance(found, str):  # a value that fits another command's option alone
            assert "agentmech.toml" in found
            continue
        for setting in found.values():
            assert setting.key in known.options_of(command)
            assert setting.source.startswith("agentmech.toml")


def settled(command: str, config: Config, environ: dict[str, str]) -> Mapping[str, Effective] | str:
    try:
        return effective(command, config, environ=environ)
    except FinetuneError as error:
        return str(error)


@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    )
)
@settings(max_examples=100)
def test_any_environment_is_settings_or_names_the_variable(given_: dict[str, str]) -> None:
    environ = {known.variable_of(key): text for key, text in given_.items()}
    for command in known.all_options():
        found = settled(command, Config(), environ)
        if isinstance(found, str):
            assert "AGENTMECH_" in found
        else:
            assert {setting.source for setting in found.values()} <= set(environ)


LEVELS = ("environment", "table", "top")


@given(st.sets(st.sampled_from(LEVELS)))
def test_the_highest_level_that_says_something_decides(levels: set[str]) -> None:
    text = "jobs = 3\n" if "top" in levels else ""
    text += "[test]\njobs = 2\n" if "table" in levels else ""
    environ = {"AGENTMECH_JOBS": "1"} if "environment" in levels else {}
    config = parse(text, "c.toml")
    assert config is not None
    found = effective("test", config, environ=environ)
    expected = {"environment": ["1"], "table": [2], "top": [3]}
    highest = next((level for level in LEVELS if level in levels), None)
    assert (found["jobs"].value if "jobs" in found else None) == (highest and expected[highest])


def of(text: str, command: str = "test", **environ: str) -> dict[str, object]:
    config = parse(text, "c.toml")
    assert config is not None
    found = effective(command, config, environ=environ)
    return {key: value.written for key, value in found.items()}


def test_whoever_names_a_model_names_all_of_it() -> None:
    both = 'url = "http://a"\n[test]\nllm = "script:x"'
    assert of(both) == {"llm": "script:x"}
    assert of('llm = "script:x"', AGENTMECH_OLLAMA_URL="http://b") == {"ollama_url": "http://b"}
    assert of('llm = "script:x"', AGENTMECH_URL="http://b") == {"ollama_url": "http://b"}
    assert of('url = "http://a"', OLLAMA_HOST="h") == {}
    assert of('llm = "script:x"', OLLAMA_HOST="h") == {"llm": "script:x"}


def test_resume_keeps_what_its_run_was_begun_with() -> None:
    text = 'llm = "script:x"\nmax_iterations = 3\nverbose = 1'
    assert of(text, "resume", AGENTMECH_MAX_CALLS="3") == {"verbose": 1}
    assert of(text + "\n[resume]\nmax_calls = 9", "resume") == {"verbose": 1, "max_calls": 9}


def test_a_name_that_means_something_else_in_a_command_is_set_for_that_command_alone() -> None:
    assert of('model = "a"', "compare", AGENTMECH_MODEL="b") == {}
    assert of('model = "a"\n[compare]\nmodel = "c"', "compare") == {"model": "c"}
    assert of('model = "a"', "finetune") == {"model": "a"}


@pytest.fixture
def configured(greeter: Path) -> Path:
    path = greeter.with_name("agentmech.toml")
    path.write_text(f'llm = "{GOOD}"\n')
    return path


def test_a_file_beside_the_workflow_holds_wherever_one_stands(
    configured: Path, greeter: Path, agentmech: Agentmech, monkeypatch: pytest.MonkeyPatch
) -> None:
    (greeter.parent / "elsewhere").mkdir()
    monkeypatch.chdir(greeter.parent / "elsewhere")
    done = agentmech("test", greeter, "-v")
    assert done.code == 0
    assert f"llm = {GOOD} ({configured}:1)" in done.err


def test_command_line_goes_before_environment_goes_before_file(
    configured: Path, greeter: Path, agentmech: Agentmech, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert agentmech("test", greeter).code == 0
    monkeypatch.setenv("AGENTMECH_LLM", "script:bad.yaml")
    assert agentmech("test", greeter).code == 1
    assert agentmech("test", greeter, "--llm", GOOD).code == 0
    monkeypatch.setenv("AGENTMECH_LLM", "")
    assert agentmech("test", greeter).code == 0
    assert configured.exists()


def test_pyproject_holds_settings_too_and_the_own_file_goes_before(
    greeter: Path, agentmech: Agentmech
) -> None:
    pyproject = greeter.with_name("pyproject.toml")
    pyproject.write_text(f'[project]\nname = "x"\n[tool.agentmech]\nllm = "{GOOD}"\n')
    assert "(pyproject.toml:4)" in agentmech("test", "greeter.yaml", "-v").err
    greeter.with_name("agentmech.toml").write_text('llm = "script:bad.yaml"')
    assert agentmech("test", "greeter.yaml").code == 1


def test_a_pyproject_of_somebody_elses_does_not_matter_broken_or_not(
    greeter: Path, agentmech: Agentmech
) -> None:
    for text in ("[tool.black]\n", "[[[", "\xff"):
        greeter.with_name("pyproject.toml").write_text(text, "latin-1")
        assert agentmech("test", greeter, "--llm", GOOD).code == 0


def test_what_is_wrong_is_told_with_its_line_and_what_was_meant(
    greeter: Path, agentmech: Agentmech
) -> None:
    text = 'modle = "x"\nurl = 3\n\n[test]\njobs = 0\noutput = "x"\n[finetune]\nmax_time = "soon"\n'
    greeter.with_name("agentmech.toml").write_text(text)
    done = agentmech("test", greeter, "--llm", GOOD)
    assert done.code == 2
    for expected in (
        "agentmech.toml:1:1: error: unknown key 'modle' — did you mean 'model'?",
        "agentmech.toml:2:1: error: 'url' must be text",
        "agentmech.toml:5:1: error: 'jobs' is wrong",
        "agentmech.toml:6:1: error: 'output' cannot be set in a file: it writes a file",
        "agentmech.toml:8:1: error: 'max_time' is wrong: 'soon' is no time",
    ):
        assert expected in done.err


def test_broken_toml_has_a_place(greeter: Path, agentmech: Agentmech) -> None:
    greeter.with_name("agentmech.toml").write_text("\nmodel = gemma\n")
    done = agentmech("test", greeter, "--llm", GOOD)
    assert (done.code, done.out) == (2, "")
    assert "agentmech.toml:2:9: error: is no TOML" in done.err


def test_help_works_beside_a_broken_file(greeter: Path, agentmech: Agentmech) -> None:
    greeter.with_name("agentmech.toml").write_text("[[[")
    assert agentmech("test", "--help").code == 0
    assert agentmech("test", greeter, "--help").code == 0


@pytest.mark.parametrize("command", known.all_options())
def test_help_names_the_variable_of_every_option(command: str, agentmech: Agentmech) -> None:
    text = " ".join(agentmech(command, "--help").out.split())
    for key in set(known.options_of(command)) - MEANS_OTHERWISE.get(command, frozenset()):
        assert known.variable_of(key) in text


def test_a_flag_and_json_are_set_by_the_environment(
    greeter: Path, agentmech: Agentmech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTMECH_JSON", "1")
    monkeypatch.setenv("AGENTMECH_NO_CACHE", "true")
    document = agentmech("finetune", greeter, "--llm", GOOD).document
    assert document["llm_calls"] == 3
    monkeypatch.setenv("AGENTMECH_NO_CACHE", "maybe")
    done = agentmech("finetune", greeter, "--llm", GOOD)
    assert done.code == 2
    assert "AGENTMECH_NO_CACHE must be true or false" in done.err


def test_looking_upwards_ends_at_the_repository(tmp_path: Path) -> None:
    inner = tmp_path / "repository" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "agentmech.toml").write_text("jobs = 1")
    assert find(inner, environ={}).config.tables
    (tmp_path / "repository" / ".git").mkdir()
    assert find(inner, environ={}).config == Config()
    assert list(upwards(inner))[-1] == (tmp_path / "repository").resolve()


def test_another_users_file_does_not_count_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agentmech.toml"
    path.write_text("jobs = 1")
    if os.geteuid() == 0:
        os.chown(path, 4321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    found = find(tmp_path, environ={})
    assert found.config == Config()
    assert "another user's" in found.notes[0]
    named = find(tmp_path, environ={config_file.VARIABLE: str(path)})
    assert (named.trusted, len(named.config.tables[""])) == (True, 1)
    assert find(tmp_path, environ={config_file.VARIABLE: os.devnull}).config == Config()


@pytest.mark.parametrize(
    "text", ['llm = "openai:http://evil.example/v1"', 'url = "http://evil.example"',
             'url = ["http://localhost:1", "http://evil.example"]', 'llm = "ollama:evil.example"']
)  # fmt: skip
def test_a_file_sends_no_key_to_another_machine(
    text: str, greeter: Path, agentmech: Agentmech, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeter.with_name("agentmech.toml").write_text(text)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key-12345")
    done = agentmech("test", "greeter.yaml")
    assert done.code == 2
    assert "agentmech.toml:1" in done.err
    assert "would be sent your key" in done.err


def test_a_file_that_sends_the_work_elsewhere_is_told_of(
    greeter: Path, agentmech: Agentmech
) -> None:
    greeter.with_name("agentmech.toml").write_text('url = "http://192.0.2.1:9"\n[test]\njobs = 1')
    done = agentmech("test", "missing.yaml")
    assert done.code == 2
    assert "note: agentmech.toml:1 sends the work to http://192.0.2.1:9" in done.err


def test_a_file_names_no_cluster(greeter: Path, agentmech: Agentmech) -> None:
    for text in ('llm = "dask:192.0.2.1:9"', 'executor = "dask://192.0.2.1:9"'):
        greeter.with_name("agentmech.toml").write_text(text)
        assert agentmech("test", "greeter.yaml").code == 2


def test_paths_in_a_file_are_beside_it() -> None:
    config = parse('llm = "script:s.yaml"\n[finetune]\ntests = "t.yaml"', "deep/agentmech.toml")
    assert config is not None
    found = effective("finetune", config, environ={})
    assert found["llm"] == Effective(
        "llm", ["script:deep/s.yaml"], "deep/agentmech.toml:1", "script:s.yaml"
    )
    assert found["tests"].value == ["deep/t.yaml"]


def test_help_reads_no_file_and_no_toml(tmp_path: Path) -> None:
    (tmp_path / "agentmech.toml").write_text("[[[")
    program = (
        "import sys; from finetune_fsm.cli.main import main; code = main(['test', '--help']);"
        "print('MODULES', *sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert not {"tomllib", "finetune_fsm.cli.config"} & set(done.stderr.split())


def test_a_setting_is_called_by_a_word_also_where_an_option_has_no_long_name() -> None:
    from finetune_fsm.cli import known

    keys = {key for options in known.all_options().values() for key in options}
    assert "k" in keys
    assert [key for key in keys if not key[0].isalpha()] == []
