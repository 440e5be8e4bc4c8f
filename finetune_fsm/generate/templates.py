"""The kinds of workflow that there are: forms whose blanks a model fills, or we do. Pure.

Their names are AgentMech's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from finetune_fsm.generate.template import Blank, States, Template, Texts


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _ask(question: str, variable: str, following: str, example: str = "") -> dict[str, object]:
    default = {"default_value": example} if example else {}
    return {"type": "input", "prompt": question, **default, "save_as": variable, "next": following}


def _write(instruction: str, variable: str, following: str, **reads: str) -> dict[str, object]:
    """A prompt: the instruction, then each of *reads* under its heading."""
    shown = [f"{heading.replace('_', ' ')}:\n{{{{{name}}}}}" for heading, name in reads.items()]
    prompt = "\n\n".join((instruction, *shown))
    return {"type": "prompt", "prompt": prompt, "save_as": variable, "next": following}


def _example(of: str) -> Blank:
    usual = "What should a beginner know first?"
    return Blank("example", f"an example of {of}, in one short sentence", usual, question=True)


def _simple_qa(texts: Texts) -> States:
    return {
        "ask_question": _ask(texts["question"], "question", "answer", texts["example"]),
        "answer": _write(texts["instruction"], "answer", "end", Question="question"),
    }


def _conversation(texts: Texts) -> States:
    return {
        "first_question": _ask(texts["first_question"], "first_answer", "second_question"),
        "second_question": _ask(texts["second_question"], "second_answer", "reply"),
        "reply": _write(
            texts["instruction"],
            "reply",
            "end",
            First_answer="first_answer",
            Second_answer="second_answer",
        ),
    }


def _analysis(texts: Texts) -> States:
    return {
        "ask_material": _ask(texts["question"], "material", "collect", texts["example"]),
        "collect": _write(texts["first_step"], "findings", "examine", Material="material"),
        "examine": _write(
            texts["second_step"],
            "examination",
            "conclude",
            Material="material",
            Findings="findings",
        ),
        "conclude": _write(texts["third_step"], "conclusion", "end", Analysis="examination"),
    }


def _content(texts: Texts) -> States:
    return {
        "ask_topic": _ask(texts["question"], "topic", "outline", texts["example"]),
        "outline": _write(texts["outline"], "outline", "draft", Topic="topic"),
        "draft": _write(texts["draft"], "draft", "polish", Topic="topic", Outline="outline"),
        "polish": _write(texts["polish"], "content", "end", Draft="draft"),
    }


def _research(texts: Texts) -> States:
    explored = _write(texts["explore"], "notes", "", Question="question")
    del explored["next"]
    options = [
        {"state": "deepen", "description": "The notes leave parts of the question open"},
        {"state": "report", "description": "The notes answer the whole question"},
    ]
    return {
        "ask_question": _ask(texts["question"], "question", "explore", texts["example"]),
        "explore": {**explored, "next_options": options},
        "deepen": _write(texts["deepen"], "notes", "report", Question="question", Notes="notes"),
        "report": _write(texts["report"], "report", "end", Question="question", Notes="notes"),
    }


_QUESTION = Blank(
    "question", "the question that the person is asked first", "What is it about?", question=True
)

_ALL = (
    Template(
        "simple-qa",
        "the person asks one question and gets one answer",
        "First the person is asked for a question, then a language model answers it.",
        (
            _QUESTION,
            _example("what a person would ask"),
            Blank(
                "instruction",
                "the instruction to the model: who it is, what it answers, how long, in what form",
                "Answer the question below correctly and clearly, in at most five sentences.",
            ),
        ),
        _words("question answer ask explain lookup faq translat classif"),
        _simple_qa,
    ),
    Template(
        "user-input-conversation",
        "the person is asked two things, then gets a reply made for them",
        "The person is asked two questions, one after the other, then a language model replies.",
        (
            Blank(
                "first_question",
                "the first question to the person",
                "What is your name?",
                question=True,
            ),
            Blank(
                "second_question",
                "the second question to the person",
                "What can I do for you?",
                question=True,
            ),
            Blank(
                "instruction",
                "the instruction to the model: what it writes from the two answers, and how",
                "Write a friendly, helpful reply that fits both answers below.",
            ),
        ),
        _words("conversation chat user person greet interview advice coach support"),
        _conversation,
    ),
    Template(
        "sequential-analysis",
        "something that the person gives is analysed in three steps",
        "The person gives material; a language model works on it in three steps, each of which "
        "reads what the one before wrote.",
        (
            _QUESTION,
            _example("the material"),
            Blank(
                "first_step",
                "the instruction of the first step",
                "List the main points of the material below.",
            ),
            Blank(
                "second_step",
                "the instruction of the second step",
                "Say what these points mean, what is strong and what is weak in them.",
            ),
            Blank(
                "third_step",
                "the instruction of the third step, which sums up",
                "Draw a conclusion in three sentences.",
            ),
        ),
        _words("analy review evaluat assess compare examin summar feedback step"),
        _analysis,
    ),
    Template(
        "content-generator",
        "a text on a topic is outlined, drafted and polished",
        "The person names a topic; a language model makes an outline, a draft from it, and the "
        "final text from the draft.",
        (
            _QUESTION,
            _example("a topic"),
            Blank(
                "outline",
                "the instruction for the outline",
                "Make an outline of at most five points for a text on the topic below.",
            ),
            Blank(
                "draft",
                "the instruction for the draft: kind of text, length, readers",
                "Write a draft of about 200 words on the topic, along the outline.",
            ),
            Blank(
                "polish",
                "the instruction for the final text",
                "Correct and smooth the draft below. Write the final text and nothing else.",
            ),
        ),
        _words("write content blog post article story text email draft letter poem marketing"),
        _content,
    ),
    Template(
        "research-assistant",
        "a question is explored, deepened if need be, and reported on",
        "The person asks a question; a language model notes what it knows, decides whether to go "
        "deeper, and writes a report.",
        (
            _QUESTION,
            _example("a question to research"),
            Blank(
                "explore",
                "the instruction for the first notes",
                "Write down what is known about the question below, as short notes.",
            ),
            Blank(
                "deepen",
                "the instruction for going deeper",
                "Add to the notes what they leave open. Write all notes, the old ones too.",
            ),
            Blank(
                "report",
                "the instruction for the report",
                "Write a report of about 200 words that answers the question from the notes.",
            ),
        ),
        _words("research investigat report explor deep stud source fact"),
        _research,
    ),
)

TEMPLATES: Mapping[str, Template] = {template.name: template for template in _ALL}
"""By name, in the order in which they are offered."""


def nearest(description: str) -> Template:
    """Return the template that most words of *description* speak for; the first when none do."""
    said = re.findall(r"\w+", description.lower())
    scores = {
        name: sum(word.startswith(template.words) for word in said)
        for name, template in TEMPLATES.items()
    }
    return TEMPLATES[max(scores, key=lambda name: scores[name])]
