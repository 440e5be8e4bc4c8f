"""The server as a browser meets it, and as everybody else does."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from commandline import GREETER
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import PATIENCE, Page, Served, served

from finetune_fsm import api
from finetune_fsm.errors import MissingExtra, UsageError
from finetune_fsm.llm.base import Request, Stop
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.loop.table import LoopState
from finetune_fsm.runs.history import load
from finetune_fsm.runs.places import JOURNAL
from finetune_fsm.serve.server import serve
from finetune_fsm.serve.wire import BODY_LIMIT

PLACES = ("/", "/events", "/workflow/greeter.yaml", "/run/x", "/run-events/x", "/job/x",
          "/job/x/events", "/nothing", "/enter")  # fmt: skip
ORDERS = ("/start/run", "/start/test", "/start/finetune", "/start/resume", "/job/x/answer",
          "/job/x/stop")  # fmt: skip


@pytest.fixture
def here(folder: Path) -> Iterator[Served]:
    """The folder, served."""
    with served(folder, folder / "greeter.script") as here:
        yield here


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A workflow without a model, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("open")
    (folder / "greeter.yaml").write_text(GREETER)
    with served(folder) as here:
        yield here


def begun(here: Served, what: str, **fields: str) -> str:
    """Start *what* and return the address of its page."""
    answer = here.post(f"/start/{what}", workflow="greeter.yaml", **fields)
    assert answer.status_code == 303, Page.of(answer.text).text
    return answer.headers["location"]


def finetuned(here: Served, **fields: str) -> str:
    """Start a finetune and return the address of its run's page."""
    place = begun(here, "finetune", max_iterations="3", **fields)
    here.until(place, "See the run")
    return Page.of(here.client.get(place).text).links("/run/")[0]


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_shown_to_who_has_no_key(place: str, site: Served) -> None:
    with site.stranger() as stranger:
        answer = stranger.get(place)
    assert answer.status_code in (401, 405)
    assert "greeter" not in answer.text
    assert site.token not in answer.text


@pytest.mark.parametrize("place", ORDERS)
def test_nothing_is_done_for_who_has_no_key(place: str, site: Served) -> None:
    with site.stranger(origin=site.origin) as stranger:
        assert stranger.post(place, data={"workflow": "greeter.yaml"}).status_code == 401


@pytest.mark.parametrize("place", [*PLACES, *ORDERS])
def test_a_name_that_leads_here_is_not_ours(place: str, site: Served) -> None:
    for host in (
        "evil.example",
        f"evil.example:{site.port}",
        f"127.0.0.1:{site.port - 1}",
    ):
        for method in ("GET", "POST"):
            headers = {"host": host, "origin": f"http://{host}"}
            answer = site.client.request(method, place, headers=headers)
            assert answer.status_code == 421


@pytest.mark.parametrize("place", [*ORDERS, "/enter"])
def test_another_page_cannot_ask_for_anything_with_our_cookie(place: str, site: Served) -> None:
    for origin in ("null", "http://evil.example", f"http://127.0.0.1:{site.port + 1}"):
        fields = {"workflow": "greeter.yaml", "token": site.token}
        answer = site.client.post(place, data=fields, headers={"origin": origin})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("place", ORDERS)
def test_reading_changes_nothing(place: str, site: Served) -> None:
    assert site.client.get(place).status_code in (404, 405)


def test_every_answer_keeps_other_pages_out(here: Served) -> None:
    here.client.cookies.clear()
    for place in (*PLACES, "/static/page.js", "/static/nothing"):
        headers = here.client.get(place, headers={"origin": "http://evil.example"}).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert not [name for name in headers if name.startswith("access-control")]


def test_only_this_machine_can_connect(site: Served) -> None:
    with socket.socket() as other, pytest.raises(OSError, match="refused"):
        other.connect(("127.0.0.2", site.port))  # this machine too, but not the address it is at


def test_a_form_is_small_and_a_form(site: Served) -> None:
    large = site.post("/start/run", workflow="x" * BODY_LIMIT)
    assert large.status_code == 413
    kinds = ("application/json", "multipart/form-data; boundary=x", "text/plain", "")
    for kind in kinds:
        headers = {"content-type": kind}
        answer = site.client.post("/start/run", content=b"workflow=a", headers=headers)
        assert answer.status_code == 415
    form = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"\xff=1", b"&".join(b"a=1" for _ in range(200))):
        assert site.client.post("/start/run", content=body, headers=form).status_code == 400


