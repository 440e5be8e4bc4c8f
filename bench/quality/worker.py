"""The worker of a model with known truth: right exactly when its prompt lets it be.

It answers for a workflow's states by the rules of a case's ``script.yaml``: the right answer
where the prompt holds what a model needs for it (the input's text, a word about the form), what a
weak model says where it does not; a reply longer than ``num_predict`` is cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from finetune_fsm.llm.base import DEFAULT_REPLY_TOKENS, Completion, Request
from finetune_fsm.llm.script_file import read
from finetune_fsm.llm.scripted import Reply, ScriptedLLM

TOKEN = 4  # characters, for cutting

_PLACEHOLDER = re.compile(r"\{\{([A-Za-z0-9_]+)\}\}")


def worker(script: Path) -> ScriptedLLM:
    """Return the worker alone, by the rules of *script*."""
    rules = read(script)
    return ScriptedLLM(lambda request: working(rules, request), slots=1)


def working(rules: Sequence[Reply], request: Request) -> Completion:
    """Return what the worker says: the first rule that fits, cut where the options say. Pure."""
    text = ""
    for rule in rules:
        groups = rule.fits(request)
        if groups is not None:
            text = _PLACEHOLDER.sub(lambda m, found=groups: found.get(m[1], m[0]), rule.reply)
            break
    limit = request.options.get("num_predict")
    room = TOKEN * (limit if isinstance(limit, int) else DEFAULT_REPLY_TOKENS)
    return completion(request, text[:room], cut=len(text) > room)


def completion(request: Request, text: str, *, cut: bool = False) -> Completion:
    """Return *text* as the reply to *request*, with tokens counted by length. Pure."""
    return Completion(text, len(request.text) // TOKEN + 1, len(text) // TOKEN + 1, cut=cut)
