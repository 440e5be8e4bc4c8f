"""Take the pictures of docs/images: a run's report and the page of serve, ``make pictures``.

Light, dark and as wide as a phone, of the run that `record_session` records. Needs
``pip install '.[browser]'`` and a Chromium (``$CHROMIUM``, or one on the path).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from record_session import COMMAND, files

IMAGES = Path(__file__).with_name("images")
LIMIT = 150_000
"""Bytes of a picture."""

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
LOOKS = (("light", 1000, 720), ("dark", 1000, 720), ("light", 390, 760))
AGENTMECH = (sys.executable, "-m", "finetune_fsm")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve *folder* until the block ends; yields the address with its key."""
    with subprocess.Popen(
        [*AGENTMECH, "serve"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            told = process.stdout or ()
            yield next(found[0] for line in told if (found := re.search(r"http://\S+", line)))
        finally:
            process.terminate()


def pictures(browser, address: str, name: str, click: str = "") -> None:  # noqa: ANN001
    """Take a picture of *address* in every look, after a click on the link *click*."""
    for scheme, width, height in LOOKS:
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": height}
        )
        tab = context.new_page()
        tab.goto(address)
        if click:
            tab.locator(f"a[href*='{click}']").first.click()
            tab.wait_for_load_state("load")
            tab.wait_for_timeout(500)
        kind = scheme if width > 500 else "phone"
        path = IMAGES / f"{name}-{kind}.png"
        tab.screenshot(path=path)
        if path.stat().st_size > LIMIT:
            raise SystemExit(f"{path} is too large")
        context.close()


def main() -> None:
    """Make the run, and take all pictures."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        files(folder)
        subprocess.run([*AGENTMECH, *COMMAND, "-q", "--report", "run.html"], cwd=folder, check=True)
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        pictures(browser, (folder / "run.html").as_uri(), "report")
        with served(folder) as address:
            pictures(browser, address, "serve", click="/run/")
        browser.close()


if __name__ == "__main__":
    main()
