"""What a person may grant, and how it is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policies import workflow

from finetune_fsm.codec import plain, restore
from finetune_fsm.errors import UsageError
from finetune_fsm.improve.grants import KINDS, NEVER, NOTHING, Grants, check_grants, parse_grants

VALUES = st.text(st.characters(categories=("L", "N"), include_characters="./:-"), min_size=1)
TEXTS = st.just("structure") | st.builds(
    "{}:{}".format, st.sampled_from(["model", "file", "workflow", "tools"]), VALUES
)


@given(st.lists(TEXTS))
def test_what_is_granted_reads_back_from_the_command_line_and_from_the_journal(
    texts: list[str],
) -> None:
    grants = parse_grants(texts)
    assert parse_grants(str(grants).split()[1::2]) == grants
    assert restore(Grants, plain(grants)) == grants
    assert parse_grants(texts[::-1] + texts) == grants


def test_each_kind_goes_to_its_own_place() -> None:
    assert parse_grants([]) == NOTHING == Grants()
    texts = ["model:b:1", "structure", "file:x y.txt", "workflow:c.yaml", "tools:disk", "model:a"]
    assert parse_grants(texts) == Grants(
        True, models=("a", "b:1"), files=("x y.txt",), workflows=("c.yaml",), tools=("disk",)
    )
    assert str(parse_grants(texts)) == (
        "--allow structure --allow model:a --allow model:b:1 --allow file:x y.txt "
        "--allow workflow:c.yaml --allow tools:disk"
    )
    assert str(NOTHING) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("everything", "there is structure, "),
        ("modle:x", "did you mean 'model'?"),
        ("Structure", "did you mean 'structure'?"),
        ("", "there is structure"),
        ("structure:", "takes no value"),
        ("structure:x", "takes no value"),
        ("model", "it needs a value, as in model:NAME"),
        ("model:", "it needs a value, as in model:NAME"),
        ("file: ", "it needs a value, as in file:PATH"),
        ("tools:", "it needs a value, as in tools:SERVER"),
        ("model:gemma 3", "one word"),
        ("file:{{x}}.txt", "write the path out"),
        ("workflow:{{x}}", "write the path out"),
        *((name, "put it into the workflow yourself") for name in NEVER),
        *((f"{name}:x", "put it into the workflow yourself") for name in NEVER),
    ],
)
def test_what_cannot_be_granted_is_told(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_grants(["structure", text])
    message = str(caught.value)
    assert message.startswith(f"--allow {text.strip()}: ")
    assert said in message
    assert not message.endswith((" — ", "— "))


def test_all_that_can_be_granted_is_listed() -> None:
    with pytest.raises(UsageError) as caught:
        parse_grants(["none"])
    listed = "structure, model:NAME, file:PATH, workflow:PATH, tools:SERVER"
    assert str(caught.value) == f"--allow none: there is {listed}"


def test_a_message_shows_no_control_characters() -> None:
    with pytest.raises(UsageError) as caught:
        parse_grants(["\x1b[2J"])
    assert "\x1b" not in str(caught.value)


def test_only_the_first_colon_parts_kind_and_value() -> None:
    assert parse_grants(["model:llama3:70b"]).models == ("llama3:70b",)


def test_what_can_never_be_granted_is_no_kind() -> None:
    assert not {kind.partition(":")[0] for kind in KINDS} & set(NEVER)
    assert {"mcp_servers", "command", "args", "env", "package", "rag", "url"} == set(NEVER)


TOOLS = """\
name: W
start_state: a
mcp_servers: {disk: {command: ls}, net: {command: fetch}}
states:
  a: {type: prompt, prompt: Hi, next: end}
"""


def test_tools_are_granted_of_servers_that_the_workflow_defines() -> None:
    original = workflow(TOOLS)
    check_grants(parse_grants(["tools:disk", "model:x", "file:nowhere"]), original)
    with pytest.raises(
        UsageError, match=r"tools:dsik: .*no such tool server — did you mean 'disk'"
    ):
        check_grants(parse_grants(["tools:dsik"]), original)
    with pytest.raises(UsageError, match=r"there is 'disk', 'net'"):
        check_grants(parse_grants(["tools:xyz", "tools:net"]), original)
    bare = workflow(
        TOOLS.replace("mcp_servers: {disk: {command: ls}, net: {command: fetch}}\n", "")
    )
    with pytest.raises(UsageError, match="define it there yourself"):
        check_grants(parse_grants(["tools:disk"]), bare)
