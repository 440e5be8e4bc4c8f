"""``agentmech graph``: pictures of workflows, of runs and of the loop."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from commandline import GREETER, Agentmech

FINETUNE = ("finetune", "greeter.yaml", "--llm", "script:good.yaml", "--no-cache", "-q")


def words_of(svg: str) -> set[str]:
    return {e.text or "" for e in ET.fromstring(svg).iter() if e.tag.endswith("text")}


def test_a_workflow_is_drawn_where_the_ending_says_how(agentmech: Agentmech, greeter: Path) -> None:
    done = agentmech("graph", "greeter.yaml", "-o", "g.svg")
    assert (done.code, done.out) == (0, "")
    assert "graph: g.svg" in done.err
    assert {"ask", "greet", "input", "prompt", "end"} <= words_of(
        greeter.with_name("g.svg").read_text()
    )
    assert agentmech("graph", "greeter.yaml", "-o", "g.mmd").code == 0
    assert greeter.with_name("g.mmd").read_text() == agentmech("graph", "greeter.yaml").out


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_picture_on_standard_output_is_the_file(
    encoding: str, agentmech: Agentmech, greeter: Path
) -> None:
    greeter.write_text(GREETER.replace("greet\n", "grüße\n").replace("greet:", "grüße:"))
    done = agentmech("graph", "greeter.yaml", "-f", "svg", encoding=encoding)
    assert "grüße" in words_of(done.out)
    agentmech("graph", "greeter.yaml", "-o", "g.svg")
    drawn = ET.canonicalize(greeter.with_name("g.svg").read_text())
    assert ET.canonicalize(done.out) == drawn
    document = agentmech("graph", "greeter.yaml", "-f", "svg", "--json").document
    assert ET.canonicalize(document["svg"]) == drawn


def test_a_run_s_picture_counts_what_its_scenarios_visited(
    agentmech: Agentmech, greeter: Path
) -> None:
    assert agentmech(*FINETUNE).code == 0
    done = agentmech("graph", "greeter.agentmech", "-f", "svg")
    assert {"input · 2×", "prompt · 2×"} <= words_of(done.out)  # noqa: RUF001  # times
    (run,) = (path.name for path in greeter.with_name("greeter.agentmech").glob("2*"))
    assert agentmech("graph", run, "-f", "svg").out == done.out
    assert "class s0,s1,stop visited" in agentmech("graph", run).out
    loop = agentmech("graph", "--loop", run, "-f", "svg").out
    assert {"PREPARING", "DONE", "prepared 1×"} <= words_of(loop)  # noqa: RUF001  # times
    assert "prepared" in words_of(agentmech("graph", "--loop", "-f", "svg").out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("greeter.yaml", "-o", "g.png"), "ends in none of .svg, .mmd, .mermaid"),
        (("greeter.yaml", "-f", "svg", "-o", "greeter.yaml"), "is the workflow itself"),
        (("--loop", "greeter.agentmech"), "say -f svg"),
        (("nobody",), "there is no run called 'nobody'"),
        (("nobody.yaml",), "nobody.yaml"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    arguments: tuple[str, ...], message: str, agentmech: Agentmech, greeter: Path
) -> None:
    before = greeter.read_text()
    done = agentmech("graph", *arguments)
    assert done.code == 2
    assert message in done.err
    assert greeter.read_text() == before
