"""The log: what it holds is as harmless as a screen, and it never costs the run."""

from __future__ import annotations

import io
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import loguru
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.cli.console import Console
from finetune_fsm.cli.logs import start_logging
from finetune_fsm.errors import StorageError
from finetune_fsm.sinks import look_again

KEY = "sk-0123456789-abcdef"
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
ANY = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    yield
    loguru.logger.remove()
    loguru.logger.configure(patcher=lambda record: None)
    loguru.logger.disable("finetune_fsm")
    look_again()


class Logged:
    """A console with a log on a file and on standard error."""

    def __init__(self, patch: pytest.MonkeyPatch, file: Path, verbosity: int = 2) -> None:
        self._raw, self._file = io.BytesIO(), file
        stream = io.TextIOWrapper(self._raw, "utf-8", write_through=True)
        patch.setattr(sys, "stderr", stream)
        self.console = Console()
        self.console.verbosity, self.console.log_file = verbosity, str(file)
        start_logging(self.console)

    @property
    def err(self) -> str:
        return self._raw.getvalue().decode()

    @property
    def both(self) -> tuple[str, str]:
        return self.err, self._file.read_text("utf-8")


def speak(template: str, *values: object) -> None:
    """Log as a module of the package does."""
    loguru.logger.patch(lambda record: record.update(name="finetune_fsm.x")).warning(
        template, *values
    )


speak.__globals__["__name__"] = "finetune_fsm.tests"  # loguru goes by the module that speaks


@settings(max_examples=40)
@given(text=ANY)
@example(text="{} {0} {x} {{name}} {extra[clean]} <red>[/INST]</red>")
@example(text=f"Authorization: Bearer {KEY}")
def test_any_text_can_be_logged_and_steers_nothing(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_API_KEY", KEY)
        logged = Logged(patch, tmp_path_factory.mktemp("log") / "a.log")
        speak("said: {}", text)
        for shown in logged.both:
            assert "said: " in shown
            assert not UNSAFE.search(shown)
            assert KEY not in shown


def test_braces_and_markup_are_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged = Logged(monkeypatch, tmp_path / "a.log")
    speak("said: {}", "{0} {x} <red>[/INST]</red>")
    for shown in logged.both:
        assert "said: {0} {x} <red>[/INST]</red>\n" in shown


def test_tracebacks_are_logged_without_secrets_and_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", KEY)
    logged = Logged(monkeypatch, tmp_path / "a.log")

    def fail(secret: str) -> None:  # loguru would show the values of variables
        raise ValueError(f"no way\x1b[2J with {secret}")

    try:
        fail(KEY)
    except ValueError:
        loguru.logger.opt(exception=True).error("broken")
    for shown in logged.both:
        assert "broken\nTraceback (most recent call last)" in shown
        assert "ValueError: no way\\x1b[2J with ***" in shown
        assert KEY not in shown
        assert not UNSAFE.search(shown)


def test_a_full_disk_ends_the_log_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.fail("these tests need /dev/full")
    logged = Logged(monkeypatch, Path("/dev/full"), verbosity=0)
    for _ in range(3):
        speak("said: {}", "anything")
    assert logged.err == "warning: the log /dev/full ends here: No space left on device\n"
    del tmp_path


def test_a_log_that_cannot_be_opened_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (tmp_path, Path("/dev/null/x"), Path("a\0b")):
        with pytest.raises(StorageError, match="cannot write the log"):
            Logged(monkeypatch, place)


def test_lines_of_several_threads_stay_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = Logged(monkeypatch, tmp_path / "a.log")
    threads = [
        threading.Thread(target=lambda n=n: [speak("<{}>", f"{n}" * 50) for _ in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for shown in logged.both:
        lines = shown.splitlines()
        assert len(lines) == 200
        assert all(re.search(r"<(\d)\1{49}>$", line) for line in lines)
