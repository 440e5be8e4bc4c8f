"""What MkDocs asks while it builds the site: it puts the reference in, and takes links out.

Links that leave the pages become plain words. In the repository they lead to its files; the site
holds the pages alone, and ``--strict`` shall say of every other link that leads nowhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

_OUT = re.compile(r"(?<!!)\[(?P<words>[^\]\n]+)\]\((?P<up>(?:\.\./)+)(?P<path>[^)\s]+)\)")


def inside(text: str, page: str) -> str:
    """Return the Markdown *text* of *page*, a path below docs, without links out of docs. Pure."""
    depth = page.count("/")

    def plain(link: re.Match[str]) -> str:
        return link[0] if link["up"].count("/") <= depth else link["words"]

    return _OUT.sub(plain, text)


def on_page_markdown(markdown: str, *, page: object, **_: Mapping[str, object]) -> str:
    """Return what MkDocs is to render of *page*."""
    sys.path.insert(0, str(Path(__file__).parent))  # it stands beside this file
    from reference import filled

    return filled(inside(markdown, page.file.src_uri))  # type: ignore[attr-defined]  # MkDocs' own
