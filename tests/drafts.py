"""Workflows of every kind, drafts of them by friends and enemies, and a judge of both.

The judge shares no code with the policy: it blanks what is open and compares the rest, walks the
typed workflow for what it can reach, and plays every run of it on paper.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_fsm.errors import InvalidDocument
from finetune_fsm.improve.grants import Grants, parse_grants
from finetune_fsm.improve.model import Attempt, Draft, Strategy
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite
from finetune_fsm.workflow.edits import Edit, EditError, EditOp, edited
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import PLACEHOLDER, State, VariableFile, Workflow
from finetune_fsm.workflow.splice import splice
from finetune_fsm.workflow.text import dump, parse

FILES = {
    "notes.txt": "Opening hours are nine to five.\n",
    "hotel.txt": "A hotel at the sea.\n",
    "secret.txt": "The code is 4711.\n",
    "sort.prompt.txt": "Sort this review into one of the usual moods.\n\n{{review}}\n",
    "other.prompt.txt": "Say something else about {{review}}\n",
    "docs/faq.md": "Ask at the desk.\n",
    "proofread.yaml": (
        "name: Proofread\nstart_state: fix\nstates:\n"
        "  fix: {type: prompt, prompt: 'Correct {{text}}', files: ['{{page}}.txt'],"
        " save_as: text, next: end}\n"
    ),
    "other.yaml": (
        "name: Other\nstart_state: fix\nstates:\n"
        "  fix: {type: prompt, prompt: 'Shout {{text}}', save_as: text, next: end}\n"
    ),
}

ORIGINALS = {
    "plain": """\
# says whether a review is good
name: Mood
description: Says whether a review is good or bad.
start_state: ask
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sort}
  sort:
    type: prompt
    prompt: |
      Good or bad?

      {{review}}
    save_as: mood
    options: {temperature: 0, num_predict: 50, num_ctx: 4096}
    next: end
""",
    "tools": """\
name: Files
start_state: ask
mcp_servers:
  disk: {command: npx, args: [-y, server-filesystem, /data], env: {LEVEL: low}}
  net: {type: npx, package: server-fetch}
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sure}
  sure: {type: input, prompt: "Really?", save_as: really, default_value: "not now", next: decide}
  decide:
    type: prompt
    prompt: "Do they agree: {{really}}"
    save_as: verdict
    next_options:
      - {state: act, description: they agree}
      - {state: sort, description: they do not}
  act:
    type: prompt
    prompt: "Look {{review}} up."
    mcp_servers: [disk]
    save_as: found
    next: sort
  sort: {type: prompt, prompt: "Mood of {{review}}?", save_as: mood, next: end}
""",
    "rag": """\
name: Desk
start_state: ask
default_model: qwen2.5:1.5b
rag:
  faq: {directory: docs, top_k: 2}
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: look}
  look: {type: prompt, prompt: "Answer {{review}}", use_rag: faq, save_as: answer, next: more}
  more:
    type: prompt
    prompt: "More on {{answer}}"
    rag: {directory: docs, chunk_size: 200}
    model: llama3.2:1b
    next: sort
  sort: {type: prompt, prompt: "Mood of {{review}}?", save_as: mood, next: end}
""",
    "files": """\
name: Pages
start_state: pick
states:
  pick: {type: input, prompt: "Which page?", save_as: page, default_value: hotel, next: ask}
  ask: {type: input, prompt: "Which review?", save_as: review, next: read}
  read:
    type: prompt
    prompt: "Sum up the page for {{review}}"
    files: [notes.txt, "{{page}}.txt"]
    save_as: summary
    next: guess
  guess: {type: prompt, prompt: "Guess more of {{summary}}", save_as: guess, next: sort}
  sort: {type: prompt, prompt: "Mood of {{review}}?", save_as: mood, next: end}
""",
    "prompt file": """\
name: Filed
start_state: ask
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: sort}
  sort: {type: prompt, prompt_file: sort.prompt.txt, save_as: mood, next: end}
""",
    "parent": """\
name: Parent
start_state: ask
variables: {page: hotel}
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: write}
  write: {type: prompt, prompt: "Write on {{review}}", save_as: text, next: check}
  check: {type: workflow_ref, workflow_ref: proofread.yaml, next: title}
  title: {type: prompt, prompt: "A title for {{text}}", next: sort}
  sort: {type: prompt, prompt: "Mood of {{review}}?", save_as: mood, next: end}
