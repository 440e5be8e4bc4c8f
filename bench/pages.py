"""Look at the pages in a real browser: light and dark, on a desk, on a phone and on paper.

Makes a page of a finetune and one of its tests from an example, opens each in Chromium, takes
pictures, and ends with 1 if the browser asked for anything but the file, ran or refused anything,
had to be scrolled sideways, or if axe finds something.

Also makes a large page, and looks at how many bytes it has and how long it takes to open.

Needs the extra ``browser`` and a Chromium (``$CHROMIUM``, or one on the path).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from speed import put

ROOT = Path(__file__).parents[1]
EXAMPLE = "returns-desk"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
LOOKS = (("light", 1100), ("dark", 1100), ("light", 390), ("dark", 390))
"""Colour scheme, and pixels across."""


ITERATIONS, SCENARIOS = 10, 30
BYTES, SECONDS = 1_000_000, 1.0
"""How large a page of so many iterations and scenarios may be, and how long it may take to open."""


def large(folder: Path) -> Path:
    """Make a page in *folder* of a run of `ITERATIONS` over `SCENARIOS`, most of which fail."""
    path = put(folder, SCENARIOS, prompts=2)
    texts = [f"In {number} words, what is {{{{thing}}}}?" for number in range(10, 99)]
    wishes = [
        {"purpose": "proposal", "reply": {"problem": text, "new_prompt": text}, "once": True}
        for text in texts
    ]
    # Two changes of three help one more scenario than the last.
    said = [
        {
            "purpose": "state",
            "when": re.escape(text.replace("{{thing}}", f"number {number}")),
            "reply": "it is good",
        }
        for step, text in enumerate(texts)
        for number in range(min(SCENARIOS, 1 + step * 2 // 3))
    ]
    analysis = {"analysis": "It says too little.", "suggestions": []}
    replies = [
        *wishes,
        {"purpose": "analysis", "reply": analysis},
        *said,
        {"purpose": "state", "reply": "a thing of some kind, as things are, " * 8},
    ]
    (folder / "script.yaml").write_text(json.dumps({"format": 1, "replies": replies}), "utf-8")
    options = ("--llm", "script:script.yaml", "--no-cache", "-q", "-i", str(ITERATIONS))
    agentmech(folder, "finetune", path.name, *options, "--report", "large.html")
    return folder / "large.html"


def agentmech(folder: Path, *arguments: str) -> None:
    """Run the command in *folder*, however it ends."""
    command = [sys.executable, "-m", "finetune_fsm", *arguments]
    subprocess.run(command, cwd=folder, check=False, capture_output=True)


def opened(browser, page: Path, times: int = 5) -> float:  # noqa: ANN001
    """Return the seconds until *page* was drawn, the median of some times."""
    found = []
    for _ in range(times):
        tab = browser.new_page()
        began = time.monotonic()
        tab.goto(page.as_uri())
        tab.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        found.append(time.monotonic() - began)
        tab.close()
    return statistics.median(found)


def pages(folder: Path) -> Iterator[Path]:
    """Make the pages in *folder* from the example and its script."""
    for path in (ROOT / "examples" / EXAMPLE).glob("*.yaml"):
        shutil.copy(path, folder)
    name = f"{EXAMPLE}.yaml"
    llm = ("--llm", f"script:{EXAMPLE}.script.yaml", "--no-cache", "-q")
    for command in (("finetune", name, *llm, "--report", "run.html"),
                    ("test", name, *llm[:2], "-q", "-o", "tests.html")):  # fmt: skip
        agentmech(folder, *command)
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


def checker() -> str:
    """Return axe-core's program as the extra ``browser`` brings it, or nothing."""
    with suppress(ImportError):
        return files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    return ""


def main() -> int:
    """Make the pages, look at them, print what is wrong."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--axe", type=Path, help="axe.min.js of axe-core, if not from the extra")
    parser.add_argument("--out", type=Path, default=Path("build/pages"), help="for the pictures")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    axe = given.axe.read_text("utf-8") if given.axe else checker()
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        made = sorted(pages(Path(folder)))
        (Path(folder) / "large").mkdir()
        heavy = large(Path(folder) / "large")
        for page in (*made, heavy):
            wrong += findings(browser, page, axe, given.out)
        size, seconds = heavy.stat().st_size, opened(browser, heavy)
        browser.close()
    print(
        f"{ITERATIONS} iterations x {SCENARIOS} scenarios: {size:,} bytes, open in {seconds:.2f} s"
    )
    if size > BYTES or seconds > SECONDS:
        wrong.append(f"more than {BYTES:,} bytes or {SECONDS} s")
    print(*wrong, sep="\n")
    print(f"{len(made) + 1} pages in {len(LOOKS)} looks, {len(wrong)} findings; see {given.out}")
    return 1 if wrong or len(made) != 2 else 0


if __name__ == "__main__":
    sys.exit(main())
