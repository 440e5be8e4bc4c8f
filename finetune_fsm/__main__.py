"""``python -m finetune_fsm``, the same as ``agentmech``."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def start() -> int:
    """Run the command line of this process; return its exit code.

    Ctrl+C ends the process quietly here, before any work has begun and after all of it is done;
    in between, `cli.signals` has its own way. Without this a traceback of some import is shown.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # who ignores it, means it
        signal.signal(signal.SIGINT, _leave)
    from finetune_fsm.cli.main import main

    return main()


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(130)


if __name__ == "__main__":
    sys.exit(start())
