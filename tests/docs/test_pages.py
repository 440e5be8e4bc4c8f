"""Every command of every page runs, in order, and prints what the page shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pages import Block, Page, blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "examples/README.md", *(ROOT / "docs").rglob("*.md")])

SITE = ROOT / "mkdocs.yml"

NEEDS_EXAMPLES = {"README.md", "examples/README.md"}
"""Pages for who has a checkout: their folder holds the examples, or is that of the examples."""

MODEL = "needs a server with a model"
WEIGHTS = "fetches a model"
NETWORK = "needs the network"
PERSON = "waits for a person"
MACHINES = "needs several machines"
STOPPED = "needs a run that was stopped"

NOT_RUN: dict[str, dict[str, str]] = {
    "README.md": {
        "$ make demo": WEIGHTS,
        "$ pip install .": MODEL,
        "$ pip install '.[dask]'": MACHINES,
        "$ pip install '.[serve]'": NETWORK,
        "$ agentmech resume": STOPPED,
        "$ agentmech finetune my.yaml --approve always": PERSON,
        "$ agentmech finetune my.yaml --step": PERSON,
    },
    "docs/how-to/lint-and-generate.md": {
        '$ agentmech generate "Answer questions about our opening hours" -o hours.yaml': MODEL,
    },
    "docs/how-to/serve.md": {
        "$ pip install '/path/to/the/checkout[serve]'": NETWORK,
    },
    "docs/how-to/several-servers.md": {
        "$ agentmech finetune my.yaml -u http://one:11434 -u http://two:11434": MACHINES,
        "$ pip install '/path/to/the/checkout[dask]'": MACHINES,
    },
    "docs/tutorial.md": {
        "$ python3 -m venv .venv": NETWORK,
        "$ ollama pull gemma3:4b": MODEL,
        "$ pip install '/path/to/the/checkout[embedded]'": WEIGHTS,
        "$ agentmech finetune support.yaml --llm openai:http://localhost:8000/v1 -m NAME": MODEL,
    },
    "examples/README.md": {
        "$ agentmech run tone-fixer/tone-fixer.yaml": MODEL,
    },
}
"""Blocks that are only to be read, by page and first command, and why; the pages say the same."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def found_in(page: Path) -> tuple[Block, ...]:
    return tuple(blocks(page.read_text("utf-8")))


def command_of(block: Block) -> str:
    """The first command of a block, without what it says about it."""
    return re.sub(r" +# .*", "", block.text.splitlines()[0])


@pytest.fixture(autouse=True)
def _nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")  # nobody's: a page that asks a server fails


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.counts for b in found_in(p))], ids=name_of
)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "you"
    if name_of(page) == "examples/README.md":
        shutil.copytree(page.parent, folder)
    else:
        folder.mkdir()
        if name_of(page) in NEEDS_EXAMPLES:
            shutil.copytree(ROOT / "examples", folder / "examples")
    run = Page(folder)
    for block in found_in(page):
        if (name_of(page), block.language) != (
            "README.md",
            "python",
        ):  # tests/test_readme.py has it
            run.run(block)


def test_what_is_not_run_is_known_and_has_a_reason() -> None:
    found = {
        name_of(page): {
            command_of(block): reason
            for block in found_in(page)
            for word, reason in [block.asked]
            if block.counts and word == "not run"
        }
        for page in PAGES
    }
    assert {page: lines for page, lines in found.items() if lines} == NOT_RUN


def test_every_fence_is_seen_and_every_mark_is_one_of_ours() -> None:
    for page in PAGES:
        text = page.read_text("utf-8")
        fences = len(re.findall(r"^ *```", text, re.MULTILINE))
        assert fences == 2 * len(found_in(page)), name_of(page)
        marks = re.findall(r"^ *<!-- (?:not run|exit|typed|ends after)\b", text, re.MULTILINE)
        assert len(marks) == sum(bool(block.mark) for block in found_in(page)), name_of(page)


LINK = re.compile(r"\[[^\]\n]*\]\((?!https?:|#)([^)\s#]+)(?:#([^)\s]+))?\)")


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target, anchor in LINK.findall(re.sub(r"(?s)```.*?```", "", page.read_text("utf-8"))):
            path = page.parent / target
            assert path.exists(), f"{name_of(page)}: {target}"
            if anchor and path.suffix == ".md":
                assert anchor in anchors(path), f"{name_of(page)}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub and MkDocs make them."""
    text = re.sub(r"(?s)```.*?```", "", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_every_page_is_in_the_site_once_and_can_be_reached_from_home() -> None:
    listed = re.findall(r"^ +- (?:[^:]+: )?(\S+\.md)$", SITE.read_text("utf-8"), re.MULTILINE)
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(pages)
    home = (ROOT / "docs/index.md").read_text("utf-8")
    assert {target for target, _ in LINK.findall(home)} == pages - {"index.md"}