def test_a_key_that_is_wrong_opens_nothing(site: Served) -> None:
    with site.stranger(origin=site.origin) as stranger:
        answer = stranger.post("/enter", data={"token": site.token[:-1]})
        assert answer.status_code == 403
        assert stranger.get("/").status_code == 401


def test_the_first_page_lists_workflows_what_is_wrong_with_them_and_runs(folder: Path) -> None:
    (folder / "broken.yaml").write_text("name: B\nstates:\n  a: {type: promt}\n")
    with served(folder, folder / "greeter.script") as here:
        text = Page.of(here.client.get("/").text).text
        assert "Greeter greeter.yaml" in text
        assert re.search(r"broken broken.yaml \d problems", text)
        assert "greeter.test.yaml" in text
        assert "No runs yet" in text
        page = Page.of(here.client.get("/workflow/broken.yaml").text)
        assert "did you mean 'prompt'" in page.text
        assert "form" not in page.tags


def test_a_run_asks_streams_and_ends(here: Served) -> None:
    place = begun(here, "run")
    here.until(place, "Your name?")
    page = Page.of(here.client.get(place).text)
    assert "Leave it empty for: nobody" in page.text
    answer = here.post(f"{place}/answer", number=page.value("number"), answer="Ada")
    assert answer.status_code == 303
    text = here.until(place, "completed")
    assert "Hello you!" in text
    assert "name Ada" in text
    assert "Greet Ada" in text


def test_the_stream_of_a_run_has_all_of_it_whenever_it_is_joined(here: Served) -> None:
    place = begun(here, "run")
    here.until(place, "Your name?")
    number = Page.of(here.client.get(place).text).value("number")
    told: list[str] = []

    def listen() -> None:
        with here.client.stream("GET", f"{place}/events") as stream:
            told.append(stream.read().decode())

    early = threading.Thread(target=listen)
    early.start()
    here.post(f"{place}/answer", number=number, answer="Ada")
    early.join(PATIENCE)
    listen()
    for heard in told:
        assert "Hello you!" in heard
        assert heard.endswith("event: end\ndata: {}\n\n")


def test_an_answer_to_no_open_question_changes_nothing(here: Served) -> None:
    place = begun(here, "run")
    here.until(place, "Your name?")
    for number in ("0", "2", "99"):
        assert here.post(f"{place}/answer", number=number, answer="Eve").status_code == 303
    for number in ("", "-1", "x", "٣", "1" * 30):
        assert here.post(f"{place}/answer", number=number, answer="Eve").status_code == 400
    here.post(f"{place}/answer", number="1", answer="Ada")
    assert "name Ada" in here.until(place, "completed")


def test_a_second_run_of_a_workflow_waits_for_the_first(here: Served) -> None:
    place = begun(here, "run")
    again = here.post("/start/run", workflow="greeter.yaml")
    assert again.status_code == 409
    assert "going on" in Page.of(again.text).text
    assert here.post(f"{place}/stop").status_code == 303
    here.until(place, "stopped")
    begun(here, "run")


def test_what_is_not_here_is_not_started(here: Served) -> None:
    for what, fields in (
        ("run", {"workflow": "../greeter.yaml"}),
        ("run", {"workflow": "/etc/passwd"}),
        ("finetune", {"workflow": "nothing.yaml"}),
        ("test", {}),
        ("resume", {"run": "greeter.agentmech/none"}),
        ("nothing", {"workflow": "greeter.yaml"}),
        ("finetune", {"workflow": "greeter.yaml", "max_iterations": "-1"}),
        ("finetune", {"workflow": "greeter.yaml", "candidates": "99"}),
    ):
        answer = here.post(f"/start/{what}", **fields)
        assert answer.status_code == 400, what
    assert "Going on" not in Page.of(here.client.get("/").text).text


def test_a_test_shows_each_result_and_the_verdict(here: Served) -> None:
    text = here.until(begun(here, "test"), "0 of 2 passed")
    assert "FAIL Greets Alice" in text
    assert "Hello you!" in text


