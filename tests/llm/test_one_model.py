from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.llm.base import Message, Request, Stop
from finetune_fsm.llm.one_model import OneModel
from finetune_fsm.llm.scripted import ScriptedLLM


class Weighty(ScriptedLLM):
    """A scripted model that tells its weights from others."""

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        return f"weights of {model}"


@given(st.text(), st.text(), st.text())
def test_one_model_answers_whatever_model_a_question_names(
    wanted: str, named: str, text: str
) -> None:
    llm, pieces = Weighty(lambda request: request.text), []
    layer = OneModel(llm, wanted)
    request = Request(named, (Message("user", text),), {"seed": 1}, draw=2)
    assert layer.complete(request, on_text=pieces.append).text == text
    [asked] = llm.requests
    assert asked.model == wanted
    assert (asked.messages, asked.options, asked.draw) == (request.messages, {"seed": 1}, 2)
    assert pieces == [text]
    assert layer.fingerprint(named) == f"weights of {wanted}"
    assert (layer.name, layer.slots) == (llm.name, llm.slots)
