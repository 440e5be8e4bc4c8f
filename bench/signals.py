"""How fast Ctrl+C is answered, and what it costs: every place of a run, typed into a real terminal.

    python bench/signals.py [--trials N] [--only TEXT] [--json FILE]

For each place a run is started in a pseudo-terminal of its own, against a server on this machine,
and brought there. Once: Ctrl+C is typed, and the time until the answer is shown is measured. Twice:
another one is typed when the answer is there, and the time until the process has ended is measured.
After each the run is resumed. It has to come to the same files as one that nobody stopped, no call
that is in its journal may be made again, the exit code has to be 130, how to resume must have been
told, the cursor must be shown, and no child process may be left.

The column "how" says what keeps the run in its place. Where the states last microseconds, an
observer pauses: the command's own parts, put together by ``tests/faults/paused.py``. All else is
the command itself. One Ctrl+C in FINISHING comes too late to stop anything: the run is finished,
so there is nothing to resume, and the files must be there at once.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from commandline import GOOD_SCRIPT
from faults.interruptions import MESSAGE, PLACES, Outcome, Place, Reference, press, reference, trial
from faults.oracle import Oracle, oracle_server, put_greeter
from faults.terminal import AGENTMECH, CTRL_C, terminal

ANSWERED, ENDED = 0.1, 0.5
"""Seconds that the answer to the first Ctrl+C and the end after the second may take."""

PROMPT = "run, at a question"
ANYWHERE = "any time of its life"


def at_prompt(folder: Path, presses: int) -> Outcome:
    """Stop ``agentmech run`` where it waits for an answer."""
    put_greeter(folder)
    (folder / "good.yaml").write_text(GOOD_SCRIPT)
    outcome = Outcome()
    command = (*AGENTMECH, "run", "greeter.yaml", "--llm", "script:good.yaml")
    with terminal(*command, folder=folder) as screen:
        screen.wait_for("[nobody] > ")
        time.sleep(0.1)
        last = screen.type(CTRL_C)
        outcome.answered = screen.wait_for(MESSAGE) - last
        if presses == 2:
            last = screen.type(CTRL_C)
        outcome.code, at = screen.wait()
        outcome.ended = at - last
    if outcome.code != 130:
        outcome.wrong.append(f"exit code {outcome.code}")
    if "Traceback" in screen.text or "Hello" in screen.text:
        outcome.wrong.append(f"shown: {screen.text[-300:]}")
    return outcome


def at_any_time(folder: Path, seconds: float) -> Outcome:
    """Press Ctrl+C so many *seconds* after the start; only what is wrong counts."""
    put_greeter(folder)
    outcome = Outcome()
    with oracle_server(Oracle()) as server:
        command = (*AGENTMECH, "finetune", "greeter.yaml", "-u", server.url)
        with terminal(*command, folder=folder) as screen:
            time.sleep(seconds)
            last = screen.type(CTRL_C)
            outcome.code, at = screen.wait()
            outcome.ended = at - last
    told = "Traceback" in screen.text or "Exception" in screen.text
    if outcome.code != 0 and "finetune_fsm/__main__.py" not in screen.text and told:
        return outcome  # the interpreter was still starting, and none of our code had run
    # The interpreter, in its last milliseconds, dies by the signal; a shell calls that 130, too.
    if outcome.code not in (0, 130, -signal.SIGINT):
        outcome.wrong.append(f"exit code {outcome.code} after {seconds:.2f} s")
    if told:
        outcome.wrong.append(f"after {seconds:.2f} s: {screen.text[-400:]}")
    return outcome


def measured(trials: int, only: str, scratch: Path) -> Iterator[dict[str, object]]:
    """Yield one row for each place."""
    calm: dict[tuple[bool, bool], Reference] = {}
    for place in PLACES:
        if only not in place.name:
            continue
        kind = (place.tests, place.slow_pattern)
        if kind not in calm:
            calm[kind] = reference(place, scratch / f"calm{len(calm)}")
        found: dict[int, list[Outcome]] = {1: [], 2: []}
        for number in range(trials):
            for presses, outcomes in found.items():
                folder = scratch / f"{place.name}-{number}-{presses}"
                outcomes.append(trial(place, folder, calm[kind], acts=(press,) * presses))
        yield row(place, found)
    if only in PROMPT:
        found = {
            presses: [at_prompt(scratch / f"q{presses}-{n}", presses) for n in range(trials)]
            for presses in (1, 2)
        }
        yield row(Place(PROMPT, "standard input"), found)
    if only in ANYWHERE:
        # From about the interpreter's own start, which shows what it likes, to beyond the end.
        times = [0.1 + 1.9 * number / (4 * trials) for number in range(4 * trials)]
        ends = [at_any_time(scratch / f"t{number}", at) for number, at in enumerate(times)]
        wrong = [text for outcome in ends for text in outcome.wrong]
        yield {"place": ANYWHERE, "how": "nothing", "trials": len(ends), "wrong": wrong}


def row(place: Place, found: Mapping[int, Sequence[Outcome]]) -> dict[str, object]:
    """Return what the trials at *place* say; times in milliseconds."""
    both = [*found[1], *found[2]]
    answered = [outcome.answered * 1000 for outcome in both]
    ended = [outcome.ended * 1000 for outcome in found[2]]
    wrong = [text for outcome in both for text in outcome.wrong]
    if max(answered) > ANSWERED * 1000:
        wrong.append(f"the answer came after {max(answered):.0f} ms")
    if max(ended) > ENDED * 1000:
        wrong.append(f"the end came after {max(ended):.0f} ms")
    return {
        "place": place.name,
        "how": place.how,
        "trials": len(both),
        "answer_median_ms": round(statistics.median(answered), 1),
        "answer_worst_ms": round(max(answered), 1),
        "once_median_ms": round(statistics.median(o.ended * 1000 for o in found[1]), 1),
        "end_median_ms": round(statistics.median(ended), 1),
        "end_worst_ms": round(max(ended), 1),
        "wrong": wrong,
    }


COLUMNS = (
    ("answer_median_ms", "answer"),
    ("answer_worst_ms", "worst"),
    ("once_median_ms", "end"),
    ("end_median_ms", "2nd end"),
    ("end_worst_ms", "worst"),
)


def head() -> str:
    """Return the head of the table; all times are in milliseconds."""
    times = "".join(f"{title:>9}" for _, title in COLUMNS)
    return f"{'place':<23}{'how':<20}{'trials':>7}{times}  violations   (times in ms)"


def line(found: Mapping[str, object]) -> str:
    """Return *found* as a line of the table."""
    times = "".join(f"{found.get(key, '-'):>9}" for key, _ in COLUMNS)
    wrong = found["wrong"]
    assert isinstance(wrong, list)
    said = "".join(f"\n    {text}" for text in dict.fromkeys(wrong))
    return f"{found['place']:<23}{found['how']:<20}{found['trials']:>7}{times}  {len(wrong)}{said}"


def main() -> int:
    """Measure, print the table, write the JSON; 1 when something is too slow or wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5, help="of each kind, at each place")
    parser.add_argument("--only", default="", metavar="TEXT", help="places with TEXT in their name")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    options = parser.parse_args()
    print(head(), flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for found in measured(options.trials, options.only, Path(scratch)):
            rows.append(found)
            print(line(found), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n", "utf-8")
    return 1 if any(found["wrong"] for found in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
