"""Foreign text inside HTML, XML, CSV and JSON: text there, and nothing else."""

from __future__ import annotations

import re

from finetune_fsm.sinks.cleaning import LIMIT, clean, visible
from finetune_fsm.sinks.secrets import Secrets, masked

_HTML = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", 39: "&#x27;"}

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")  # noqa: RUF001  # full width, as Excel takes it

_NOT_ASCII = re.compile("[^\x00-\x7e]+")


def html(text: str, *, limit: int = LIMIT, secrets: Secrets | None = None) -> str:
    """Return *text* for HTML, as text or in an attribute with quotes of either kind.

    It says nothing of where an address leads: never put foreign text into ``href`` or ``src``.
    """
    return clean(text, limit=limit, secrets=secrets).translate(_HTML)


def xml(text: str, *, limit: int = LIMIT, secrets: Secrets | None = None) -> str:
    """Return *text* with only such characters as XML may hold; the writer escapes the markup.

    Source: XML 1.0, production 2 (Char).
    """
    return _NOT_XML.sub("\ufffd", clean(text, limit=limit, secrets=secrets))


def csv_cell(text: str, *, limit: int = LIMIT, secrets: Secrets | None = None) -> str:
    """Return *text* as a cell that no spreadsheet takes for a formula; the csv module quotes it.

    Source: OWASP, CSV Injection.
    """
    shown = clean(text, limit=limit, secrets=secrets)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def json_text(value: object, *, secrets: Secrets | None = None) -> str:
    """Return plain *value* as JSON, indented, texts whole but for secrets.

    What could steer a terminal or a build server is escaped by JSON's own means, so that the text
    can be printed, and encoded as UTF-8; a program reads it back as it was.

    Raises:
        ValueError: *value* holds NaN or infinity.
    """
    import json

    data = masked(value, secrets=secrets)
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    return _NOT_ASCII.sub(_harmless, text).replace("##[", "#\\u0023[")


def ascii_json(text: str) -> str:
    """Return JSON *text* in ASCII alone, so that it survives any pipe. Pure."""
    return _NOT_ASCII.sub(lambda match: _as_json(match.group()), text)


def _harmless(match: re.Match[str]) -> str:
    run = match.group()
    return run if visible(run, limit=len(run)) == run else _as_json(run)


def _as_json(text: str) -> str:
    import json

    return json.dumps(text)[1:-1]
