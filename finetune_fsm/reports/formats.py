"""The forms of a report, by the name that ``--format`` takes and by a file's ending."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from finetune_fsm.reports import (
    csv_report,
    github_report,
    json_report,
    junit_report,
    markdown_report,
    text_report,
)
from finetune_fsm.reports.html import suite_page
from finetune_fsm.scenarios.model import SuiteReport


class Render(Protocol):
    """Turns a suite's verdict into the text of one form, in which no secret is shown."""

    def __call__(self, report: SuiteReport, *, workflow: str, timestamp: str) -> str:
        """Return *report* as text with a line end at its end."""
        ...


FORMATS: Mapping[str, Render] = MappingProxyType(
    {
        "text": text_report.render,
        "json": json_report.render,
        "markdown": markdown_report.render,
        "junit": junit_report.render,
        "csv": csv_report.render,
        "github": github_report.render,
        "html": suite_page.render,
    }
)

ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        ".txt": "text",
        ".json": "json",
        ".md": "markdown",
        ".markdown": "markdown",
        ".xml": "junit",
        ".csv": "csv",
        ".html": "html",
        ".htm": "html",
    }
)
"""The format that a file's ending asks for."""


def named_by(path: Path) -> str | None:
    """Return the name of the form that *path*'s ending asks for, or None. Pure."""
    return ENDINGS.get(path.suffix.lower())
