"""Look at the pages in a real browser: light and dark, on a desk, on a phone and on paper.

Makes a page of a finetune and one of its tests from an example, opens each in Chromium, takes
pictures, and ends with 1 if the browser asked for anything but the file, ran or refused anything,
had to be scrolled sideways, or if axe finds something.

Needs ``pip install playwright``, a Chromium (``$CHROMIUM``, or one on the path), and for the last
point axe.min.js of the npm package axe-core: ``python bench/pages.py --axe axe.min.js``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLE = "returns-desk"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
LOOKS = (("light", 1100), ("dark", 1100), ("light", 390), ("dark", 390))
"""Colour scheme, and pixels across."""


def pages(folder: Path) -> Iterator[Path]:
    """Make the pages in *folder* from the example and its script."""
    for path in (ROOT / "examples" / EXAMPLE).glob("*.yaml"):
        shutil.copy(path, folder)
    name = f"{EXAMPLE}.yaml"
    llm = ("--llm", f"script:{EXAMPLE}.script.yaml", "--no-cache", "-q")
    for command in (("finetune", name, *llm, "--report", "run.html"),
                    ("test", name, *llm[:2], "-q", "-o", "tests.html")):  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "finetune_fsm", *command],
            cwd=folder,
            check=False,
            capture_output=True,
        )
    return folder.glob("*.html")


def findings(browser, page: Path, axe: str, pictures: Path) -> Iterator[str]:  # noqa: ANN001
    """Yield what is wrong with *page*, in any of the looks, and take pictures of them all."""
    for scheme, width in LOOKS:
        # axe is a script, which the page's own policy refuses: it is looked at without.
        context = browser.new_context(
            bypass_csp=bool(axe),
            color_scheme=scheme,
            viewport={"width": width, "height": 900},
        )
        tab = context.new_page()
        told: list[str] = []
        tab.on("request", lambda request, told=told: told.append(request.url))
        tab.on("console", lambda message, told=told: told.append(message.text))
        tab.goto(page.as_uri())
        where = f"{page.name}, {scheme}, {width} pixels"
        yield from (f"{where}: {line}" for line in told if line != page.as_uri())
        if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
            yield f"{where}: wider than the window"
        tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        if axe:
            tab.evaluate(axe)
            for found in tab.evaluate("axe.run()")["violations"]:
                nodes = found["nodes"]
                yield (
                    f"{where}: {found['id']} ({found['impact']}), {len(nodes)} times, such as "
                    f"{nodes[0]['html'][:120]}"
                )
        tab.screenshot(path=pictures / f"{page.stem}-{scheme}-{width}.png", full_page=True)
        if (scheme, width) == LOOKS[0]:
            tab.pdf(path=pictures / f"{page.stem}.pdf")
        context.close()


def main() -> int:
    """Make the pages, look at them, print what is wrong."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--axe", type=Path, help="axe.min.js of axe-core")
    parser.add_argument("--out", type=Path, default=Path("build/pages"), help="for the pictures")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    axe = given.axe.read_text("utf-8") if given.axe else ""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        made = sorted(pages(Path(folder)))
        for page in made:
            wrong += findings(browser, page, axe, given.out)
        browser.close()
    print(*wrong, sep="\n")
    print(f"{len(made)} pages in {len(LOOKS)} looks, {len(wrong)} findings; see {given.out}")
    return 1 if wrong or len(made) != 2 else 0


if __name__ == "__main__":
    sys.exit(main())
