"""``agentmech finetune`` with one more observer, which takes its time in one state.

Some states last microseconds, and no signal hits them by chance. An observer may pause a loop when
it enters a state: this one says so on standard error and sleeps. All else is what the command does.

    python paused.py STATE TIMES SECONDS WORKFLOW URL
"""

from __future__ import annotations

import sys
import time

from finetune_fsm import api
from finetune_fsm.cli.console import Console
from finetune_fsm.cli.models import open_chosen
from finetune_fsm.cli.session import ended, hands
from finetune_fsm.cli.signals import Job, supervised
from finetune_fsm.errors import ExitCode
from finetune_fsm.loop.machine import Entered, Moment


def main(state: str, times: int, seconds: float, workflow: str, url: str) -> ExitCode:
    """Finetune, pausing for *seconds* when *state* is entered for the *times*-th time."""
    console = Console()
    seen = 0

    def pause(moment: Moment) -> None:
        nonlocal seen
        if isinstance(moment, Entered) and moment.state == state:
            seen += 1
            if seen == times:
                console.err.line(f"paused in {state}")
                time.sleep(seconds)

    def work(job: Job) -> ExitCode:
        chosen = open_chosen(console, job, urls=(url,), spec=None, executor=None)
        taken = hands(console, job, cached=False)
        observers = (*taken["observers"], pause)
        everyone = taken | {"observers": observers}
        with api.open_run(workflow, llm=chosen.llm, spec=chosen.spec, **everyone) as session:
            return ended(console, job, session)

    code = supervised(work)
    console.settle()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:]))
