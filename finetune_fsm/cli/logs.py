"""The log: off, unless somebody asks for it; loguru is imported only then.

What it holds was written by models and servers too, so every line is cleaned and its secrets are
hidden, tracebacks as well. A log that cannot be written is said once and costs the run nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from finetune_fsm.cli.console import Console
from finetune_fsm.errors import StorageError
from finetune_fsm.sinks import clean, one_line

if TYPE_CHECKING:
    from loguru import Record

_FORMAT = "{time:YYYY-MM-DDTHH:mm:ss.SSSZ} {level: <7} {name}: {extra[clean]}\n"
_LEVELS = ("WARNING", "INFO", "TRACE")


def start_logging(console: Console) -> None:
    """Send the library's log where *console* says: standard error, a file, or nowhere.

    Raises:
        StorageError: the log file cannot be opened.
    """
    if not console.verbosity and not console.log_file:
        return
    from loguru import logger

    logger.remove()
    logger.configure(patcher=_cleaned)
    if console.log_file:
        log = LogFile(console)
        logger.add(log.write, level="TRACE", format=_format, catch=False)
    if console.verbosity:
        level = _LEVELS[min(console.verbosity, 2)]
        logger.add(console.err.remark, level=level, format=_format, catch=False)
    logger.enable("finetune_fsm")


class LogFile:
    """The file that ``--log-file`` names, appended to line by line.

    Args:
        console: Names it, and is told when it cannot be written any more.

    Raises:
        StorageError: it cannot be opened.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._name = one_line(console.log_file, limit=1000)
        path = Path(console.log_file)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO | None = path.open("a", encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StorageError(f"cannot write the log {self._name}: {reason}") from error

    def write(self, line: str) -> None:
        """Append *line*; after the first that finds no room, nothing."""
        if self._file is None:
            return
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            self._file = None  # closing it would try to write the line again
            self._console.warn(f"the log {self._name} ends here: {error.strerror}")


def _format(record: Record) -> str:
    del record  # a function, as loguru adds the traceback, uncleaned, to any other format
    return _FORMAT


def _cleaned(record: Record) -> None:
    """Put what may be shown of *record* where the format looks for it."""
    text = record["message"]
    if record["exception"] is not None:
        import traceback

        text += "\n" + "".join(traceback.format_exception(record["exception"].value)).rstrip()
    record["extra"]["clean"] = clean(text)
