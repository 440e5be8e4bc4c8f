"""Draw the loop's table into a Markdown file: ``python docs/draw_loop.py README.md``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from finetune_fsm.loop.table import mermaid

_DRAWING = re.compile(r"```mermaid\n.*?```", re.DOTALL)


def drawn(text: str) -> str:
    """Return *text* with its first Mermaid block replaced by the table as it is. Pure."""
    return _DRAWING.sub(lambda _: f"```mermaid\n{mermaid()}```", text, count=1)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(drawn(path.read_text("utf-8")), "utf-8")
