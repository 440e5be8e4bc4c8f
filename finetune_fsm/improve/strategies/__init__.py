"""The ways in which a model is asked for a draft: one module per kind, one `Form` per strategy."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from finetune_fsm.improve.model import Strategy
from finetune_fsm.improve.strategies.brief import Brief, Form
from finetune_fsm.improve.strategies.choosing import CHOICE
from finetune_fsm.improve.strategies.inserting import INSERT
from finetune_fsm.improve.strategies.prompting import ADDITION, REWRITE
from finetune_fsm.improve.strategies.routing import REDIRECT, ROUTES
from finetune_fsm.improve.strategies.whole import WHOLE

__all__ = ["FORMS", "Brief", "Form"]

FORMS: Mapping[Strategy, Form] = MappingProxyType(
    {
        Strategy.REWRITE: REWRITE,
        Strategy.ADDITION: ADDITION,
        Strategy.ROUTES: ROUTES,
        Strategy.REDIRECT: REDIRECT,
        Strategy.CHOICE: CHOICE,
        Strategy.INSERT: INSERT,
        Strategy.WHOLE: WHOLE,
    }
)
"""How each strategy that asks a model does it; its prompt is ``prompts/<strategy>.txt``."""
