"""A workflow with two flaws, a model on the wire that can mend them, and what a command leaves.

The model's reply is a pure function of the question, so whatever goes wrong on the way, the run
has to come to the same end and to ask the same. What goes wrong is said by the number of the
request::

    with world(at({3: refusal(500, "boom")})) as pair:
        done = agentmech(*FINETUNE, *pair.at)
"""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import wire
from wire import Act, Call, chat, final

from finetune_fsm.api import finetune
from finetune_fsm.llm.ollama import OllamaLLM

WORKFLOW = """\
# Words, loud and soft.
name: Pair
default_model: tiny
start_state: ask
states:
  ask: {type: input, prompt: "Word?", save_as: word, next: loud}
  loud: {type: prompt, prompt: "Shout: {{word}}", save_as: shouted, next: soft}
  soft: {type: prompt, prompt: "Whisper: {{word}}", save_as: whispered, next: end}
"""

BEST = WORKFLOW.replace("Shout:", "Shout in capitals:").replace("Whisper:", "Whisper in smalls:")
"""What the workflow becomes when nothing goes wrong."""

TESTS = """\
workflow: pair.yaml
test_scenarios:
  - name: Loud
    inputs: [{state: ask, value: Lisbon}]
    assertions: [{type: contains, target: shouted, value: LISBON}]
  - name: Soft
    inputs: [{state: ask, value: Porto}]
    assertions: [{type: equals, target: whispered, value: porto}]
"""

FINETUNE = ("finetune", "pair.yaml", "-m", "tiny", "-i", "8")
CHAT = "/api/chat"


def prompt_of(body: Mapping) -> str:
    return "\n".join(message["content"] for message in body["messages"])


def purpose_of(body: Mapping) -> str:
    """What the loop asks *body* for, by the form that it wants: the wire does not say."""
    fields = body.get("format", {}).get("properties", {})
    if not fields:
        return "judge" if "Result 1:" in prompt_of(body) else "state"
    kinds = {"suggestions": "analysis", "scenarios": "tests"}
    return next((kinds[name] for name in fields if name in kinds), "proposal")


def reply_to(body: Mapping) -> str:
    """Behave like a model that does what it is told, and only then."""
    prompt, purpose = prompt_of(body), purpose_of(body)
    if purpose == "analysis":
        return json.dumps({"analysis": "It does not say which letters.", "suggestions": []})
    if purpose == "proposal":
        loud = "Shout" in prompt
        new = "Shout in capitals: {{word}}" if loud else "Whisper in smalls: {{word}}"
        return json.dumps({"problem": "No letters.", "new_prompt": new})
    if purpose == "judge":
        return "1"
    word = prompt.rpartition(": ")[2]
    if "capitals" in prompt:
        return word.upper()
    return word.lower() if "smalls" in prompt else f"{word}!"


Fault = Callable[[int, Call], Iterable[Act] | None]
"""Given the number of a chat request, from 1, and the request: what comes instead of a reply."""


def none(number: int, call: Call) -> None:
    """Nothing goes wrong."""


def at(faults: Mapping[int, Iterable[Act]]) -> Fault:
    """Those *faults* at the requests of these numbers."""
    fixed = {number: list(acts) for number, acts in faults.items()}
    return lambda number, call: fixed.get(number)


def since(first: int, fault: Iterable[Act]) -> Fault:
    """The same *fault* at every request from the *first* on."""
    fixed = list(fault)
    return lambda number, call: fixed if number >= first else None


@dataclass
class World:
    """The server's side of a story.

    Attributes:
        answered: Bodies of the requests that got a whole reply, in order of arrival.
        asked: Number of all chat requests.
    """

    fault: Fault = none
    model: Callable[[Mapping], str] = reply_to
    answered: list[dict] = field(default_factory=list)
    asked: int = 0
    delay: float = 0.0
    server: wire.Server | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def at(self) -> tuple[str, str]:
        """The arguments that lead there."""
        assert self.server
        return "-u", self.server.url

    def route(self, call: Call) -> Iterable[Act]:
        with self._lock:
            self.asked += 1
            number = self.asked
        instead = self.fault(number, call)
        if instead is not None:
            return instead
        with self._lock:
            self.answered.append(call.json)
        text = self.model(call.json)
        return [self.delay, *chat(text)] if self.delay else chat(text)

    @property
    def questions(self) -> Counter[str]:
        """How often each question was answered."""
        return Counter(json.dumps(body, sort_keys=True) for body in self.answered)


@contextmanager
def world(
    fault: Fault = none, *, model: Callable[[Mapping], str] = reply_to, **server: object
) -> Iterator[World]:
    """A server of Ollama's protocol where *fault* happens; *server* as `wire.ollama` takes it."""
    story = World(fault, model)
    with wire.ollama(story.route, **server) as story.server:
        yield story


@dataclass(frozen=True)
class Calm:
    """A run in which nothing went wrong: how often each question was asked, and its files."""

    questions: Counter[str]
    files: Mapping[str, str]


def calm_run(folder: Path) -> Calm:
    """Make that run in *folder*."""
    (folder / "pair.yaml").write_text(WORKFLOW)
    (folder / "pair.test.yaml").write_text(TESTS)
    with world() as story:
        assert story.server
        llm = OllamaLLM(story.server.url)
        finetune(folder / "pair.yaml", llm=llm, model="tiny", max_iterations=8)
    found = Calm(story.questions, files(folder))
    assert found.files["pair.finetuned.yaml"] == BEST
    assert set(found.questions.values()) == {1}
    return found


def cut(text: str) -> Iterator[Act]:
    """A reply that the limit of tokens cut."""
    return chat(text, reason="length")


def whole(text: str) -> list[bytes]:
    """The lines of a whole reply, not in chunks yet."""
    return [wire.piece(text), final()]


def unused_port() -> int:
    """A port where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return free.getsockname()[1]


def files(folder: Path) -> dict[str, str]:
    """What is in *folder*, by name below it; runs count by the names of their files alone."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".agentmech" not in str(path.relative_to(folder))
    }


def journal(folder: Path) -> list[dict]:
    """The records of the newest run in *folder*."""
    (home,) = folder.glob("*.agentmech")
    run = max(path for path in home.iterdir() if path.is_dir())
    assert [path.name for path in run.iterdir()] == ["journal.jsonl"]
    return [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]


def kinds(records: Sequence[Mapping]) -> list[str]:
    return [record["kind"] for record in records]
