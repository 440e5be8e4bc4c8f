"""Whatever a model answers, what comes out is a valid workflow without a doubt, or the nearest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.errors import Problem
from finetune_fsm.generate import plan, questions, words
from finetune_fsm.generate.maker import OWN, Made, make
from finetune_fsm.generate.templates import TEMPLATES, nearest
from finetune_fsm.llm.base import Completion, Request
from finetune_fsm.workflow.load import check_text
from finetune_fsm.workflow.model import END, Workflow

HERE = Path()


def made(
    replies: Mapping[str, str | Sequence[str]],
    description: str = "Answers questions",
    **more: object,
) -> tuple[Made, list[Request]]:
    """Make a workflow with a model that answers by label, the last answer again and again."""
    asked: list[Request] = []

    def ask(request: Request) -> Completion | Problem:
        asked.append(request)
        given_ = replies.get(request.label)
        if given_ is None:
            return Problem("empty", "the reply is empty")
        if isinstance(given_, str):
            return Completion(given_)
        before = sum(other.label == request.label for other in asked) - 1
        return Completion(given_[min(before, len(given_) - 1)])

    return make(description, model="m", ask=ask, folder=HERE, **more), asked  # type: ignore[arg-type]


def doubts(workflow: Workflow) -> set[str]:
    checked = check_text(workflow.text, folder=HERE, strict=True)
    assert checked.workflow is not None
    return {problem.code for problem in checked.problems}


raw_texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["{{topic}}", "Ask {{ Topic }} and {draft}", "{{{{", "}}{{a}}{", "end", "End.", "error",
         "run_directory", "Write {{ask topic}}: {{nothing}}", "\x1b[31m\u202e", "'\"\n: - #", ""]
    ),
)  # fmt: skip
names = st.one_of(
    st.sampled_from(["topic", "Topic", "draft", "Ask Topic", "end", "1st", ""]), raw_texts
)
junk = st.one_of(st.none(), st.integers(), st.lists(st.none(), max_size=2), raw_texts)
ways = st.lists(
    st.one_of(junk, st.fixed_dictionaries({"when": raw_texts, "next": st.one_of(names, junk)})),
    max_size=5,
)
steps = st.fixed_dictionaries(
    {"name": st.one_of(names, junk), "prompt": st.one_of(raw_texts, junk)},
    optional={
        "kind": st.sampled_from(["input", "prompt", "choice", "other", 3]),
        "next": st.one_of(names, junk),
        "ways": st.one_of(ways, junk),
    },
)
plans = st.fixed_dictionaries(
    {"name": junk, "steps": st.one_of(junk, st.lists(st.one_of(steps, junk), max_size=9))}
)
replies = st.one_of(
    plans.map(json.dumps),
    st.dictionaries(raw_texts, junk, max_size=4).map(json.dumps),
    st.text(max_size=60),
)


@given(replies, replies, st.text(max_size=60))
@settings(max_examples=120)
def test_any_plan_becomes_a_valid_workflow_without_a_doubt(
    first: str, second: str, description: str
) -> None:
    result, _ = made({"pick": "6", "plan": (first, second)}, description)
    assert doubts(result.workflow) == set()
    if result.kind != OWN:
        assert result.notes


@given(
    st.sampled_from(list(TEMPLATES)),
    st.dictionaries(
        st.sampled_from([b.name for t in TEMPLATES.values() for b in t.blanks] + ["name"]), junk
    ),
    raw_texts,
)
@settings(max_examples=60)
def test_any_texts_in_a_template_make_a_valid_workflow_without_a_doubt(
    name: str, texts: Mapping[str, object], description: str
) -> None:
    result, _ = made({"fill": json.dumps(texts)}, description, template=name)
    assert result.kind == name
    assert doubts(result.workflow) == set()


@given(st.lists(steps, min_size=1, max_size=8))
@settings(max_examples=120)
def test_every_step_of_a_mended_plan_is_reached_and_reaches_the_end(raw: list[object]) -> None:
    read = plan.read(json.dumps({"name": "n", "steps": raw}))
    if isinstance(read, Problem):
        return
    targets = {name: _targets(state) for name, state in read.states.items()}
    for name in targets:
        assert name in _closure(next(iter(targets)), targets)
        assert END in _closure(name, targets)


def _targets(state: object) -> list[str]:
    assert isinstance(state, dict)
    options = state.get("next_options")
    return [option["state"] for option in options] if options else [state["next"]]


def _closure(start: str, targets: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    ahead = [start]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += targets.get(name, [])
    return found


@given(st.text(), st.sampled_from(["topic", "draft", "ask_topic"]))
@example("{{{{topic}}", "topic")
@example("{{a}}{", "draft")
def test_a_text_keeps_no_placeholder_but_those_that_mean_something(text: str, known: str) -> None:
    done = words.with_placeholders(text, lambda written: words.nearest(written, {known}))
    assert "{{" not in done.replace(f"{{{{{known}}}}}", "")


def test_placeholders_are_found_however_they_are_spelt() -> None:
    def known(written: str) -> str | None:
        return words.nearest(written, {"ask_topic"})

    for text in (
        "{{ask_topic}}",
        "{{ Ask Topic }}",
        "{ask_topic}",
        "{{ask-topic}}",
        "{{ask_topics}}",
    ):
        assert words.with_placeholders(f"On {text}.", known) == "On {{ask_topic}}."
    assert words.with_placeholders('{"a": 1} {{b}}', known) == '{"a": 1} b'


SORTER = {
    "name": "Mail sorter",
    "steps": [
        {"name": "Ask mail", "kind": "input", "prompt": "What does the mail say?", "next": "sort"},
        {
            "name": "sort",
            "kind": "choice",
            "prompt": "Is {{ask_mail}} a complaint?",
            "ways": [
                {"when": "It is a complaint", "next": "Apologise"},
                {"when": "Anything else", "next": "thank"},
            ],
        },
        {"name": "apologise", "kind": "prompt", "prompt": "Apologise for it.", "next": "end"},
        {
            "name": "thank",
            "kind": "prompt",
            "prompt": "Say thanks for {{ ask mail }}.",
            "next": "END",
        },
    ],
}


def test_a_good_plan_stays_what_it_is() -> None:
    result, asked = made({"pick": "6", "plan": json.dumps(SORTER)})
    states = result.workflow.states
    assert (result.kind, result.notes, result.workflow.name) == (OWN, (), "Mail sorter")
    assert list(states) == ["ask_mail", "sort", "apologise", "thank"]
    assert [option.state for option in states["sort"].next_options] == ["apologise", "thank"]
    assert states["thank"].prompt == "Say thanks for {{ask_mail}}."
    assert states["apologise"].prompt == "Apologise for it.\n\nSort: {{sort}}"
    assert [request.label for request in asked] == ["pick", "plan"]


def test_what_small_models_get_wrong_is_mended() -> None:
    careless = {
        "name": "Poem",
        "steps": [
            {"name": "topic", "kind": "input", "prompt": "Which topic?", "next": "end"},
            {"name": "poem", "kind": "prompt", "prompt": "Write a poem.", "next": "polsh"},
            {"name": "polish", "kind": "prompt", "prompt": "Polish [it].", "next": "poem"},
        ],
    }
    result, _ = made({"pick": "own", "plan": json.dumps(careless)})
    states = result.workflow.states
    assert [states[name].next for name in states] == ["poem", "polish", "end"]
    assert states["poem"].prompt == "Write a poem.\n\nTopic: {{topic}}"
    assert states["polish"].prompt == "Polish [it].\n\nPoem: {{poem}}"


def test_an_answer_that_no_prompt_reads_is_put_into_the_next() -> None:
    asked_for_nothing = {
        "name": "Letter",
        "steps": [
            {"name": "who", "kind": "input", "prompt": "To whom?", "next": "what"},
            {"name": "what", "kind": "input", "prompt": "About what?", "next": "letter"},
            {"name": "letter", "kind": "prompt", "prompt": "Write on {{what}}.", "next": "end"},
        ],
    }
    read = plan.read(json.dumps(asked_for_nothing))  # before lint, which might do it too
    assert isinstance(read, plan.Plan)
    letter = read.states["letter"]
    assert isinstance(letter, dict)
    assert letter["prompt"] == "Write on {{what}}.\n\nWho: {{who}}"


def test_a_step_that_nothing_leads_to_is_left_out() -> None:
    lost = {"name": "lost", "kind": "prompt", "prompt": "Nobody comes here.", "next": "end"}
    plan_ = {**SORTER, "steps": [*SORTER["steps"][:2], lost, *SORTER["steps"][2:]]}
    result, _ = made({"pick": "6", "plan": json.dumps(plan_)})
    assert list(result.workflow.states) == ["ask_mail", "sort", "apologise", "thank"]


def test_a_plan_that_cannot_be_used_is_asked_for_once_more_with_what_was_wrong() -> None:
    result, asked = made({"pick": "6", "plan": ("I am sorry", json.dumps(SORTER))})
    assert result.kind == OWN
    assert "The last answer could not be used:\n- the reply is no JSON object" in asked[-1].text


def test_after_two_bad_plans_the_nearest_template_stands_in_and_that_is_said() -> None:
    result, asked = made({"pick": "6", "plan": "no"}, "Write a blog post on a topic")
    assert result.kind == "content-generator"
    assert "template 'content-generator' it is" in result.notes[0]
    assert [request.label for request in asked] == ["pick", "plan", "plan", "fill"]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("1", "simple-qa"),
        ("3.", "sequential-analysis"),
        ("**content-generator**", "content-generator"),
        ("The best is 5", "research-assistant"),
        ("user-input-conversation", "user-input-conversation"),
    ],
)
def test_the_model_picks_a_template_by_number_or_name(said: str, kind: str) -> None:
    assert made({"pick": said})[0].kind == kind


def test_a_model_that_picks_nothing_gets_the_nearest_template() -> None:
    result, _ = made({"pick": "hm"}, "Investigate a question and report on it")
    assert result.kind == "research-assistant"
    assert "named no kind" in result.notes[0]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_takes_the_texts_that_a_model_writes(name: str) -> None:
    texts = {blank.name: f"Text of {blank.name}" for blank in TEMPLATES[name].blanks}
    result, asked = made({"fill": json.dumps({"name": "My own", **texts})}, template=name)
    assert (result.workflow.name, result.notes) == ("My own", ())
    assert all(text in result.workflow.text for text in texts.values())
    assert [request.label for request in asked] == ["fill"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_without_texts_keeps_its_own_and_says_so(name: str) -> None:
    result, _ = made({}, template=name)
    assert doubts(result.workflow) == set()
    assert all(blank.name in result.notes[0] for blank in TEMPLATES[name].blanks)


def test_the_nearest_template_is_that_of_the_words() -> None:
    assert nearest("Analyse customer feedback and evaluate it").name == "sequential-analysis"
    assert nearest("Chat with the user and give advice").name == "user-input-conversation"
    assert nearest("").name == "simple-qa"


# What the model is asked


def test_every_question_is_small_fixed_and_begins_with_what_stays_the_same() -> None:
    def of(description: str) -> list[str]:
        filled = [questions.form("m", t, description).text for t in TEMPLATES.values()]
        return [
            questions.pick("m", description).text,
            questions.plan("m", description).text,
            *filled,
        ]

    for one, other in zip(of("first wish"), of("another wish"), strict=True):
        assert one == other.replace("another wish", "first wish")
        assert one.index("first wish") > 0.6 * len(one)
        assert len(one) < 2_000


def test_the_pick_reads_as_it_should() -> None:
    text = questions.pick("m", "Sort {{mail}}\n").text
    assert text.startswith("A person wants a small workflow")
    assert "\n1. simple-qa: the person asks one question and gets one answer\n" in text
    assert "\n6. own: none of these" in text
    assert "\n<<<\nSort {{mail}}\n>>>\n" in text
    assert text.endswith("Reply with the number of the kind only (1-6).")


def test_the_form_names_every_blank() -> None:
    template = TEMPLATES["simple-qa"]
    request = questions.form("m", template, "x")
    assert all(f'\n- "{blank.name}": {blank.wanted}\n' in request.text for blank in template.blanks)
    assert request.schema is not None
    assert request.schema["required"] == ["name", "question", "example", "instruction"]


def test_the_plan_reads_as_it_should_with_and_without_complaints() -> None:
    plain = questions.plan("m", "x").text
    assert plain.endswith('Reply with JSON: "name", a name for the workflow, then "steps".')
    assert "{{" not in plain
    told = questions.plan("m", "x", ("a\nb",)).text
    assert told == f"{plain}\n\nThe last answer could not be used:\n- a b"


def test_a_long_description_is_cut() -> None:
    assert len(questions.plan("m", "x" * 100_000).text) < 5_000


def test_a_plan_that_fits_the_schema_is_read() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator(questions.PLAN_SCHEMA).validate(SORTER)
    assert isinstance(plan.read(json.dumps(SORTER)), plan.Plan)
