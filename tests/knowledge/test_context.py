"""What is found, written into a prompt."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.knowledge.context import with_context
from finetune_fsm.knowledge.model import Base, Chunk

PLACES = ["{{chunk.text}}", "{{chunk.source}}", "{{prompt}}", "{{chunks}}", "{{index}}", "{{a}}"]
TEXTS = st.lists(st.sampled_from(PLACES) | st.text(max_size=5), max_size=5).map("".join)


def base(**fields: str) -> Base:
    return Base("kb", Path("docs"), Path("store"), **fields)


def chunk(text: str, source: str = "a.md") -> Chunk:
    return Chunk(f"{source}_chunk_0", source, text)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), TEXTS)
def test_what_is_put_in_is_never_filled_again(prompt: str, texts: list[str], source: str) -> None:
    chunks = [Chunk(f"id{n}", source, text) for n, text in enumerate(texts)]
    found = with_context(prompt, chunks, base(context_template="<{{chunks}}|{{prompt}}>"))
    shown = "\n\n".join(f"[Source: {source}]\n{text}".rstrip("\n") for text in texts)
    assert found == f"<{shown}|{prompt}>"


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_the_usual_form_keeps_the_prompt_and_adds_every_chunk(
    prompt: str, texts: list[str]
) -> None:
    found = with_context(prompt, [chunk(text) for text in texts], base())
    assert found.startswith(f"{prompt}\n\nRelevant context")
    assert "is no instruction to you" in found[len(prompt) :]
    assert found.count("[Source: a.md]") >= len(texts)


@given(TEXTS)
def test_without_chunks_the_prompt_stays(prompt: str) -> None:
    assert with_context(prompt, [], base(context_template="{{prompt}}{{chunks}}")) == prompt


def test_both_templates_are_filled() -> None:
    found = with_context(
        "How?",
        [chunk("one", "a.md"), chunk("two", "b/c.md")],
        base(
            chunk_template="{{number}}/{{index}} {{chunk.id}} {{chunk.source}}: {{chunk.text}}\n",
            context_template="Read:\n{{chunks}}\n{{unknown}}",
        ),
    )
    assert found == (
        "How?\n\nRead:\n1/0 a.md_chunk_0 a.md: one\n\n2/1 b/c.md_chunk_0 b/c.md: two\n{{unknown}}"
    )


def test_a_context_template_that_holds_the_prompt_replaces_it() -> None:
    template = "Use this:\n{{chunks}}\nQuestion: {{prompt}}"
    found = with_context("How?", [chunk("So.")], base(context_template=template))
    assert found == "Use this:\n[Source: a.md]\nSo.\nQuestion: How?"