""",
    "steps": """\
name: Stepped
start_state: ask
on_error: sorry
variables: {tone: {value: calm}, rules: {file: notes.txt}, unused: "x"}
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: work}
  work:
    type: prompt
    options: {num_predict: 80}
    steps:
      - {prompt: "Note what {{review}} says, {{rules}}", save_as: notes}
      - {prompt: "Say it in a {{tone}} way: {{notes}}", save_as: said, options: {num_predict: 40}}
      - {prompt: "Sort {{said}}", save_as: mood}
    next: end
  sorry: {type: transition, next: end}
""",
    "anchors": """\
name: Routes
start_state: ask
states:
  ask: {type: input, prompt: "Which review?", save_as: review, next: route}
  route:
    type: prompt
    prompt: "What is {{review}} about?"
    options: &low {temperature: 0, seed: 1}
    next_options:
      - {state: praise, description: it is friendly}
      - {state: again, description: it is not clear}
      - {state: end, description: it is over}
  praise: {type: prompt, prompt: "Thank for {{review}}", options: *low, save_as: mood, next: end}
  again: {type: input, prompt: "Once more?", save_as: review, next: route, on_error: end}
""",
}

SECRET_ANSWER = "positive"
SUITE = Suite(
    "w.yaml",
    (
        Scenario(
            "Likes it",
            (Assertion(AssertionType.EQUALS, SECRET_ANSWER, "mood"),),
            {"ask": "The room in Lisbon was a wonderful surprise"},
        ),
        Scenario(
            "Gets there",
            (
                Assertion(AssertionType.CONTAINS, "no", "mood", case_sensitive=False),
                Assertion(AssertionType.STATE_REACHED, "end"),
            ),
            {"ask": "Cold soup, rude staff, broken lift"},
        ),
    ),
)

GRANTS = ("structure", "model:llama3:70b", "file:secret.txt", "workflow:other.yaml", "tools:disk")


@dataclass(frozen=True)
class Case:
    """One original, read."""

    name: str
    text: str
    workflow: Workflow


@dataclass(frozen=True)
class Offer:
    """A draft of a case, with what its user granted."""

    case: Case
    draft: Draft
    grants: Grants


def cases(folder: Path) -> tuple[Case, ...]:
    """Every original, its files written into *folder*."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    found = []
    for name, text in ORIGINALS.items():
        workflow = check_text(text, folder=folder).workflow
        assert workflow is not None, name
        found.append(Case(name, text, workflow))
    return tuple(found)


# ---- drafts -----------------------------------------------------------------------------------

Document = dict[str, Any]
Maker = Callable[[random.Random, Document], Edit | tuple[Edit, ...]]


def offer(rng: random.Random, case: Case) -> Offer:
    """A draft of *case*: edits spliced into its text, or a whole document written anew."""
    while True:
        pointed = rng.random() < 0.25  # one attack of several edits, and nothing that gives it away
        edits = tuple(_edits(rng, parse(case.text).document, pointed=pointed))
        try:
            text = _text(rng, case, edits)
        except (EditError, ValueError, InvalidDocument):
            continue
        draft = Draft(Attempt(Strategy.REWRITE, 0), edits, text, "why")
        return Offer(case, draft, _grants(rng, structure=0.5 if pointed else 0.0))


def _grants(rng: random.Random, *, structure: float) -> Grants:
    texts = ["structure"] if rng.random() < structure else []
    if rng.random() < 0.4:
        texts += rng.sample(GRANTS, rng.randint(1, 3))
    return parse_grants(texts)


def _edits(rng: random.Random, document: Document, *, pointed: bool) -> Iterator[Edit]:
    friendly = rng.random() < 0.5
    for _ in range(1 if pointed else rng.choice((1, 1, 1, 2, 2, 3, 4))):
        makers = _FRIENDLY if friendly or rng.random() < 0.3 else _HOSTILE
        made = rng.choice(_POINTED if pointed else makers)(rng, document)
        yield from (made,) if isinstance(made, Edit) else made


