"""A model with known truth, for runs without a real one: a `worker`, and a reflection side.

Which texts repair a workflow is known, since the worker's rules say what it needs; it is not our
wording that decides. The reflection side knows the reference, and says something of it now and
then: each question gets a useful answer with chance `USEFUL`, else one of some useless ones, among
them the usual temptations (nothing changed, a test's words pasted in, YAML that breaks off,
chatter without a fence). It knows forms, not ways: a JSON Schema is filled property by property, a
question that shows a workflow's YAML gets YAML, any other a prompt.

The chance is the same for every form, so it favours those who ask for much at once: a whole YAML
that is useful repairs everything, where a small model was measured to do so once in eight. These
runs hold every way to its promises and show what it makes of good advice; they do not foretell
who wins with a real model.

Chance is drawn from seed and question alone: the same question always has the same answer, in
whatever order it is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from finetune_fsm.codec import digest
from finetune_fsm.llm.base import Completion, Purpose, Request
from finetune_fsm.llm.memo import key_of
from finetune_fsm.llm.script_file import read
from finetune_fsm.llm.scripted import ScriptedLLM
from quality.cases import Case
from quality.gepa_ways import prompts_of
from quality.worker import completion, working

USEFUL = 1 / 3

_ALL_PASS = re.compile(r"(?P<n>[1-9]\d*) of (?P=n) scenarios passed")


def model(case: Case, seed: int = 0, *, useful: float = USEFUL) -> ScriptedLLM:
    """Return the model for *case*; another seed is another reflection, the worker is the same."""
    return ScriptedLLM(Truth(case, seed, useful), slots=1)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One place where the reference differs: a new text or a new target."""

    path: tuple[str | int, ...]
    value: object


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and what chance makes of its answer."""

    request: Request
    chance: Random
    useful: bool


class Truth:
    """Answers every request; see the module.

    Args:
        case: Whose truth it is.
        seed: Of its chance.
        useful: Chance of a useful answer, 0..1.
    """

    def __init__(self, case: Case, seed: int, useful: float) -> None:
        self._case = case
        self._seed = seed
        self._useful = useful
        self._rules = read(case.folder / "script.yaml")
        self._leaves = tuple(differences(case.start.document, case.reference.document))
        self._wanted = {leaf.value for leaf in self._leaves if isinstance(leaf.value, str)}
        self._wanted |= {str(step) for leaf in self._leaves for step in leaf.path}
        self._prompts = prompts_of(case.start)
        self._better = prompts_of(case.reference)

    def __call__(self, request: Request) -> Completion:
        """Return the reply to *request*."""
        if request.purpose in (Purpose.STATE, Purpose.ROUTE):
            return working(self._rules, request)
        chance = Random(digest((self._seed, key_of(request))))  # noqa: S311  # to be repeated
        question = Question(request, chance, chance.random() < self._useful)
        return completion(request, self._reflected(question))

    def _reflected(self, asked: Question) -> str:
        request = asked.request
        if request.schema:
            return json.dumps(self._filled(request.schema, "", asked), ensure_ascii=False)
        if request.purpose is Purpose.JUDGE:
            return asked.chance.choice("12")
        if request.purpose is Purpose.ANALYSIS:
            return self._diagnosis(asked)
        if "states:" in request.text:
            return self._yaml(asked)
        text = self._prompt(asked)
        return asked.chance.choice((f"```\n{text}\n```", f"```\n{text}\n```", text))

    def _filled(self, schema: Mapping[str, Any], name: str, asked: Question) -> object:
        """A value that fits *schema*: true where the truth fits, when it is to be useful."""
        if "enum" in schema:
            options = list(schema["enum"])
            true = [option for option in options if option in self._wanted]
            return asked.chance.choice(true if asked.useful and true else options)
        for word in ("oneOf", "anyOf"):
            if word in schema:
                return self._filled(asked.chance.choice(schema[word]), name, asked)
        match schema.get("type"):
            case "object":
                inner = schema.get("properties", {})
                return {key: self._filled(value, key, asked) for key, value in inner.items()}
            case "array":
                return self._listed(schema, name, asked)
            case "integer" | "number":
                low = int(schema.get("minimum", 1))
                return asked.chance.randint(low, int(schema.get("maximum", low + 1)))
            case "boolean":
                return asked.useful
        return self._text(name, asked)

    def _listed(self, schema: Mapping[str, Any], name: str, asked: Question) -> list[object]:
        least = int(schema.get("minItems", 0))
        passing = _ALL_PASS.search(asked.request.text) is not None
        if not least and (passing or schema.get("maxItems") == 0):
            return []
        item = schema.get("items", {"type": "string"})
        described = self._descriptions(least) if item.get("type") == "string" else []
        if asked.useful and described and "enum" not in item:
            return described
        return [self._filled(item, name, asked) for _ in range(max(1, least))]

    def _descriptions(self, count: int) -> list[object]:
        """The reference's descriptions of ways to go, when there are *count* of them."""
        for leaf in self._leaves:
            state = self._case.reference.states.get(str(leaf.path[1])) if leaf.path[1:] else None
            if state and "next_options" in leaf.path and len(state.next_options) == count:
                return [option.description for option in state.next_options]
        return []

    def _text(self, name: str, asked: Question) -> str:
        if "prompt" in name or name in ("text", "instruction"):
            return self._prompt(asked)
        return self._addition(asked) if name == "addition" else self._diagnosis(asked)

    def _diagnosis(self, asked: Question) -> str:
        vague = ("The answers could be clearer.", "The prompt is too short.", "It is fine.")
        return self._case.wrong if asked.useful else asked.chance.choice(vague)

    def _prompt(self, asked: Question) -> str:
        """A prompt for the state that the question is about."""
        name = self._about(asked)
        old, better = self._prompts.get(name, ""), self._better.get(name, "")
        if asked.useful and better != old:
            return better
        pasted = f"{old}\n\nFor example: {self._input(asked)}"
        return asked.chance.choice((old, f"{old}\n\nBe careful.", pasted, "Think step by step."))

    def _addition(self, asked: Question) -> str:
        """A sentence or two to put after the prompt: what the reference has beyond it."""
        name = self._about(asked)
        old, better = self._prompts.get(name, ""), self._better.get(name, "")
        more = [line for line in sentences(better) if line not in sentences(old)]
        if asked.useful and more:
            return " ".join(more)
        return asked.chance.choice(("Be careful.", "Answer politely.", "Think step by step."))

    def _about(self, asked: Question) -> str:
        """The state whose prompt the question shows, the longest if several; else any."""
        shown = [
            (len(prompt), name)
            for known in (self._prompts, self._better)
            for name, prompt in known.items()
            if prompt.strip() and prompt.strip() in asked.request.text
        ]
        if shown:
            return max(shown)[1]
        last = asked.request.label.rpartition(" ")[2]
        return last if last in self._prompts else asked.chance.choice(sorted(self._prompts))

    def _yaml(self, asked: Question) -> str:
        start = self._case.start.text
        if asked.useful:
            return f"```yaml\n{self._case.reference.text}```"
        example = json.dumps(f"For example: {self._input(asked)}")
        pasted = re.sub(r"(?m)^( *)(prompt: )", lambda m: f"{m[1]}{m[2]}{example} # ", start)
        return asked.chance.choice(
            (
                f"```yaml\n{start}```",
                f"Here is the improved workflow:\n{start}",
                f"```yaml\n{start[: len(start) // 2]}",
                f"```yaml\n{pasted}```",
            )
        )

    def _input(self, asked: Question) -> str:
        """What a test types in."""
        scenario = asked.chance.choice(self._case.train.scenarios)
        return next(iter(scenario.inputs.values()), "")


def differences(old: object, new: object, path: tuple[str | int, ...] = ()) -> list[Leaf]:
    """Return the places where *new* differs from *old*, outermost first. Pure."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in new:
            if key not in old:
                found.append(Leaf((*path, key), new[key]))
            elif old[key] != new[key]:
                found += differences(old[key], new[key], (*path, key))
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [leaf for n, (a, b) in pairs if a != b for leaf in differences(a, b, (*path, n))]
    return [Leaf(path, new)]


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of *text*, trimmed, empty ones left out. Pure."""
    parts = re.split(r"(?<=[.:?!])\s+|\n", text)
    return [part.strip() for part in parts if part.strip()]
