"""Small workflows with one flaw each, run with the scripted model, and what repairs them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from finetune_fsm.execution.limits import Settings
from finetune_fsm.llm.base import Completion, Purpose, Request
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.scenarios.evaluate import run_suite
from finetune_fsm.scenarios.model import Assertion, AssertionType, Scenario, Suite, SuiteReport
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import Workflow

HEAD = "name: W\nstart_state: ask\nstates:\n"
ASK = "  ask: {type: input, prompt: 'Word?', save_as: word, next: work}\n"


def workflow(states: str, head: str = HEAD) -> Workflow:
    checked = check_text(head + states, folder=Path())
    assert checked.workflow is not None, checked.problems
    return checked.workflow


def equals(target: str, value: str) -> Assertion:
    return Assertion(AssertionType.EQUALS, value, target)


def contains(target: str, value: str) -> Assertion:
    return Assertion(AssertionType.CONTAINS, value, target)


def reached(state: str) -> Assertion:
    return Assertion(AssertionType.STATE_REACHED, state)


def scenario(name: str, *checks: Assertion, **inputs: str) -> Scenario:
    return Scenario(name, checks, inputs)


@dataclass(frozen=True)
class Flaw:
    """A flawed workflow.

    Attributes:
        states: Its states as YAML.
        scenarios: Its tests; the right repair passes all of them.
        replies: What a model says, by patterns of the prompt, in order.
        part: What the repaired text holds.
        path: The flawed field.
        head: What stands before the states.
        grants: What must be granted for the repair.
    """

    states: str
    scenarios: tuple[Scenario, ...]
    replies: tuple[tuple[str, str], ...]
    part: str
    path: tuple[str | int, ...]
    head: str = HEAD
    grants: tuple[str, ...] = ()
    suite: Suite = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "suite", Suite("w.yaml", self.scenarios))

    @property
    def workflow(self) -> Workflow:
        return workflow(self.states, self.head)

    def run(self, draft: Workflow) -> SuiteReport:
        rules = [
            Reply(reply, (pattern,), Purpose.ROUTE if reply.isdecimal() else Purpose.STATE)
            for pattern, reply in self.replies
        ]
        inner = ScriptedLLM(rules)

        def limited(request: Request) -> Completion:
            reply = inner.complete(request)
            words = re.findall(r"\S+\s*", reply.text)
            limit = int(str(request.options.get("num_predict", 99)))
            if request.purpose is Purpose.ROUTE or len(words) <= limit:
                return reply
            return Completion("".join(words[:limit]), cut=True)

        return run_suite(draft, self.suite, ScriptedLLM(limited), options=Settings(max_steps=20))


def shouting(*more: Assertion, name: str = "one", word: str = "Lisbon") -> Scenario:
    return scenario(name, equals("out", word.upper()), *more, ask=word)


SHOUTS = (("[Ss]hout.*Lisbon", "LISBON"), ("[Ss]hout.*Porto", "PORTO"), ("", "WHAT?"))
BOTH = (shouting(), shouting(name="two", word="Porto"))
WORK = "  work: {type: prompt, prompt: 'Shout {{word}}', save_as: out, next: end}\n"
CHOOSE = "  work:\n    type: prompt\n    prompt: '{{word}}?'\n    next_options:\n"
SIDES = "".join(
    f"  {name}: {{type: prompt, prompt: '{name}', save_as: out, next: end}}\n"
    for name in ("left", "right", "third")
)
SIDE = (("^left$", "L"), ("^right$", "R"), ("^third$", "T"), ("", "a word"))


def sided(word: str, wanted: str) -> Scenario:
    return scenario(word, reached(wanted), ask=word)


ORDER = """\
  ask: {type: input, prompt: 'Word?', save_as: word, next: work}
  work: {type: prompt, prompt: 'Shout {{trimmed}}', save_as: out, next: trim}
  trim: {type: prompt, prompt: 'Trim {{word}}', save_as: trimmed, next: end}
