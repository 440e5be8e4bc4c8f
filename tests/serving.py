"""A server for tests, real sockets and all, and what a browser would know of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import httpx

from finetune_fsm.llm.base import LLM, Stop
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.llm.select import Chosen, choose
from finetune_fsm.serve.server import serve

PATIENCE = 60.0  # seconds after which a test gives up; never how long it takes


@dataclass
class Served:
    """A server that runs, and a client that has the key."""

    url: str
    client: httpx.Client
    stop: Stop
    done: threading.Event
    errors: list[BaseException] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.url.partition("/#")[0]

    @property
    def token(self) -> str:
        return self.url.partition("#")[2]

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    def stranger(self, **headers: str) -> httpx.Client:
        """A client without the key."""
        return httpx.Client(base_url=self.origin, headers=headers, timeout=PATIENCE)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.client.post(path, data=fields or {"nothing": ""})

    def until(self, path: str, seen: str | Callable[[str], bool]) -> str:
        """The page at *path* once it shows *seen*, as text."""
        end = time.monotonic() + PATIENCE
        while True:
            text = Page.of(self.client.get(path).text).text
            if seen in text if isinstance(seen, str) else seen(text):
                return text
            assert time.monotonic() < end, f"{seen} is not in: {text}"
            time.sleep(0.05)


@contextmanager
def served(folder: Path, model: LLM | Path | None = None) -> Iterator[Served]:
    """Serve *folder*; the model is a script file, or any one."""
    stop, told, done = Stop(), threading.Event(), threading.Event()
    urls: list[str] = []
    errors: list[BaseException] = []

    def chosen() -> Chosen:
        if isinstance(model, Path):
            return choose(spec=f"script:{model}", environ={})
        return Chosen(model or ScriptedLLM([]))

    def ready(url: str) -> None:
        urls.append(url)
        told.set()

    def run() -> None:
        try:
            serve(folder, choose=chosen, port=0, ready=ready, stop=stop)
        except BaseException as error:  # noqa: BLE001  # told when the test ends
            errors.append(error)
        finally:
            done.set()
            told.set()

    threading.Thread(target=run, daemon=True).start()
    assert told.wait(PATIENCE)
    assert urls, errors
    origin = urls[0].partition("/#")[0]
    with httpx.Client(base_url=origin, headers={"origin": origin}, timeout=PATIENCE) as client:
        here = Served(urls[0], client, stop, done, errors)
        assert here.post("/enter", token=here.token).status_code == 204
        try:
            yield here
        finally:
            stop.ask()
            assert done.wait(PATIENCE)
            assert not errors


class Page(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(f" {text}" for text in self.texts).split())

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    def links(self, beginning: str) -> list[str]:
        found = (attributes.get("href") or "" for tag, attributes in self.elements if tag == "a")
        return [link for link in found if link.startswith(beginning)]

    def value(self, name: str) -> str:
        """The value of the field called *name*."""
        return next(
            a.get("value") or "" for tag, a in self.elements if tag == "input" and a["name"] == name
        )