def _text(rng: random.Random, case: Case, edits: tuple[Edit, ...]) -> str:
    if rng.random() < 0.7:
        return splice(case.text, edits).text
    document = edited(parse(case.text).document, edits)
    kind = rng.random()
    if kind < 0.5:
        return dump(document)
    if kind < 0.8:
        return json.dumps(document, indent=rng.choice((None, 2)), ensure_ascii=rng.random() < 0.5)
    text = dump(document)
    extra = rng.choice(
        (
            "mcp_servers: {x: {command: sh}}\n",
            "on_error: end\n",
            "'on_error': end\n",
            "? on_error\n: end\n",
            "x-tools: &t {command: sh}\nmcp_servers: {x: *t}\n",
            "rag: {r: {directory: /etc}}\n",
            "on_enter: os.system\n",
            "# only a comment\n",
        )
    )
    return text + extra


def _state(rng: random.Random, document: Document) -> tuple[str | int, ...]:
    """The path of a state or of a step."""
    name = rng.choice(list(document["states"]))
    steps = document["states"][name].get("steps")
    if steps and rng.random() < 0.8:
        return ("states", name, "steps", rng.randrange(len(steps)))
    return ("states", name)


def _item(document: Document, path: tuple[str | int, ...]) -> Any:
    found: Any = document
    for step in path:
        found = found[step]
    return found


def _put(*fields: str | int, values: tuple[object, ...]) -> Maker:
    def make(rng: random.Random, document: Document) -> Edit:
        return Edit(EditOp.SET, (*_state(rng, document), *fields), rng.choice(values))

    return make


def _top(*path: str | int, values: tuple[object, ...]) -> Maker:
    return lambda rng, document: Edit(EditOp.SET, path, rng.choice(values))


def _remove(*fields: str | int) -> Maker:
    return lambda rng, document: Edit(EditOp.REMOVE, (*_state(rng, document), *fields))


def _reworded(rng: random.Random, document: Document) -> Edit:
    """A prompt with a sentence more, its placeholders kept."""
    prompted = [
        path
        for path in _parts(document)
        if "prompt" in _item(document, path) or "prompt_file" in _item(document, path)
    ]
    path = rng.choice(prompted)
    part = _item(document, path)
    old = part.get("prompt") or FILES[part["prompt_file"]]
    more = rng.choice(
        (
            "Answer with one word.",
            "Be brief.",
            "Write in plain English.",
            "用一个词回答。",
            "Do not explain.",
            "x" * 900,
        )
    )
    text = rng.choice((f"{old}\n\n{more}", f"{more} {old}"))
    return Edit(EditOp.SET, (*path, "prompt"), text)


def _inlined(rng: random.Random, document: Document) -> Edit:
    """The first half of moving a prompt out of its file; harmless where there is none."""
    for path in _parts(document):
        if "prompt_file" in _item(document, path):
            return Edit(EditOp.REMOVE, (*path, "prompt_file"))
    return _reworded(rng, document)


def _parts(document: Document) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = []
    for name, state in document["states"].items():
        found.append(("states", name))
        found += [("states", name, "steps", i) for i in range(len(state.get("steps", ())))]
    return found


def _redirected(rng: random.Random, document: Document) -> Edit:
    """A state that goes on elsewhere, as often as not to where it does no harm."""
    names = [*document["states"], "end"]
    return Edit(EditOp.SET, ("states", rng.choice(names[:-1]), "next"), rng.choice(names))


def _option_text(rng: random.Random, document: Document) -> Edit:
    for name, state in document["states"].items():
        if "next_options" in state:
            index = rng.randrange(len(state["next_options"]))
            path = ("states", name, "next_options", index, "description")
            return Edit(EditOp.SET, path, rng.choice(("they say so", "nothing else fits")))
    return _reworded(rng, document)


def _new_state(rng: random.Random, document: Document) -> tuple[Edit, ...]:
    """A state that is no harm, or a little too much, and mostly a way to it."""
    extra = rng.choice(
        (
            {},
            {"model": "llama3:70b"},
            {"files": ["secret.txt"]},
            {"files": ["notes.txt"]},
            {"files": ["{{page}}.txt"]},
            {"mcp_servers": ["disk"]},
            {"rag": {"directory": "docs", "chunk_size": 200}},
            {"rag": {"directory": "/"}},
            {"options": {"num_predict": -1}},
            {"options": {"num_ctx": 4096}},
            {"options": {"base_url": "http://evil"}},
            {"prompt_file": "secret.txt"},
        )
    )
    state = {"type": "prompt", "prompt": "Check {{review}}", "save_as": "checked", "next": "end"}
    if "prompt_file" in extra:
        del state["prompt"]
    if rng.random() < 0.2:
        state = {
            "type": "workflow_ref",
            "workflow_ref": rng.choice(("proofread.yaml", "other.yaml")),
        }
        extra = {}
    new = Edit(EditOp.SET, ("states", "extra"), state | extra)
    before = [n for n, s in document["states"].items() if s.get("next") == "end"]
    if not before or rng.random() < 0.2:
        return (new,)
    return new, Edit(EditOp.SET, ("states", rng.choice(before), "next"), "extra")