def test_a_finetune_is_told_from_its_journal(here: Served, folder: Path) -> None:
    place = finetuned(here)
    text = here.until(place, "solved")
    assert "Greets Alice, Greets Bob" in text
    assert "Greet by name who is called {{name}}" in text
    assert "2 won, 0 lost, 0 tied" in text
    assert "tried before" in text
    assert (folder / "greeter.finetuned.yaml").exists()
    overview = Page.of(here.client.get("/").text).text
    assert re.search(r"greeter.yaml solved 2 2/2 \d+", overview)


def test_a_run_of_another_process_is_only_read(folder: Path) -> None:
    llm = ScriptedLLM(lambda _: '{"analysis": "", "suggestions": []}')
    with api.open_run(folder / "greeter.yaml", llm=llm) as session, served(folder) as here:
        place = f"/run/greeter.agentmech/{session.folder.name}"
        heard: list[str] = []

        def listen() -> None:
            stream = here.client.stream("GET", place.replace("run", "run-events", 1))
            with suppress(httpx.HTTPError), stream as s:  # the server ends before the run
                heard.extend(s.iter_lines())

        threading.Thread(target=listen, daemon=True).start()
        for entry in session.loop:
            text = here.until(place, f"live: {entry.target}")
            assert "this page only reads" in text
            if entry.target is LoopState.TESTING:
                break
        assert "Stop" not in text
        assert not [tag for tag in Page.of(here.client.get(place).text).tags if tag == "form"]
        end = time.monotonic() + PATIENCE
        while not any("stands in TESTING" in line for line in heard) and time.monotonic() < end:
            time.sleep(0.05)
        assert any("stands in TESTING" in line for line in heard)
        before = (session.folder / JOURNAL).read_bytes()
    assert (session.folder / JOURNAL).read_bytes() == before


def test_a_stopped_finetune_goes_on_from_the_page(here: Served, folder: Path) -> None:
    place = finetuned(here, approval="always")
    here.until(place, "Shall this change go on trial?")
    action = next(a["action"] for t, a in Page.of(here.client.get(place).text).elements
                  if t == "form" and (a["action"] or "").endswith("/stop"))  # fmt: skip
    assert here.post(str(action)).status_code == 303
    text = here.until(place, "Go on with this run")
    assert "stopped" in text
    run = place.removeprefix("/run/")
    answer = here.post("/start/resume", run=run, approval="never")
    assert answer.headers["location"] == place
    here.until(place, "solved")
    history = load(folder / run)
    assert history.sessions == 2
    assert history.finished


def test_a_refusal_reaches_the_model_with_its_reason(folder: Path) -> None:
    asked: list[Request] = []
    script = folder / "greeter.script"
    with served(folder, Listening(script, asked)) as here:
        place = finetuned(here, approval="always")
        here.until(place, "Shall this change go on trial?")
        page = Page.of(here.client.get(place).text)
        action = next(str(a["action"]) for t, a in page.elements
                      if t == "form" and (a["action"] or "").endswith("/answer"))  # fmt: skip
        here.post(action, number=page.value("number"), say="no", reason="It sounds <rude>.")
        end = time.monotonic() + PATIENCE
        while not any("It sounds <rude>." in request.text for request in asked):
            assert time.monotonic() < end, "the model never heard why"
            time.sleep(0.05)
        assert "a person refused it: It sounds <rude>." in here.until(place, "refused it")


class Listening(ScriptedLLM):
    """The model of a script file, and all that it was asked."""

    def __init__(self, script: Path, asked: list[Request]) -> None:
        from finetune_fsm.llm.select import choose

        inner = choose(spec=f"script:{script}", environ={}).llm

        def answer(request: Request) -> str:
            asked.append(request)
            return inner.complete(request).text

        super().__init__(answer)


def test_the_end_of_the_server_leaves_a_run_that_can_go_on(folder: Path) -> None:
    with served(folder, folder / "greeter.script") as here:
        place = finetuned(here, approval="always")
        here.until(place, "Shall this change go on trial?")
    run = folder / place.removeprefix("/run/")
    assert load(run).run.ending is not None
    assert not load(run).finished
    from finetune_fsm.llm.select import choose

    llm = choose(spec=f"script:{folder / 'greeter.script'}", environ={}).llm
    with api.reopen_run(run, llm=llm) as session:
        assert api.finish(session.loop).passed


