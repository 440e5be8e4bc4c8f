"""A new prompt, or one more sentence in it."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_fsm.errors import Problem
from finetune_fsm.improve.changes import set_prompt, with_placeholders_of
from finetune_fsm.improve.replies import text_field
from finetune_fsm.improve.strategies.brief import PROMPT_LIMIT, Brief, Form, Reading

TEXT: Mapping[str, object] = {"type": "string"}


def _rewritten(data: Mapping[str, object], brief: Brief, why: str) -> Reading:
    text = text_field(data, "new_prompt", limit=PROMPT_LIMIT)
    if isinstance(text, Problem):
        return text
    old = brief.state.prompt or ""
    return set_prompt(brief.state, with_placeholders_of(old, unquoted(text)), why)


def _added(data: Mapping[str, object], brief: Brief, why: str) -> Reading:
    text = text_field(data, "addition", limit=PROMPT_LIMIT)
    if isinstance(text, Problem):
        return text
    return set_prompt(brief.state, f"{(brief.state.prompt or '').rstrip()}\n\n{text}", why)


def unquoted(text: str) -> str:
    """Return *text* without the quotes in which a question showed a prompt. Pure."""
    quote = '"""'
    return text.removeprefix(quote).removesuffix(quote).strip() or text


REWRITE = Form(lambda _: {}, lambda _: {"new_prompt": TEXT}, _rewritten)
ADDITION = Form(lambda _: {}, lambda _: {"addition": TEXT}, _added)