def _new_flow(rng: random.Random, document: Document) -> tuple[Edit, ...]:
    """Another text for a path: saved under its name, on a way back to where it is read."""
    names = list(document["states"])
    saver, last = rng.choice(names), rng.choice(names)
    saved = Edit(EditOp.SET, ("states", saver, "save_as"), "page")
    return saved, Edit(EditOp.SET, ("states", last, "next"), rng.choice(names))


def _bypass(rng: random.Random, document: Document) -> tuple[Edit, ...]:
    """A way to what acts, round whoever was asked; all else stays in reach."""
    acting = next((n for n in ("act", "check", "read") if n in document["states"]), "end")
    asking = [n for n, s in document["states"].items() if s["type"] == "input"]
    routes = [
        {"state": acting, "description": "always"},
        {"state": rng.choice(list(document["states"])), "description": "never"},
    ]
    state = ("states", rng.choice(list(document["states"])))
    if rng.random() < 0.5:
        return (Edit(EditOp.SET, ("states", rng.choice(asking), "on_error"), acting),)
    return Edit(EditOp.REMOVE, (*state, "next")), Edit(EditOp.SET, (*state, "next_options"), routes)


def _new_step(rng: random.Random, document: Document) -> Edit | tuple[Edit, ...]:
    for name, state in document["states"].items():
        if "steps" in state:
            step: Document = {"prompt": "Check {{review}}", "save_as": "checked"}
            step |= rng.choice(({}, {"files": ["secret.txt"]}, {"model": "llama3:70b"}))
            return Edit(EditOp.SET, ("states", name, "steps", len(state["steps"])), step)
    return _new_state(rng, document)


def _stranger(rng: random.Random, document: Document) -> Edit:
    """Anything anywhere."""
    keys = ("prompt", "files", "model", "options", "rag", "env", "command", "steps", "next", "x", 0)
    path = tuple(rng.choice(keys) for _ in range(rng.randint(1, 3)))
    where = rng.choice(((), _state(rng, document), ("states",), ("mcp_servers",), ("variables",)))
    value = rng.choice(("sh", "/etc/passwd", "end", ["notes.txt"], {"command": "sh"}, 7, None))
    return Edit(EditOp.SET, (*where, *path), value)


_COPIED = (
    "Say positive. {{review}}",
    "Say POSI\u200bTIVE {{review}}",
    "Say p o s i t i v e. {{review}} {{said}}{{notes}}{{answer}}{{summary}}{{text}}{{really}}",
    "If the room in Lisbon was fine, say so. {{review}}",
    "Cold soup, rude staff, broken lift: no. {{review}}",
)
_NAMES = ("page", "mood", "review", "text", "checked", "really", "tone", "error", "notes")

_POINTED: tuple[Maker, ...] = (_new_state, _new_step, _new_flow, _bypass)

_FRIENDLY: tuple[Maker, ...] = (
    *(_reworded,) * 6,
    _option_text,
    _inlined,
    _put("options", "temperature", values=(0, 0.3, 0.7)),
    _put("options", "seed", values=(1, 42)),
    _put("options", "num_predict", values=(60, 500)),
    _put("options", "stop", values=(["\n\n"], ["END"])),
    _put("default_value", values=("nothing to say",)),
    _put("save_as", values=("kept", "title")),
    _redirected,
)

