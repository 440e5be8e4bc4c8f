from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.execution.routing import (
    ASKED_TOKENS,
    REPLY_TOKENS,
    Question,
    choice_prompt,
    choose,
    read_choice,
    shortened,
)
from finetune_fsm.llm.base import Purpose, estimated_tokens
from finetune_fsm.llm.scripted import Reply, ScriptedLLM
from finetune_fsm.workflow.model import Option

CHOICES = (
    Option("billing", "money, invoices"),
    Option("support", "something is broken"),
    Option("end", "nothing to do"),
)


def question(**fields: object) -> Question:
    given_fields = {"model": "m", "asked": "Sort this.", "reply": "It broke.", "choices": CHOICES}
    return Question(**given_fields | fields)


# Reading


@given(st.integers(1, 9), st.integers(2, 9), st.data())
def test_a_number_alone_chooses_by_counting_from_one(
    number: int, many: int, data: st.DataObject
) -> None:
    choices = [Option(f"state_{i}", "x") for i in range(many)]
    around = st.sampled_from(["", " ", "\n", "**", "`", "(", "\t"])
    answer = data.draw(around) + str(number) + data.draw(around | st.just("."))
    assert read_choice(answer, choices) == (number - 1 if number <= many else None)


@given(st.text(max_size=60))
@example("[" * 100_000)
@example("9" * 5000)
def test_whatever_comes_back_is_an_option_or_nothing(answer: str) -> None:
    assert read_choice(answer, CHOICES) in (None, 0, 1, 2)


@given(st.integers(0, 2), st.sampled_from(["{}", "'{}'", "The answer is {}.", "**{}**", "->{}\n"]))
def test_a_name_chooses_where_there_is_no_number(index: int | None, words: str) -> None:
    assert read_choice(words.format(CHOICES[index].state), CHOICES) == index


@pytest.mark.parametrize(
    ("answer", "index"),
    [
        ("2", 1),
        ("2. support: something is broken", 1),
        ("Option 2 of 3", 1),
        ("I am 100% sure: 3", 2),
        ("第2个", 1),
        ("\uff12", 1),
        ('{"choice": 2}', 1),
        ('{"choice": 2.0}', 1),
        ('{"next": "support"}', 1),
        ("SUPPORT", 1),
        ("7", None),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("supporter", None),
        ("", None),
        ("I cannot say", None),
        ("null", None),
    ],
)
def test_answers_that_models_give(answer: str, index: int | None) -> None:
    assert read_choice(answer, CHOICES) == index


def test_a_digit_within_a_name_is_not_a_number() -> None:
    choices = (Option("step_2", "x"), Option("step-1", "y"), Option("状态1", "z"))
    assert read_choice("step_2", choices) == 0
    assert read_choice("go to step-1 now", choices) == 1
    assert read_choice("状态1", choices) == 2


def test_names_are_found_in_scripts_without_spaces_and_behind_escapes() -> None:
    choices = (Option("销售", "x"), Option("支持", "y"))
    assert read_choice("我选择支持。", choices) == 1
    assert read_choice(json.dumps({"state": "支持"}), choices) == 1


def test_the_longer_of_two_names_that_begin_alike_is_meant() -> None:
    choices = (Option("ask", "x"), Option("ask again", "y"))
    assert read_choice("so: ask again", choices) == 1


# Asking


def test_the_prompt_shows_what_was_asked_the_reply_and_a_numbered_list() -> None:
    text = choice_prompt(question(asked="Sortiere: {kaputt}", reply="Es ist “kaputt”. 壊れた"))
    assert "Sortiere: {kaputt}" in text
    assert "Es ist “kaputt”. 壊れた" in text
    assert "1. billing: money, invoices\n2. support: something is broken\n3. end:" in text


def test_the_choice_is_asked_of_the_same_model_briefly_and_without_chance() -> None:
    llm = ScriptedLLM(["2"])
    choice = choose(llm, question(options={"temperature": 0.9, "num_ctx": 8192, "stop": ["\n"]}))
    assert (choice.state, choice.decided, choice.usage.calls) == ("support", True, 1)
    (request,) = llm.requests
    assert request.purpose is Purpose.ROUTE
    assert request.model == "m"
    assert request.schema is None
    assert request.options == {"temperature": 0, "num_predict": 16, "num_ctx": 8192}


def test_no_usable_answer_is_asked_for_once_more_in_other_words() -> None:
    llm = ScriptedLLM(["hm", "3"])
    choice = choose(llm, question())
    assert (choice.state, choice.decided, choice.usage.calls) == ("end", True, 2)
    first, second = llm.requests
    assert second.text.startswith(first.text)
    assert "nothing else" in second.text[len(first.text) :]


def test_after_two_unusable_answers_the_first_option_follows_undecided() -> None:
    choice = choose(ScriptedLLM(["hm", "?"]), question())
    assert (choice.state, choice.decided) == ("billing", False)


@pytest.mark.parametrize("kind", [LLMErrorKind.EMPTY, LLMErrorKind.CUT_BY_LIMIT])
def test_a_model_that_thinks_too_long_gets_more_room(kind: LLMErrorKind) -> None:
    llm = ScriptedLLM([Reply(error=kind, once=True), Reply("2")])
    assert choose(llm, question()).state == "support"
    assert llm.requests[1].options["num_predict"] > llm.requests[0].options["num_predict"]


def test_other_errors_of_the_model_are_not_hidden() -> None:
    with pytest.raises(LLMError):
        choose(ScriptedLLM([Reply(error=LLMErrorKind.UNREACHABLE)]), question())


@given(st.text(max_size=200), st.integers(1, 100))
def test_a_shortened_text_fits_and_keeps_both_ends(text: str, tokens: int) -> None:
    short = shortened(text, tokens)
    assert estimated_tokens(short) <= max(tokens, 0) + 4  # the mark of the cut
    if estimated_tokens(text) <= tokens:
        assert short == text
    else:
        head, mark, tail = short.partition("\n[…]\n")
        assert mark
        assert text.encode("utf-8", "replace").decode().startswith(head)
        assert text.encode("utf-8", "replace").decode().endswith(tail)


def test_a_huge_reply_leaves_room_in_a_window_of_4096_tokens() -> None:
    text = choice_prompt(question(asked="問" * 50_000, reply="答" * 50_000))
    assert estimated_tokens(text) < ASKED_TOKENS + REPLY_TOKENS + 300
    assert "1. billing" in text
