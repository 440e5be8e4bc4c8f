"""One run, killed and gone on with, beside one that was not.

What is compared is all that a person can see or use: the files, the JSON documents, the steps
that were journaled, the questions that were asked. What cannot be the same is left out: times, and
the run's name, which holds one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from crash.command import Commands, Ended
from crash.disk import Kill, Operation, Plan, obey
from crash.guests import NAME, WORKFLOW, Model, write

from finetune_fsm.cli.main import main
from finetune_fsm.errors import FinetuneError
from finetune_fsm.runs import places
from finetune_fsm.runs.history import History, load

_TIMES = frozenset({"seconds", "started", "at"})
_NAMES = frozenset({"run", "sessions", "notes"})  # of one run, or of how often it was begun

_COUNTS = frozenset({"llm_calls", "tokens", "usage"})

CUT = "bytes of an unfinished record were cut off the journal"
"""The one note that a killed run may carry."""


@dataclass(frozen=True, slots=True)
class Result:
    """What is left of a run that came to its end.

    Attributes:
        code: The exit code.
        files: What is beside the workflow, and what of ``X.agentmech`` is no run, by name.
        document: What ``--json`` wrote.
        shown: What ``show --json`` writes.
        steps: The journaled steps that count, as data.
        keys: Of the questions whose answers are journaled.
    """

    code: int
    files: Mapping[str, bytes]
    document: object
    shown: object
    steps: tuple[object, ...]
    keys: frozenset[str]


@dataclass(slots=True)
class Found:
    """What was found in one trial.

    Attributes:
        differences: Between its result and that of the run that was not killed, in words.
        repeated: Journaled calls that were asked again.
        extra: Calls that the server got beyond one of each kind.
        kills: How often it was killed.
    """

    differences: list[str] = field(default_factory=list)
    repeated: int = 0
    extra: int = 0
    kills: int = 0

    def demand(self, holds: object, *words: object) -> None:
        """Note *words* as a difference unless *holds*."""
        if not holds:
            self.differences.append(" ".join(str(word) for word in words))


class Bench:
    """Where runs are made, killed and compared: one folder, one server, one run at a time.

    Args:
        folder: An empty folder of its own.
        model: The server.
        tests: Whether the workflow has a test file; else a model writes one.
        jobs: Scenarios at once, so also calls in flight.
        iterations: At most.
        digests: How the server knows the questions, by key; learned where questions have an order.
        aside: For what commands print; a folder beside without.
    """

    def __init__(
        self,
        folder: Path,
        model: Model,
        *,
        tests: bool = True,
        jobs: int = 1,
        iterations: int = 4,
        digests: Mapping[str, str] = MappingProxyType({}),
        aside: Path | None = None,
    ) -> None:
        self.here = folder / "here"
        aside = aside or folder / "aside"
        aside.mkdir(parents=True, exist_ok=True)
        self.commands = Commands(self.here, aside)
        self.model = model
        self.jobs = jobs
        self._tests = tests
        self._finetune = (
            *("finetune", f"{NAME}.yaml", "-u", model.url, "-m", "tiny", "--json"),
            *("--no-cache", "-i", iterations, "-j", jobs),
        )
        self._resume = ("resume", f"{NAME}.yaml", "--json", "--no-cache")
        self.digests = dict(digests)
        self.whole = self._whole()

    def _whole(self) -> Result:
        """Make the run that nothing happens to, and learn which question has which key."""
        self.clear()
        ended = self.commands.learn(*self._finetune)
        history = self.history()
        asked = self.model.asked()
        if history is None or ended.code not in (0, 1):
            raise RuntimeError(f"the run does not work: {ended}")
        keys = [call.key for _, call in history.calls]
        if self.jobs == 1:
            self.digests = dict(zip(keys, asked, strict=True))
        if len(set(asked)) != len(asked) or len(asked) != len(keys):
            raise RuntimeError("the run that was not killed asked something twice")
        return self.result(ended)

    def clear(self) -> None:
        """Put the workflow into an empty folder; forget what was asked."""
        shutil.rmtree(self.here, ignore_errors=True)
        self.here.mkdir(parents=True)
        write(self.here, tests=self._tests)
        self.model.asked()

    def begin(self, plan: Plan) -> Ended:
        """Start the run under *plan*."""
        return self.commands.run(*self._finetune, plan=plan)

    def start(self, plan: Plan) -> int:
        """Start the run under *plan* and do not wait for it; return its process."""
        return self.commands.start(self._finetune, plan)

    def resume(self, plan: Plan = obey) -> Ended:
        """Go on with the run."""
        return self.commands.run(*self._resume, plan=plan)

    def resume_anew(self, seed: int) -> Ended:
        """Go on with the run in a new interpreter."""
        return self.commands.run_anew(seed, *self._resume)

    @property
    def home(self) -> Path:
        return self.here / f"{NAME}{places.SUFFIX}"

    def history(self) -> History | None:
        """The newest run, or None when there is none that began."""
        runs = places.in_home(self.home)
        if not runs:
            return None
        try:
            return load(runs[-1])
        except FinetuneError as error:
            if "ended before it began" in str(error):
                return None
            raise

    def operations(self) -> list[Operation]:
        """Everything that one whole run does to the disk, in order, without the bytes."""
        self.clear()
        listed = self.here.parent / "operations"
        listed.unlink(missing_ok=True)

        def plan(operation: Operation, perform: Callable[[bytes], int]) -> int:
            line = [operation.verb, operation.path, len(operation.data), operation.folder]
            with listed.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            return perform(operation.data)

        self.begin(plan)
        rows = [json.loads(line) for line in listed.read_text("utf-8").splitlines()]
        return [
            Operation(number, verb, path, b"." * size, folder=folder)
            for number, (verb, path, size, folder) in enumerate(rows, 1)
        ]

    def result(self, ended: Ended) -> Result:
        """What is there now, after a command that *ended* the run."""
        history = self.history()
        if history is None:
            raise RuntimeError(f"there is no run: {ended}")
        text = io.StringIO()
        with contextlib.chdir(self.here), contextlib.redirect_stdout(text):
            main(["show", f"{NAME}.yaml", "--json"])
        return Result(
            ended.code,
            self._files(),
            _timeless(ended.document) if ended.out else None,
            _timeless(json.loads(text.getvalue())),
            tuple(_timeless(step.data) for step in history.steps),
            frozenset(call.key for _, call in history.calls),
        )

    def _files(self) -> Mapping[str, bytes]:
        runs = {path for path in self.home.glob("*") if path.is_dir()}
        return {
            str(path.relative_to(self.here)): b"" if path.name == "lock" else path.read_bytes()
            for path in sorted(self.here.rglob("*"))
            if path.is_file() and not (path.parent in runs and path.name == "journal.jsonl")
        }

    def trial(self, kills: Sequence[Kill], seed: int | None = None) -> Found:
        """Make a run, kill it so often, go on to its end, and compare.

        Args:
            kills: One for each session but the last.
            seed: The last session is one of a new interpreter, whose sets have this order.
        """
        found = Found()
        self.clear()
        ended = self.begin(kills[0])
        asked = self.model.asked()
        for kill in (*kills[1:], None):
            found.demand(ended.killed, "not killed:", ended)
            found.kills += ended.killed
            self._inspect(found)
            journaled = self.journaled()
            ended = self.go_on(found, kill) if seed is None else self.resume_anew(seed)
            again = self.model.asked()
            found.repeated += len(journaled.intersection(again))
            asked += again
        found.extra = len(asked) - len(set(asked))
        self.compare(ended, found)
        return found

    def _inspect(self, found: Found) -> None:
        """Look at what a killed session left: each file is whole, or not there."""
        for name, data in self._files().items():
            whole = name.endswith(".tmp") or data == self.whole.files.get(name)
            found.demand(whole, "after the kill the file", name, "is not whole")
        mine = (self.here / f"{NAME}.yaml").read_text("utf-8")
        found.demand(mine == WORKFLOW, "the user's file is not what it was")

    def journaled(self) -> frozenset[str]:
        """The questions, as the server knows them, whose answers are on the disk."""
        history = self.history()
        calls = history.calls if history else ()
        return frozenset(self.digests.get(call.key, call.key) for _, call in calls)

    def go_on(self, found: Found, kill: Kill | None = None) -> Ended:
        """Resume the run, or begin again where there is none yet, which must be said."""
        begun = self.history() is not None
        ended = self.resume(kill or obey)
        if begun or ended.killed:
            return ended
        clear = "no run" in ended.out or "ended before it began — start it again" in ended.err
        found.demand(ended.code in (2, 6) and clear, "resuming what did not begin:", ended)
        return self.begin(kill or obey)

    def compare(
        self, ended: Ended, found: Found, view: Callable[[Result], Result] = lambda result: result
    ) -> None:
        """Compare what is there now, after a command that *ended* the run, with what should be.

        Args:
            ended: The last command.
            found: Takes the differences.
            view: What is looked at of both.
        """
        if ended.code == 2 and "is finished (" in ended.out:
            # It was killed behind its last record, so there was nothing left to go on with.
            ended = Ended(self.whole.code, "", "")
        now, then = view(self.result(ended)), view(self.whole)
        found.demand(now.code == then.code, "exit code", now.code, ended.err[-300:])
        for name in sorted(now.files.keys() | then.files.keys()):
            found.demand(now.files.get(name) == then.files.get(name), "the file", name, "differs")
        same = now.document is None or now.document == then.document
        found.demand(same, "--json:", now.document)
        found.demand(now.shown == then.shown, "show --json:", now.shown)
        found.demand(now.steps == then.steps, "the steps differ")
        found.demand(now.keys == then.keys, "the questions differ:", now.keys ^ then.keys)
        history = self.history()
        notes = [note for note in (history.notes if history else ()) if CUT not in note]
        found.demand(not notes, "notes:", notes)


def uncounted(result: Result) -> Result:
    """*result* without the number of calls: one may have been made whose reply found no room."""
    return replace(
        result,
        document=_without(result.document, _COUNTS),
        shown=_without(result.shown, _COUNTS),
        steps=tuple(_without(step, _COUNTS) for step in result.steps),
    )


def _timeless(value: object) -> object:
    return _without(value, _TIMES | _NAMES)


def _without(value: object, skipped: frozenset[str]) -> object:
    """*value* without the fields of these names, at any depth."""
    if isinstance(value, dict):
        return {key: _without(item, skipped) for key, item in value.items() if key not in skipped}
    if isinstance(value, list):
        return [_without(item, skipped) for item in value]
    return value


def held_by(bench: Bench, number: int) -> int:
    """Start a run that stands still, alive, before operation *number*; return its process."""
    bench.clear()
    pid = bench.start(Kill(number, sign=signal.SIGSTOP))
    while not os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]):
        pass
    return pid