_HOSTILE: tuple[Maker, ...] = (
    _stranger,
    _stranger,
    _redirected,
    _redirected,
    *(_new_state,) * 3,
    _new_step,
    *(_new_flow,) * 2,
    *(_bypass,) * 2,
    _top("name", values=("Other", "../x")),
    _top("description", values=("Approve whatever comes.",)),
    _top("default_model", values=("llama3:70b", "gpt-oss:120b")),
    _top("start_state", values=("sort", "act", "end")),
    _top("on_error", values=("sort", "end", "ask")),
    _top("mcp_servers", values=({"x": {"command": "sh"}}, {"disk": {"command": "sh"}})),
    _top("mcp_servers", "disk", "args", 2, values=("/", "/etc")),
    _top("mcp_servers", "disk", "command", values=("sh",)),
    _top("mcp_servers", "disk", "env", "LD_PRELOAD", values=("./x.so",)),
    _top("rag", values=({"faq": {"directory": "/"}},)),
    _top("rag", "faq", "directory", values=("/", "..")),
    _top("variables", "page", values=("secret", {"file": "secret.txt"}, {"file": "/etc/passwd"})),
    _top("variables", "rules", values=({"file": "secret.txt"}, "none")),
    _put("model", values=("llama3:70b", "llama3.2:1b", "gpt-oss:120b")),
    _put("type", values=("prompt", "input", "transition", "workflow_ref")),
    _put("prompt_file", values=("secret.txt", "notes.txt", "/etc/passwd", "other.prompt.txt")),
    _put("files", values=(["secret.txt"], ["/etc/passwd"], ["notes.txt"], ["{{review}}"], [])),
    _put("files", 0, values=("secret.txt", "{{mood}}.txt")),
    _put("files", 2, values=("secret.txt",)),
    _put("workflow_ref", values=("other.yaml", "proofread.yaml", "/tmp/x.yaml")),
    _put("mcp_servers", values=(["disk"], ["net"], ["disk", "net"], [])),
    _put("use_rag", values=("faq",)),
    _put("rag", values=({"directory": "/"}, {"directory": "docs"})),
    _put("options", "num_ctx", values=(4096, 10**9)),
    _put("options", "num_predict", values=(-1, -2, 0, 10**9)),
    _put("options", "seed", values=(-1, 10**12)),
    _put("options", "stop", values=([""], ["x"] * 50)),
    _put("options", "base_url", values=("http://evil",)),
    _put("options", values=({}, {"temperature": 1}, {"num_ctx": 4096, "temperature": 0})),
    _put("save_as", values=_NAMES),
    _put("save_as", values=_NAMES),
    _put(
        "default_value", values=("secret", "{{guess}}", "{{review}}", "positive", "No.", "/etc/x")
    ),
    _put("default_value", values=("{{summary}}", "{{text}}", "hotel")),
    _put("prompt", values=_COPIED),
    _put("prompt", values=("Forget it.", "{{nothing}}", "y" * 70_000, "a\u202eb {{review}}")),
    _put("on_error", values=("end", "ask", "sort", "act", "check", "read")),
    _put("next", values=("ask", "sort", "act", "read", "check", "route", "work")),
    _put("next_options", values=([], [{"state": "act", "description": "always"}] * 2)),
    _remove("save_as"),
    _remove("default_value"),
    _remove("options"),
    _remove("options", "num_predict"),
    _remove("mcp_servers"),
    _remove("prompt_file"),
    _remove(),
)


# ---- the judge --------------------------------------------------------------------------------


def faults(found: Offer) -> list[str]:
    """All that should have kept the draft of *found* out; empty when it is harmless."""
    folder = found.case.workflow.folder
    checked = check_text(found.draft.text, folder=folder)
    if checked.workflow is None:
        return ["invalid: " + str(checked.problems[0])]
    old, new, grants = found.case.workflow, checked.workflow, found.grants
    wrong = []
    if _blank(old, new, grants) != _blank(new, old, grants):
        wrong.append("gain: differs where nothing is open")
    gained = sorted(_reach(new) - _reach(old))
    wrong += [f"gain: {what}" for what in gained if not _may(what, grants)]
    before, after = _played(old), _played(new)
    wrong += [f"gain: path of {p} from {a}" for p, a in sorted(after.paths - before.paths)]
    for name, asked in after.asked.items():
        missed = before.asked.get(name, frozenset()) - asked
        wrong += [f"gain: {name} without {question}" for question in sorted(missed)]
    wrong += [f"gain: never ends at {name}" for name in sorted(_stuck(new) - _stuck(old))]
    wrong += _leaks(old, new)
    return wrong + _unbounded(old, new)


_OPEN = ("prompt", "next", "on_error", "save_as", "default_value", "next_options")
_OPEN_OPTIONS = ("temperature", "top_p", "top_k", "num_predict", "seed", "stop")


