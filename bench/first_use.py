"""Do what the tutorial says, word for word, from the installation on, and time it.

In a fresh folder with a home of its own: ``make first-use``. The installation needs the network,
all else has none of the user's settings and no model. Ends with 1 when a command ends otherwise
than the tutorial says, or when all of it takes more than two minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from pages import blocks, commands  # noqa: E402  # the tests' own reader of pages

LIMIT = 120.0
"""Seconds from the first command to the last."""

END = "## With a real model"
STAMP = "echo __at__ $(date +%s.%N)"


def script(page: str) -> Iterator[str]:
    """Yield the lines of a shell script that does what the tutorial *page* says. Pure."""
    yield "set -e"
    for block in blocks(page[: page.index(END)]):
        for command, _ in commands(block.text) if block.language == "console" else ():
            said = command.replace("/path/to/the/checkout", str(ROOT))
            yield f"code=0; {said} || code=$?; test $code -eq {block.code}"
            yield STAMP


def main() -> int:
    """Run it, and print how long each part took."""
    page = (ROOT / "docs/tutorial.md").read_text("utf-8")
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "SSL_CERT_FILE") if name in os.environ
    }
    kept |= {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
    began = time.time()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["bash", "-c", "\n".join(script(page))],
            cwd=folder,
            env=kept | {"HOME": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    stamps = [float(x.split()[1]) for x in done.stdout.splitlines() if x.startswith("__at__")]
    if done.returncode or len(stamps) < 4:
        print(done.stdout)
        return 1
    installed, total = stamps[2] - began, stamps[-1] - began
    print(f"installed after {installed:.1f} s, {len(stamps)} commands done after {total:.1f} s")
    print(f"of at most {LIMIT:.0f} s, on {os.cpu_count()} cores")
    return int(total > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
