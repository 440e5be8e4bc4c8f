"""The page in a real browser: clicked through, read aloud to axe, and attacked.

Run with ``make browser``; needs Chromium (``$CHROMIUM`` or one on the path).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commandline import GREETER, GREETER_TESTS

pytestmark = pytest.mark.browser

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip

SCRIPT = """\
format: 1
replies:
  - {purpose: state, when: "wait", reply: "Never.", seconds: 600}
  - {purpose: state, when: "by name.*called (?P<who>[A-Z][a-z]+)", reply: "Hello {{who}}!"}
  - {purpose: state, when: "Evil", reply: "<img src=x onerror=window.hit=1><script>"}
  - {purpose: state, reply: "Hello you!"}
  - purpose: analysis
    when: "0 of 2"
    reply: {analysis: "No name.", suggestions: [{state: greet, change: "Use the name."}]}
  - {purpose: analysis, reply: {analysis: "Fine.", suggestions: []}}
  - purpose: proposal
    reply: {problem: "No <b>name</b>.", new_prompt: "Greet by name who is called {{{{name}}}}"}
""".replace("{{{{name}}}}", "{{name}}")

PATIENCE = 60_000  # milliseconds after which a test gives up; never how long it takes


@pytest.fixture(scope="session")
def browser():  # noqa: ANN201  # a type of an optional package
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield chromium
        chromium.close()


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command in a process of its own, and the address that it prints."""
    command = [sys.executable, "-m", "finetune_fsm", "serve", "--llm", "script:replies.script"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split(" at ")[-1].strip(), process
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workflow that fails its tests, one that waits for ever, and one full of markup."""
    (tmp_path / "greeter.yaml").write_text(GREETER)
    (tmp_path / "greeter.test.yaml").write_text(GREETER_TESTS)
    (tmp_path / "replies.script").write_text(SCRIPT)
    hostile = GREETER.replace("name: Greeter", "name: '<script>window.hit=1</script>'")
    hostile = hostile.replace("greet:", "'<img src=x onerror=window.hit=1>':")
    hostile = hostile.replace("next: greet", "next: '<img src=x onerror=window.hit=1>'")
    (tmp_path / "hostile.yaml").write_text(hostile.replace('"Greet', '"Evil'))
    (tmp_path / "waits.yaml").write_text(GREETER.replace('"Greet', '"wait'))
    return tmp_path


@pytest.fixture
def page(browser, folder: Path) -> Iterator:  # noqa: ANN001
    """A page that has used the key; what the browser complains of fails the test."""
    with serving(folder) as (url, _):
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.get_by_role("heading", name="Workflows and runs").wait_for()
        yield page
        context.close()
        assert not complaints


def open_workflow(page, name: str) -> None:  # noqa: ANN001
    page.get_by_role("link", name=name).first.click()
    page.get_by_role("button", name="Run it").wait_for()


def start_finetune(page, *, approval: str = "never") -> None:  # noqa: ANN001
    open_workflow(page, "Greeter")
    page.get_by_text("Finetune it").click()
    page.get_by_label("Iterations at most").fill("3")
    page.get_by_label("Ask me about").select_option(approval)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/run/**")


def test_the_key_opens_the_page_and_leaves_the_address(page) -> None:  # noqa: ANN001
    assert "#" not in page.url
    cookie = page.context.cookies()[0]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""
    other = page.context.browser.new_context()
    stranger = other.new_page()
    stranger.goto(page.url)
    stranger.get_by_text("This page is locked").first.wait_for()
    other.close()


def test_a_run_asks_and_goes_on(page) -> None:  # noqa: ANN001
    open_workflow(page, "Greeter")
    page.get_by_role("button", name="Run it").click()
    page.get_by_text("Your name?").wait_for()
    page.reload()
    page.get_by_label("Your answer").fill("Ada")
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Reply in greet").get_by_text("Hello you!").wait_for()
    page.get_by_text("completed").wait_for()
    assert page.get_by_role("button", name="Stop").count() == 0


def test_a_run_that_waits_is_stopped(page) -> None:  # noqa: ANN001
    page.get_by_role("link", name="Greeter").nth(1).click()
    page.get_by_text("waits.yaml").first.wait_for()
    page.get_by_role("button", name="Run it").click()
    page.get_by_label("Your answer").fill("Ada")
    page.get_by_role("button", name="Answer").click()
    page.get_by_text("in state greet").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped").wait_for()


def test_a_finetune_is_approved_step_by_step(page) -> None:  # noqa: ANN001
    start_finetune(page, approval="always")
    page.get_by_text("Shall this change go on trial?").wait_for()
    assert page.locator(".diff .added").first.inner_text().startswith("+")
    page.get_by_role("img", name="stands in CHECKING").wait_for()
    page.reload()
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_text("solved").wait_for()
    page.get_by_role("img", name="stands in DONE").wait_for()
    assert page.get_by_text("No <b>name</b>.").count() > 0
    assert page.locator("b").count() == 0


def test_a_run_that_was_stopped_goes_on_and_a_refusal_says_why(page) -> None:  # noqa: ANN001
    start_finetune(page, approval="always")
    page.get_by_text("Shall this change go on trial?").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Go on with this run").first.click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Shall this change go on trial?").wait_for()
    page.get_by_text("Sessions").locator("..").get_by_text("2").wait_for()
    page.get_by_label("Or say why not").fill("Too <i>bold</i>.")
    page.get_by_role("button", name="Reject").click()
    page.get_by_text("a person refused it: Too <i>bold</i>.").first.wait_for()


def test_a_page_goes_on_when_its_connection_was_lost(page) -> None:  # noqa: ANN001
    open_workflow(page, "Greeter")
    page.route("**/events", lambda route: route.abort())
    page.get_by_role("button", name="Run it").click()
    page.get_by_text("does not answer").wait_for()
    page.unroute("**/events")
    page.get_by_text("does not answer").wait_for(state="hidden")
    page.get_by_label("Your answer").fill("Ada")
    page.get_by_role("button", name="Answer").click()
    page.get_by_text("completed").wait_for()


def test_markup_of_workflows_and_models_stays_text(page) -> None:  # noqa: ANN001
    page.get_by_role("link", name="<script>").click()
    page.get_by_role("button", name="Run it").click()
    page.get_by_label("Your answer").fill("<svg onload=window.hit=1>")
    page.get_by_role("button", name="Answer").click()
    page.get_by_text("completed").wait_for()
    assert page.get_by_text("<img src=x onerror=window.hit=1><script>").count() > 0
    assert page.evaluate("window.hit") is None
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_axe_finds_nothing_serious(browser, folder: Path, scheme: str, width: int) -> None:  # noqa: ANN001
    from axe_playwright_python.sync_playwright import Axe

    with serving(folder) as (url, _):
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(url)
        page.get_by_role("heading", name="Workflows and runs").wait_for()
        seen = [page.url]
        open_workflow(page, "Greeter")
        seen.append(page.url)
        page.go_back()
        start_finetune(page, approval="always")
        page.get_by_text("Shall this change go on trial?").wait_for()
        found = [(page.url, violation) for violation in serious(Axe().run(page))]
        page.get_by_role("button", name="Approve", exact=True).click()
        page.get_by_text("solved").wait_for()
        for place in (*seen, page.url):
            page.goto(place)
            found += [(place, violation) for violation in serious(Axe().run(page))]
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        context.close()
    assert not found


def serious(results: object) -> list[str]:
    """What axe calls serious or critical, each with the elements it means."""
    found = results.response["violations"]  # type: ignore[attr-defined]
    return [
        f"{violation['id']}: {[node['target'] for node in violation['nodes']]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]
