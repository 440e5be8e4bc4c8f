"""The loop as a drawing, the state in which a run stands marked."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_fsm.loop.outcomes import Interrupted
from finetune_fsm.loop.table import RULES, LoopState
from finetune_fsm.serve.markup import Markup, element

_S = LoopState

WIDTH, HEIGHT = 695, 250
_BOX = (108, 32)

PLACES: Mapping[LoopState, tuple[int, int]] = {
    _S.PREPARING: (62, 40),
    _S.SAVING: (205, 40),
    _S.RUNNING: (348, 40),
    _S.TESTING: (491, 40),
    _S.CHECKING: (205, 135),
    _S.MODIFYING: (348, 135),
    _S.ANALYZING: (491, 135),
    _S.CONFIRMING: (491, 222),
    _S.FINISHING: (635, 222),
    _S.DONE: (635, 135),
}
"""Middles of the boxes, in units of the drawing."""

WAYS: Mapping[tuple[LoopState, LoopState], str] = {
    (_S.PREPARING, _S.SAVING): "M116 40 L145 40",
    (_S.SAVING, _S.RUNNING): "M259 40 L288 40",
    (_S.RUNNING, _S.TESTING): "M402 40 L431 40",
    (_S.TESTING, _S.ANALYZING): "M491 56 L491 113",
    (
        _S.TESTING,
        _S.CONFIRMING,
    ): "M545 50 C572 80 572 178 531 202",
    (_S.ANALYZING, _S.MODIFYING): "M437 135 L408 135",
    (_S.ANALYZING, _S.CONFIRMING): "M491 151 L491 200",
    (_S.MODIFYING, _S.CHECKING): "M294 130 L265 130",
    (_S.CHECKING, _S.MODIFYING): "M259 141 L288 141",
    (_S.CHECKING, _S.SAVING): "M205 119 L205 62",
    (_S.CHECKING, _S.ANALYZING): "M235 119 C260 82 436 82 461 114",
    (_S.CHECKING, _S.CONFIRMING): "M220 151 C245 205 340 222 431 222",
    (_S.CONFIRMING, _S.FINISHING): "M545 222 L575 222",
    (_S.FINISHING, _S.DONE): "M635 206 L635 157",
}
"""How the arrows run; a test holds them to the loop's table."""


def loop_picture(present: LoopState) -> Markup:
    """Return the loop as SVG with *present* marked; a reader who cannot see it is told. Pure."""
    head = element("path", d="M0 0 L8 4 L0 8 Z")
    tip = element(
        "marker",
        head,
        id="tip",
        viewBox="0 0 8 8",
        refX="6",
        refY="4",
        markerWidth="7",
        markerHeight="7",
        orient="auto-start-reverse",
    )
    arrows = (element("path", d=way, class_="way", marker_end="url(#tip)") for way in WAYS.values())
    boxes = (_box(state, here=state is present) for state in PLACES)
    drawing = element(
        "svg",
        element("defs", tip),
        arrows,
        boxes,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"The loop. It stands in {present}.",
        class_="loop",
    )
    return element("div", drawing, class_="wide", tabindex="0", role="group", aria_label="Loop")


def drawn() -> frozenset[tuple[LoopState, LoopState]]:
    """Return the ways that the table has, interruptions left out. Pure."""
    return frozenset(
        (rule.source, rule.target) for rule in RULES if rule.event != Interrupted.event
    )


def _box(state: LoopState, *, here: bool) -> Markup:
    (x, y), (width, height) = PLACES[state], _BOX
    frame = element(
        "rect",
        x=str(x - width // 2),
        y=str(y - height // 2),
        width=str(width),
        height=str(height),
        rx="6",
    )
    name = element("text", str(state), x=str(x), y=str(y + 4), text_anchor="middle")
    return element("g", frame, name, class_="state present" if here else "state")