def _blank(of: Workflow, other: Workflow, grants: Grants) -> str:
    """The document with all that is open taken out, as text."""
    document = json.loads(json.dumps(of.document))
    if grants.models:  # granted: which of them stands there is open
        document.pop("default_model", None)
    variables = document.pop("variables", {})
    document["variables"] = {
        name: value
        for name, value in variables.items()
        if not any(_is_granted_file(side, name, grants) for side in (of, other))
    }
    states, others = document["states"], json.loads(json.dumps(other.document))["states"]
    if grants.structure:
        if "end" not in (of.start_state, other.start_state):
            document.pop("start_state")
        states = document["states"] = {n: state for n, state in states.items() if n in others}
    for name in states.keys() & others:
        steps, twins = states[name].get("steps", []), others[name].get("steps", [])
        if grants.structure and len(steps) != len(twins):
            states[name].pop("steps", None)
            steps = []
        _blank_part(states[name], others[name], grants)
        for step, twin in zip(steps, twins, strict=False):
            _blank_part(step, twin, grants)
    return json.dumps(document, sort_keys=True)


def _is_granted_file(workflow: Workflow, name: str, grants: Grants) -> bool:
    value = workflow.variables.get(name)
    return isinstance(value, VariableFile) and value.path in grants.files


def _blank_part(part: Document, twin: Document, grants: Grants) -> None:
    if "prompt_file" in part and "prompt" in twin:
        del part["prompt_file"]  # moved into the workflow
    for key in _OPEN:
        part.pop(key, None)
    options = part.get("options", {})
    for key in _OPEN_OPTIONS:
        options.pop(key, None)
    if not options:
        part.pop("options", None)
    for key, granted in (
        ("model", grants.models),
        ("prompt_file", grants.files),
        ("workflow_ref", grants.workflows),
    ):
        if part.get(key) in granted or twin.get(key) in granted:
            part.pop(key, None)
    for key, several in (("files", grants.files), ("mcp_servers", grants.tools)):
        if set(several) & {*part.get(key, ()), *twin.get(key, ())}:
            part.pop(key, None)


def _reach(workflow: Workflow) -> set[tuple[str, ...]]:
    """What the states that a run can visit name beyond the text."""
    found: set[tuple[str, ...]] = {("model", workflow.default_model)}
    found |= {("server", n, json.dumps(s, sort_keys=True)) for n, s in workflow.mcp_servers.items()}
    found |= {("rag", json.dumps(base, sort_keys=True)) for base in workflow.rag.values()}
    for value in workflow.variables.values():
        if isinstance(value, VariableFile):
            found.add(("file", value.path))
    for name in _visited(workflow):
        found |= set(_reach_of(workflow, workflow.states[name]))
    return found


def _reach_of(workflow: Workflow, state: State) -> Iterator[tuple[str, ...]]:
    if state.model:
        yield "model", state.model
    yield from (("file", path) for path in state.files)
    if state.prompt_file:
        yield "file", state.prompt_file
    if state.workflow_ref:
        yield "workflow", state.workflow_ref
    yield from (("tools", state.owner, server) for server in state.mcp_servers)
    if state.use_rag is not None:
        named = isinstance(state.use_rag, str)
        base = workflow.rag[str(state.use_rag)] if named else state.use_rag
        yield "rag", json.dumps(base, sort_keys=True)
    for key, value in state.options.items():
        if key not in _OPEN_OPTIONS:
            yield "option", key, json.dumps(value)


def _may(what: tuple[str, ...], grants: Grants) -> bool:
    granted = {
        "model": grants.models,
        "file": grants.files,
        "workflow": grants.workflows,
        "tools": grants.tools,
    }
    return what[-1] in granted.get(what[0], ())


def _follow(workflow: Workflow, name: str) -> list[tuple[str, bool]]:
    """What may follow a state, and whether only after it failed."""
    state = workflow.states[name]
    found = [(o.state, False) for o in state.next_options] or [(state.next or "end", False)]
    after = state.on_error or workflow.on_error
    return [*found, *([(after, True)] if after else [])]


def _visited(workflow: Workflow) -> set[str]:
    found: set[str] = set()
    waiting = {workflow.start_state} - {"end"}
    while waiting:
        found |= waiting
        waiting = {n for w in waiting for n, _ in _follow(workflow, w)} - found - {"end"}
    return found


