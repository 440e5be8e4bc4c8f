"""Interruptions of the real command, anywhere in a run: what was shown, when, and what was lost.

`trial` starts a run in a terminal of its own against a server, stops it in one place, resumes it,
and compares with a run that nobody stopped.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faults.oracle import Oracle, oracle_server, put_greeter
from faults.terminal import (
    AGENTMECH,
    CTRL_C,
    PATIENCE,
    Terminal,
    descendants,
    gone_within,
    terminal,
)
from wire import Call, Server

from finetune_fsm.runs import places
from finetune_fsm.runs.history import load

MESSAGE = "finishing this step; Ctrl+C again stops now"
RESUME = "to go on: agentmech resume "
SHOWN, HIDDEN = "\x1b[?25h", "\x1b[?25l"
"""What shows and hides the cursor."""

PAUSED = (sys.executable, str(Path(__file__).with_name("paused.py")))
_PAUSE = 0.5  # seconds of an observer's pause: long enough for a signal, short for a test


@dataclass(frozen=True)
class Place:
    """Where a run is stopped.

    Attributes:
        name: The state, and what it is about there.
        how: What makes the command stay there, for people.
        slow: Purpose and manner of the server's slow answer, or None.
        paused: State, and which time it is entered, at which an observer pauses; or None.
        tests: Whether there is a test file.
        slow_pattern: Whether a test searches for a second.
        resumable: Whether one signal leaves something to resume; FINISHING finishes.
    """

    name: str
    how: str
    slow: tuple[str, str] | None = None
    paused: tuple[str, int] | None = None
    tests: bool = True
    slow_pattern: bool = False
    resumable: bool = True


PLACES = (
    Place("PREPARING, weights", "server: late list", ("tags", "first")),
    Place("PREPARING, generating", "server: late token", ("tests", "first"), tests=False),
    Place("SAVING", "observer", paused=("SAVING", 2)),
    Place("RUNNING, first token", "server: late token", ("state", "first")),
    Place("RUNNING, streaming", "server: slow stream", ("state", "stream")),
    Place("RUNNING, retry wait", "server: 503, 30 s", ("state", "busy")),
    Place("TESTING", "pattern: 1 s search", slow_pattern=True),
    Place("ANALYZING", "server: late token", ("analysis", "first")),
    Place("MODIFYING", "server: slow stream", ("proposal", "stream")),
    Place("CHECKING", "observer", paused=("CHECKING", 1)),
    Place("FINISHING", "observer", paused=("FINISHING", 1), resumable=False),
)
BY_NAME = {place.name: place for place in PLACES}


@dataclass
class Outcome:
    """What came of one trial.

    Attributes:
        code: Exit code of the stopped command.
        answered: Seconds from the first signal to the message.
        ended: Seconds from the last signal to the end of the process.
        wrong: What should not have happened, in words; empty when all is well.
    """

    code: int = -1
    answered: float = 0.0
    ended: float = 0.0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reference:
    """A run that nobody stopped: its files by name, and how often each question was asked."""

    files: Mapping[str, str]
    questions: Mapping[str, int]


Act = Callable[[Terminal], float]
"""Stops the command in the terminal; returns when."""


def press(screen: Terminal) -> float:
    """Press Ctrl+C."""
    return screen.type(CTRL_C)


def sending(number: signal.Signals) -> Act:
    """Send *number* to the command alone."""

    def act(screen: Terminal) -> float:
        at = time.monotonic()
        screen.process.send_signal(number)
        return at

    return act


def hang_up(screen: Terminal) -> float:
    """Close the terminal's window."""
    at = time.monotonic()
    screen.hang_up()
    return at


def reference(place: Place, folder: Path) -> Reference:
    """Make the run that *place* would interrupt, in an empty *folder*."""
    put_greeter(folder, tests=place.tests, slow_pattern=place.slow_pattern)
    with oracle_server(Oracle()) as server:
        with terminal(*AGENTMECH, *finetune(server), folder=folder) as screen:
            code, _ = screen.wait()
            assert code == 0, screen.text
        return Reference(results(folder), Counter(map(question, server.asked("/api/chat"))))