"""

FLAWS: dict[str, Flaw] = {
    "misspelt_placeholder": Flaw(
        ASK + WORK.replace("{{word}}", "{{wrod}}"),
        BOTH, SHOUTS, "Shout {{word}}", ("states", "work", "prompt"),
    ),
    "odd_placeholder": Flaw(
        ASK + WORK.replace("{{word}}", "{{ word }}"),
        BOTH, SHOUTS, "Shout {{word}}", ("states", "work", "prompt"),
    ),
    "missing_save": Flaw(
        ASK + WORK.replace("save_as: out, ", ""),
        BOTH, SHOUTS, "save_as: out", ("states", "work", "save_as"),
    ),
    "renamed_save": Flaw(
        ASK.replace("work", "find")
        + "  find: {type: prompt, prompt: 'Which city is {{word}}?', save_as: x, next: work}\n"
        + WORK.replace("{{word}}", "{{city}}"),
        BOTH,
        (("Which.*Lisbon", "Lisbon"), ("Which.*Porto", "Porto"), *SHOUTS),
        "save_as: city", ("states", "find", "save_as"),
    ),
    "unsaved_branch": Flaw(
        ASK + CHOOSE + "      - {state: left, description: A left}\n"
        "      - {state: right, description: A right}\n"
        + SIDES.replace("prompt: 'right', save_as: out", "prompt: 'right', save_as: outcome"),
        (scenario("left", equals("out", "L"), ask="left"),
         scenario("right", equals("out", "R"), ask="right")),
        (*SIDE, ("<asked>\nleft", "1"), ("<asked>\nright", "2")),
        "prompt: 'right', save_as: out,", ("states", "right", "save_as"),
    ),
    "blind_prompt": Flaw(
        ASK + WORK.replace(" {{word}}", " it") + "  log: {type: prompt, prompt: 'Log {{word}}'}\n",
        BOTH, SHOUTS, "Word: {{word}}", ("states", "work", "prompt"),
    ),
    "missing_state": Flaw(
        "  ask: {type: input, prompt: 'Text?', save_as: text, next: work}\n"
        "  work: {type: prompt, prompt: 'Shout {{city}}', save_as: out, next: end}\n",
        (scenario("one", equals("out", "LISBON"), ask="To Lisbon I go"),),
        (("find in it: city.*Lisbon", "Lisbon"), ("^Shout Lisbon$", "LISBON"), ("", "WHAT?")),
        "Read the text and find in it: city.", ("states",),
        grants=("structure",),
    ),
    "ignored_input": Flaw(
        ASK + WORK.replace(" {{word}}", " it"),
        BOTH, SHOUTS, "Word: {{word}}", ("states", "work", "prompt"),
    ),
    "ignored_reply": Flaw(
        ASK.replace("work", "find")
        + "  find: {type: prompt, prompt: 'Trim {{word}}', save_as: city, next: work}\n"
        + WORK.replace(" {{word}}", " it"),
        BOTH,
        (("Trim (?P<w>.*)", "{{w}}"), *SHOUTS),
        "City: {{city}}", ("states", "work", "prompt"),
    ),
    "wrong_start": Flaw(
        ASK + WORK, BOTH, SHOUTS, "start_state: ask", ("start_state",),
        head=HEAD.replace("ask", "work"), grants=("structure",),
    ),
    "wrong_order": Flaw(
        ORDER, BOTH, (("Trim (?P<w>.*)", "{{w}}"), *SHOUTS), "save_as: word, next: trim",
        ("states", "ask", "next"),
    ),
    "cut_reply": Flaw(
        ASK + WORK.replace("save_as: out", "options: {num_predict: 2}, save_as: out"),
        (scenario("one", contains("out", "end"), ask="Lisbon"),),
        (("", "a long text with an end"),),
        "num_predict: 64", ("states", "work", "options", "num_predict"),
    ),
    "odd_default": Flaw(
        "  ask: {type: input, prompt: 'Word? Press Enter for Porto', default_value: none of it, "
        "save_as: word, next: work}\n" + WORK,
        (shouting(), scenario("two", equals("out", "fine"))),
        (("Shout Porto", "fine"), *SHOUTS),
        "default_value: Porto", ("states", "ask", "default_value"),
    ),
    "swapped_options": Flaw(
        ASK + CHOOSE + "      - {state: right, description: A left}\n"
        "      - {state: third, description: A right}\n"
        "      - {state: left, description: A third}\n" + SIDES,
        (sided("left", "left"), sided("right", "right"), sided("third", "third")),
        (*SIDE, ("<asked>\nleft", "1"), ("<asked>\nright", "2"), ("<asked>\nthird", "3")),
        "{state: left, description: A left}", ("states", "work", "next_options"),
    ),
    "exchanged_ways": Flaw(
        ASK + CHOOSE + "      - {state: go_left, description: A left}\n"
        "      - {state: go_right, description: A right}\n"
        "  go_left: {type: transition, next: right}\n"
        "  go_right: {type: transition, next: left}\n" + SIDES,
        (sided("left", "left"), sided("right", "right")),
        (*SIDE, ("<asked>\nleft", "1"), ("<asked>\nright", "2")),
        "go_left: {type: transition, next: left}", ("states", "go_left", "next"),
    ),
    "missing_option": Flaw(
        ASK + CHOOSE + "      - {state: left, description: A left}\n"
        "      - {state: right, description: A right}\n" + SIDES,
        (sided("left", "left"), sided("right", "right"), sided("third", "third")),
        (*SIDE, ("<asked>\nleft", "1"), ("<asked>\nright", "2"),
         ("3. third: None of the other", "3"), ("", "1")),
        "None of the other options fits.", ("states", "work", "next_options"),
    ),
    "unreached_state": Flaw(
        ASK.replace("next: work", "next: end") + WORK,
        (*BOTH, shouting(reached("work"), name="three")), SHOUTS,
        "save_as: word, next: work", ("states", "ask", "next"),
    ),
    "endless_loop": Flaw(
        ASK + WORK.replace("next: end", "next: again") + "  again: {type: transition, next: ask}\n",
        BOTH, SHOUTS, "again: {type: transition, next: end}", ("states", "again", "next"),
    ),
    "renamed_placeholder": Flaw(
        "  ask: {type: input, prompt: 'Say it', save_as: word, next: work}\n"
        + WORK.replace("{{word}}", "{{city}}"),
        BOTH, (("Shout (?!Lisbon$|Porto$)", "WHAT?"), *SHOUTS),
        "Shout {{word}}", ("states", "ask", "save_as"),
    ),
    "contradiction": Flaw(
        ASK + WORK.replace(
            "'Shout {{word}}'", "'Shout {{word}}. Explain why. Reply with the word alone.'"),
        (shouting(),), (("Explain", "LISBON, because"), *SHOUTS),
        "Shout {{word}}. Reply with the word alone.", ("states", "work", "prompt"),
    ),
    "other_language": Flaw(
        ASK + WORK.replace("Shout {{word}}", "Shout it in French: {{word}}"),
        (shouting(),), (("French", "LISBONNE"), *SHOUTS),
        "Shout it in Danish: {{word}}", ("states", "work", "prompt"),
        head=HEAD.replace("\n", "\ndescription: Shouts Danish words\n", 1),
    ),
    "unsaid_choices": Flaw(
        ASK + "  # rainy or sunny\n" + WORK.replace("Shout", "Mood of"),
        (scenario("one", equals("out", "sunny"), ask="blue sky"),
         scenario("two", equals("out", "rainy"), ask="grey sky")),
        (("rainy, sunny.*blue|blue.*rainy, sunny", "sunny"), ("grey.*rainy, sunny", "rainy"),
         ("", "It looks fine.")),
        "Choose the one that fits best: rainy, sunny.", ("states", "work", "prompt"),
    ),
    "unsaid_limit": Flaw(
        ASK + WORK, (shouting(),), (("one word", "LISBON"), ("", "L I S B O N, I say")),
        "Write one word.", ("states", "work", "prompt"),
        head=HEAD.replace("\n", "\ndescription: Shouts in one word\n", 1),
    ),
    "wordy_answer": Flaw(
        ASK + WORK.replace("Shout", "Mood of"),
        (scenario("one", equals("out", "sunny"), ask="blue sky"),),
        (("alone.*lower case", "sunny"), ("", "The mood is Sunny.")),
        "Reply with the answer alone. Write the answer in lower case.",
        ("states", "work", "prompt"),
    ),
    "unsaid_purpose": Flaw(
        ASK + WORK.replace("Shout", "What about"),
        (shouting(),), (("Shouts.*what is typed", "LISBON"), ("", "Nothing.")),
        "The answer must do what this says: Shouts aloud what is typed",
        ("states", "work", "prompt"),
        head=HEAD.replace("\n", "\ndescription: Shouts aloud what is typed\n", 1),
    ),
}  # fmt: skip
