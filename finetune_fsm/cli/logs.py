"""The log: off, unless somebody asks for it; loguru is imported only then."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from finetune_fsm.cli.console import Console
from finetune_fsm.errors import StorageError
from finetune_fsm.sinks import clean

if TYPE_CHECKING:
    from loguru import Record

_FORMAT = "{time:YYYY-MM-DDTHH:mm:ss.SSSZ} {level: <7} {name}: {extra[clean]}"
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
    if console.verbosity:
        level = _LEVELS[min(console.verbosity, 2)]
        logger.add(_to_stderr, level=level, format=_FORMAT)
    if console.log_file:
        try:
            logger.add(console.log_file, level="TRACE", format=_FORMAT, encoding="utf-8")
        except OSError as error:
            message = f"cannot write the log {console.log_file}: {error.strerror}"
            raise StorageError(message) from error
    logger.enable("finetune_fsm")


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)


def _cleaned(record: Record) -> None:
    """Log lines hold what models and servers wrote."""
    record["extra"]["clean"] = clean(record["message"])