def test_a_workflow_that_another_process_improves_is_said_to_be_busy(folder: Path) -> None:
    llm = ScriptedLLM([])
    with api.open_run(folder / "greeter.yaml", llm=llm), served(folder) as here:
        place = begun(here, "finetune")
        assert "is being worked on by process" in here.until(place, "wait for it to end")


def test_a_model_that_is_not_there_is_told_on_the_page(folder: Path) -> None:
    with served(folder, folder / "missing.script") as here:
        text = here.until(begun(here, "test"), "missing.script")
        assert "missing.script" in text
        begun(here, "test")


def test_a_damaged_journal_costs_its_own_page_and_no_other(here: Served, folder: Path) -> None:
    place = finetuned(here)
    here.until(place, "solved")
    journal = folder / place.removeprefix("/run/") / JOURNAL
    data = journal.read_bytes()
    journal.write_bytes(data[:200] + b"#" + data[201:])
    answer = here.client.get(place)
    assert answer.status_code == 422
    assert "damaged" in Page.of(answer.text).text
    assert "unreadable" in Page.of(here.client.get("/").text).text
    with here.client.stream("GET", place.replace("run", "run-events", 1)) as stream:
        assert stream.read().decode().endswith("event: end\ndata: {}\n\n")


HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</pre></main><form>",
           "<a href=javascript:alert(1)>x</a>", "\x1b[31m<b>", "&lt;i&gt;")  # fmt: skip


@settings(max_examples=6, deadline=None)
@given(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20)), st.sampled_from(HOSTILE))
def test_what_workflows_and_models_say_is_text_on_every_page(
    tmp_path_factory: pytest.TempPathFactory, reply: str, name: str
) -> None:
    from finetune_fsm.workflow.text import dump

    folder = tmp_path_factory.mktemp("hostile")
    state = {"type": "prompt", "prompt": name, "save_as": "out", "options": {"num_predict": 9}}
    document = {"name": name, "description": name, "start_state": name, "states": {name: state}}
    (folder / "w.yaml").write_text(dump(document), "utf-8")
    checks = [{"type": "equals", "target": "out", "value": name}]
    scenario = {"name": name, "description": name, "assertions": checks}
    (folder / "w.test.yaml").write_text(dump({"workflow": "w.yaml", "test_scenarios": [scenario]}))
    with served(folder, ScriptedLLM([Reply(reply)])) as here:
        pages = [here.client.get("/").text, here.client.get("/workflow/w.yaml").text]
        for what in ("run", "test"):
            answer = here.post(f"/start/{what}", workflow="w.yaml")
            pages.append(answer.text)
            if answer.status_code != 303:  # a file that is wrong, which is told
                continue
            place = answer.headers["location"]
            here.until(place, lambda t: any(w in t for w in ("completed", "failed", "passed")))
            pages.append(here.client.get(place).text)
            with here.client.stream("GET", f"{place}/events") as stream:
                for line in stream.iter_lines():
                    assert line.isascii()
        for text in pages:
            page = Page.of(text)
            assert page.tags.count("script") == bool(text)
            assert not {"img", "b", "i", "iframe"} & set(page.tags)
            for tag, attributes in page.elements:
                assert not [key for key in attributes if key.startswith("on")], tag
                for key in ("href", "src", "action"):
                    assert (attributes.get(key) or "/").startswith("/")


def test_a_port_that_is_taken_is_said(here: Served, folder: Path) -> None:
    with pytest.raises(UsageError, match=f"{here.port}.*--port 0"):
        serve(folder, choose=lambda: None, port=here.port, ready=print, stop=Stop())  # type: ignore[arg-type]


def test_a_stranger_on_the_wire_costs_nothing(site: Served) -> None:
    for line in (b"GARBAGE\r\n\r\n", b"GET /" + b"x" * 100_000, b"GET / HTTP/1.1\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):  # fmt: skip
        with socket.create_connection(("127.0.0.1", site.port), timeout=5) as wire:
            wire.sendall(line)
            wire.shutdown(socket.SHUT_WR)
            assert b"greeter" not in wire.recv(65536)
    assert site.client.get("/").status_code == 200


def test_without_its_packages_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra) as error:
        serve(folder, choose=lambda: None, port=0, ready=print, stop=Stop())  # type: ignore[arg-type]
    assert "finetune-fsm[serve]" in str(error.value)


def test_the_address_that_is_printed_is_of_this_server(site: Served) -> None:
    assert httpx.URL(site.origin).host == "127.0.0.1"
