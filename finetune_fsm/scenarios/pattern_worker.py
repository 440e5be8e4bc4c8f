"""The program of the process in which patterns are searched; see `patterns`.

It is run as a script by a bare interpreter and so imports nothing of ours. Each line in is one
question, ``[pattern, text, ignore_case]``; each line out one answer: the text that was found, cut
to `SHOWN` characters, in a list, or ``[]``, or ``{"error": reason}``. JSON, ASCII only.
"""

from __future__ import annotations

import faulthandler
import json
import re
import sys
from contextlib import suppress
from typing import TextIO

SHOWN = 200
"""Characters of a found text that are sent back."""

MEMORY = 1 << 30
"""Bytes of address space, where the system can limit it."""


def answer(line: str) -> str:
    """Return the line that answers *line*."""
    pattern, text, ignore_case = json.loads(line)
    try:
        found = re.compile(pattern, re.IGNORECASE if ignore_case else 0).search(text)
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"})
    return json.dumps([found[0][:SHOWN]] if found else [])


def serve(questions: TextIO, answers: TextIO, *, seconds: float) -> None:
    """Answer line by line until *questions* end; a question may take *seconds* at most."""
    answers.write("ready\n")
    answers.flush()
    for line in questions:
        # Whoever asked kills us long before. Should it be gone, this ends the process: a running
        # search holds the interpreter's lock, and only faulthandler's thread does without.
        faulthandler.dump_traceback_later(seconds, exit=True)
        answers.write(answer(line) + "\n")
        answers.flush()
        faulthandler.cancel_dump_traceback_later()


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    _limit_memory()
    serve(sys.stdin, sys.stdout, seconds=float(sys.argv[1]))