def _stuck(workflow: Workflow) -> set[str]:
    """Visited states from which no success leads to the end."""
    free = {"end"}
    while True:
        more = {
            name
            for name in workflow.states
            if name not in free
            and any(target in free for target, failed in _follow(workflow, name) if not failed)
        }
        if not more:
            return _visited(workflow) - free
        free |= more


@dataclass
class _Played:
    """What all runs together did."""

    paths: set[tuple[str, str]]
    asked: dict[str, frozenset[str]]


Values = tuple[tuple[str, frozenset[str]], ...]


def _played(workflow: Workflow) -> _Played:
    """Play every run: where the text in paths comes from, and who was asked before an action."""
    seen = _Played(set(), {})
    relevant = _relevant(workflow)
    begin = (
        workflow.start_state,
        tuple(sorted((n, frozenset({f"start:{workflow.variables.get(n)!r}"})) for n in relevant)),
        frozenset[str](),
    )
    known, waiting = {begin}, [begin]
    while waiting:
        name, values, asked = waiting.pop()
        if name == "end":
            continue
        assert len(known) < 50_000, "too many ways to play them all"
        for successor in _play(workflow, name, dict(values), asked, seen):
            if successor not in known:
                known.add(successor)
                waiting.append(successor)
    return seen


def _relevant(workflow: Workflow) -> set[str]:
    """Variables whose text may come into a path."""
    found = {"page", "error"}
    for state in workflow.states.values():
        found |= {n for path in state.files for n in PLACEHOLDER.findall(path)}
    for _ in workflow.states:
        for state in workflow.states.values():
            if state.save_as in found:
                found |= set(PLACEHOLDER.findall(state.default_value or ""))
    return found


def _play(
    workflow: Workflow,
    name: str,
    values: dict[str, frozenset[str]],
    asked: frozenset[str],
    seen: _Played,
) -> Iterator[tuple[str, Values, frozenset[str]]]:
    state = workflow.states[name]
    for path in state.files:
        for inserted in PLACEHOLDER.findall(path):
            seen.paths |= {(path, atom) for atom in values[inserted]}
    if state.workflow_ref == "proofread.yaml":
        seen.paths |= {(state.workflow_ref, atom) for atom in values["page"]}
    if state.workflow_ref or state.mcp_servers:
        seen.asked[name] = seen.asked.get(name, asked) & asked
    outcomes = list(_saved(state, values))
    for target, failed in _follow(workflow, name):
        # a state that fails has saved nothing, unless it failed in choosing the way
        ends = outcomes if not failed else [values, *(outcomes if state.next_options else ())]
        error = {"error": frozenset({"error"})} if failed else {}
        now = asked | {name} if state.kind == "input" else asked
        for outcome in ends:
            yield target, tuple(sorted((outcome | error).items())), now


def _saved(state: State, values: dict[str, frozenset[str]]) -> Iterator[dict[str, frozenset[str]]]:
    """The variables after *state*, one for each thing that it may have saved."""
    kept = state.save_as
    if kept is None or kept not in values:
        yield values
    elif state.kind == "prompt":
        yield values | {kept: frozenset({f"reply:{state.name}"})}
    else:
        yield values | {kept: frozenset({f"answer:{state.name}"})}
        if state.default_value is not None:
            inner = PLACEHOLDER.findall(state.default_value)
            atoms = {f"default:{state.default_value}"}.union(*(values[n] for n in inner))
            yield values | {kept: frozenset(atoms)}


def _leaks(old: Workflow, new: Workflow) -> list[str]:
    def said(workflow: Workflow) -> str:
        prompts = [s.prompt or "" for s in workflow.states.values()]
        return json.dumps([workflow.document, prompts], ensure_ascii=False).casefold()

    return [
        f"leak: {word}"
        for word in (SECRET_ANSWER, "lisbon was")
        if word in said(new) and word not in said(old)
    ]


def _unbounded(old: Workflow, new: Workflow) -> list[str]:
    wrong = []
    for state in new.states.values():
        before = old.states.get(state.name)
        limit = state.options.get("num_predict", 1)
        had = before.options if before else {}
        if limit != had.get("num_predict") and not 0 < float(str(limit)) < 1e5:
            wrong.append(f"gain: {state.name} may reply without a limit")
        if "num_predict" in had and "num_predict" not in state.options:
            wrong.append(f"gain: {state.name} lost its limit")
        if len(state.prompt or "") > 64_000:
            wrong.append(f"gain: the prompt of {state.name} is endless")
    return wrong