def trial(
    place: Place,
    folder: Path,
    expected: Reference,
    *,
    acts: tuple[Act, ...] = (press,),
    code: int = 130,
) -> Outcome:
    """Stop a run in an empty *folder* at *place* by *acts*, resume it, and say what came of it.

    Args:
        place: Where it is stopped.
        folder: Where it is.
        expected: What would come of it without a stop.
        acts: What stops it: the first is answered, the last ends it.
        code: With what it has to end.
    """
    outcome = Outcome()
    oracle = Oracle()
    put_greeter(folder, tests=place.tests, slow_pattern=place.slow_pattern)
    with oracle_server(oracle) as server:
        if place.slow:
            oracle.be_slow(*place.slow)
        with terminal(*_command(place, server), folder=folder) as screen:
            _come_to(place, screen, oracle, server)
            children = descendants(screen.process.pid)
            _stop(screen, acts, outcome)
            left = gone_within(children, 2.0)
        if outcome.code != code:
            outcome.wrong.append(f"exit code {outcome.code}")
        if left:
            outcome.wrong.append(f"processes left: {left}")
        if acts != (hang_up,):  # then nobody sees anything
            resumable = place.resumable or len(acts) > 1
            outcome.wrong += _shown_wrong(screen.text, resumable=resumable)
        oracle.hurry()
        outcome.wrong += _lost(place, folder, server, expected, again=len(acts) > 1)
    return outcome


def finetune(server: Server) -> tuple[str, ...]:
    """The arguments of a run at *server*."""
    return ("finetune", "greeter.yaml", "-u", server.url, "-i", "2", "--no-cache")


def _command(place: Place, server: Server) -> tuple[str, ...]:
    if place.paused is None:
        return (*AGENTMECH, *finetune(server))
    state, times = place.paused
    return (*PAUSED, state, str(times), str(_PAUSE), "greeter.yaml", server.url)


def _come_to(place: Place, screen: Terminal, oracle: Oracle, server: Server) -> None:
    if place.paused:
        screen.wait_for(f"paused in {place.paused[0]}")
        return
    if place.slow:
        assert oracle.reached.wait(PATIENCE), screen.text
    else:
        screen.wait_for("Running tests...")
    time.sleep(0.1)  # into the wait


def _stop(screen: Terminal, acts: Iterable[Act], outcome: Outcome) -> None:
    before, last = screen.size, 0.0
    for number, act in enumerate(acts):
        last = act(screen)
        if number == 0 and act is not hang_up:
            outcome.answered = screen.wait_for(MESSAGE, after=before) - last
    outcome.code, at = screen.wait()
    outcome.ended = at - last


def _shown_wrong(text: str, *, resumable: bool) -> list[str]:
    wrong = []
    if "Traceback" in text or "internal error" in text:
        wrong.append(f"a traceback: {text[-600:]}")
    if (RESUME in text) != resumable:
        wrong.append(f"how to resume was{' not' * resumable} told")
    if text.rfind(HIDDEN) > text.rfind(SHOWN):
        wrong.append("the cursor stays hidden")
    return wrong


def _lost(
    place: Place, folder: Path, server: Server, expected: Reference, *, again: bool
) -> list[str]:
    """Resume the run in *folder*, and say what of it was lost."""
    run = places.find(folder / "greeter.yaml")
    history = load(run)
    known = {_asked(call.request.model, call.request.messages) for _, call in history.calls}
    before = len(server.calls)
    with terminal(*AGENTMECH, "resume", "-u", server.url, folder=folder) as screen:
        code, _ = screen.wait()
    finished = not place.resumable and not again
    wrong = [] if code == (2 if finished else 0) else [f"resume: {code}, {screen.text[-600:]}"]
    later = [question(call) for call in server.calls[before:] if call.path == "/api/chat"]
    repeated = [asked for asked in later if asked in known]
    if repeated:
        wrong.append(f"{len(repeated)} journaled calls were made again: {repeated}")
    everything = Counter(map(question, server.asked("/api/chat")))
    extra = sum((everything - Counter(expected.questions)).values())
    if extra > (3 if place.slow and place.slow[1] == "busy" else 1):
        wrong.append(f"{extra} calls more than without a stop")
    if results(folder) != expected.files:
        wrong.append("the files differ from those of a run that nobody stopped")
    return wrong


def results(folder: Path) -> Mapping[str, str]:
    """What a run leaves beside its workflow."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*.yaml"))}


def question(call: Call) -> str:
    """What *call* asks, for comparison."""
    turns = [(turn["role"], turn["content"]) for turn in call.json["messages"]]
    return json.dumps([call.json["model"], turns])


def _asked(model: str, messages: Iterable[object]) -> str:
    turns = [(m.role, m.content) for m in messages]  # type: ignore[attr-defined]
    return json.dumps([model, turns])
