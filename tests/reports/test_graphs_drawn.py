"""Drawings of state machines: everything has its place, and every text is only text."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import as_workflow, texts, workflows

from finetune_fsm.loop.table import RULES, LoopState
from finetune_fsm.reports.html.drawings import of_loop, of_workflow
from finetune_fsm.reports.html.graph import Drawing, Node, Shape, Way, picture
from finetune_fsm.reports.html.layout import RISE, Arc, Box, Layout, layered
from finetune_fsm.workflow.graph import successors
from finetune_fsm.workflow.model import END, Workflow


@st.composite
def graphs(draw: st.DrawFn) -> tuple[tuple[Box, ...], tuple[Arc, ...]]:
    """Any graph: circles, loops, several arrows between two boxes, boxes that nothing joins."""
    many = draw(st.integers(1, 9))
    sizes = st.floats(10, 200)
    boxes = tuple(Box(f"b{n}", draw(sizes), draw(sizes)) for n in range(many))
    keys = st.sampled_from([box.key for box in boxes])
    arcs = st.builds(Arc, keys, keys, st.just(0.0) | st.floats(5, 150))
    return boxes, tuple(draw(st.lists(arcs, max_size=16)))


@given(graph=graphs())
def test_no_two_boxes_or_labels_touch_and_all_are_inside(
    graph: tuple[tuple[Box, ...], tuple[Arc, ...]],
) -> None:
    boxes, arcs = graph
    layout = layered(boxes, arcs)
    areas = [(*layout.centres[box.key], box.width, box.height) for box in boxes]
    areas += [
        (*route.label, arc.width, 12.0)
        for arc, route in zip(arcs, layout.routes, strict=True)
        if route.label and route.points
    ]
    for x, y, width, height in areas:
        assert width / 2 - 0.01 <= x <= layout.width - width / 2 + 0.01
        assert height / 2 - 0.01 <= y <= layout.height - height / 2 + 0.01
    for (x, y, w, h), (a, b, c, d) in combinations(areas, 2):
        assert abs(x - a) >= (w + c) / 2 - 0.01 or abs(y - b) >= (h + d) / 2 - 0.01


@given(graph=graphs())
def test_every_arrow_goes_from_its_box_to_its_box(
    graph: tuple[tuple[Box, ...], tuple[Arc, ...]],
) -> None:
    boxes, arcs = graph
    layout = layered(boxes, arcs)
    by_key = {box.key: box for box in boxes}
    for arc, route in zip(arcs, layout.routes, strict=True):
        assert (route.label is None) == (not arc.width)
        assert bool(route.points) == (arc.source != arc.target)
        if route.points:
            touches(layout, by_key[arc.source], route.points[0])
            touches(layout, by_key[arc.target], route.points[-1])
            heights = [y for _, y in route.points]
            assert heights in (sorted(heights), sorted(heights, reverse=True))


def touches(layout: Layout, box: Box, point: tuple[float, float]) -> None:
    x, y = layout.centres[box.key]
    assert abs(point[0] - x) <= box.width / 2
    assert abs(point[1] - y) == pytest.approx(box.height / 2)


@given(graph=graphs())
def test_the_same_graph_always_looks_the_same(
    graph: tuple[tuple[Box, ...], tuple[Arc, ...]],
) -> None:
    assert layered(*graph) == layered(*graph)


@given(many=st.integers(1, 12))
def test_a_chain_is_straight_and_leads_down(many: int) -> None:
    boxes = [Box(str(n), 50, 20) for n in range(many)]
    layout = layered(boxes, [Arc(str(n), str(n + 1)) for n in range(many - 1)])
    places = [layout.centres[box.key] for box in boxes]
    assert {x for x, _ in places} == {25}
    assert all(b - a == pytest.approx(20 + RISE) for (_, a), (_, b) in pairwise(places))


def test_forty_states_that_all_fall_back_to_one_stay_readable() -> None:
    states = {
        f"state_{n:02}": {"type": "prompt", "prompt": "x", "next": f"state_{n + 1:02}"}
        for n in range(39)
    }
    for n in range(0, 36, 3):
        state = states[f"state_{n:02}"]
        del state["next"]
        state["next_options"] = [
            {"state": f"state_{n + 1:02}", "description": "it goes on as it should"},
            {"state": f"state_{n + 3:02}", "description": "it is enough"},
        ]
    states["state_38"]["next"] = "sorry"
    states["sorry"] = {"type": "prompt", "prompt": "x"}
    document = {"name": "long", "start_state": "state_00", "states": states, "on_error": "sorry"}
    tree = ET.fromstring(picture(of_workflow(as_workflow(document))))
    assert float(tree.attrib["width"]) < 2500
    assert float(tree.attrib["height"]) < 4500


names = texts() | st.text(max_size=20) | st.sampled_from(["<b>", '"x"', "&lt;", "\x00", "\ud800"])


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    many = draw(st.integers(1, 5))
    counts = st.none() | st.integers(0, 10**7)
    nodes = tuple(
        Node(f"k{n}", draw(names), draw(st.sampled_from(Shape)), draw(names), draw(counts))
        for n in range(many)
    )
    keys = st.sampled_from([node.key for node in nodes])
    ways = st.builds(Way, keys, keys, names, st.booleans(), counts)
    return Drawing(draw(names), nodes, tuple(draw(st.lists(ways, max_size=6))))


ELEMENTS = {"svg", "title", "style", "g", "path", "polygon", "rect", "circle", "text"}


@given(drawing=drawings())
def test_a_picture_is_sound_xml_of_our_elements_alone(drawing: Drawing) -> None:
    text = picture(drawing)
    text.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\ufffe\uffff]", text)
    tree = ET.fromstring(text)
    assert {element.tag.partition("}")[2] for element in tree.iter()} <= ELEMENTS
    for element in tree.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "url(" not in value
            assert name not in {"href", "src", "style"}


@given(workflow=workflows(), data=st.data())
@settings(max_examples=40)
def test_a_workflow_s_drawing_has_every_way_once_and_counts_what_was_gone(
    workflow: Workflow, data: st.DataObject
) -> None:
    known = [*workflow.states, END]
    paths = data.draw(
        st.lists(st.lists(st.sampled_from([*known, "child_ref_x"]), max_size=6), max_size=3)
    )
    drawing = of_workflow(workflow, paths)
    start, *rest = drawing.nodes
    named = {node.key for node in rest if node.key != END}
    assert named == set(workflow.states)
    ways = [(way.source, way.target) for way in drawing.ways if way.source != start.key]
    expected = {
        (state.name, target)
        for state in workflow.states.values()
        for target in successors(workflow, state)
        if target != state.name or target in state.targets
    }
    assert Counter(ways) == Counter(expected)
    told = [[name for name in path if name in known] for path in paths]
    if not told:
        assert all(node.visits is None for node in drawing.nodes)
        return
    for node in rest:
        assert node.visits == sum(path.count(node.key) for path in told)
    gone = Counter(pair for path in told for pair in pairwise(path))
    for way in drawing.ways:
        if way.source != start.key:
            assert way.times == gone[way.source, way.target]


def test_the_loop_s_drawing_is_its_table() -> None:
    drawing = of_loop()
    assert [node.name for node in drawing.nodes] == list(LoopState)
    drawn = {(way.source, way.label, way.target) for way in drawing.ways}
    assert drawn == {
        (rule.source, f"{rule.event}{f' [{rule.when.__name__}]' if rule.when else ''}", rule.target)
        for rule in RULES
        if rule.event != "interrupted"
    }


def test_a_picture_says_what_it_is_and_how_often_what_was_visited() -> None:
    document = {
        "name": "Mail <desk>",
        "start_state": "sort",
        "states": {
            "sort": {
                "type": "prompt",
                "prompt": "x",
                "next_options": [
                    {"state": "bill", "description": "it is about money"},
                    {"state": "end", "description": "it is not"},
                ],
            },
            "bill": {"type": "prompt", "prompt": "x", "on_error": "sort"},
        },
    }
    drawing = of_workflow(as_workflow(document), [("sort", "bill", "end"), ("sort", "end")])
    text = picture(drawing)
    assert '<title id="title">Mail &lt;desk&gt;: 4 states, 5 ways, those taken coloured' in text
    shown = [element.text for element in ET.fromstring(text).iter() if element.tag.endswith("text")]
    assert "prompt · 2×" in shown  # noqa: RUF001  # times
    assert "it is about money 1×" in shown  # noqa: RUF001  # as above
    assert text.count("stroke-dasharray") == 4  # broken lines, in the light and in the dark
    assert text.count('class="way error"') == 1
