"""What a person should see before it runs: all but the texts of prompts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.improve.risk import is_risky
from finetune_fsm.workflow.edits import Edit, EditOp

NAMES = st.sampled_from(["sort", "prompt", "steps", "next"])

TEXTS = st.one_of(
    st.builds(lambda name: ("states", name, "prompt"), NAMES),
    st.builds(lambda name, n: ("states", name, "steps", n, "prompt"), NAMES, st.integers(0, 3)),
)
OTHERS = st.one_of(
    st.builds(
        lambda name, field: ("states", name, field),
        NAMES,
        st.sampled_from(["next", "next_options", "options", "save_as", "model", "steps", "type"]),
    ),
    st.builds(lambda name: ("states", name), NAMES),
    st.builds(lambda name: ("variables", name, "prompt"), NAMES),
    st.builds(lambda name: ("states", name, "options", "prompt"), NAMES),
    st.just(("start_state",)),
)


def put(paths: st.SearchStrategy[tuple[str | int, ...]]) -> st.SearchStrategy[list[Edit]]:
    return st.lists(st.builds(lambda path: Edit(EditOp.SET, path, "text"), paths), max_size=4)


@given(put(TEXTS))
def test_texts_of_prompts_alone_are_no_risk(edits: list[Edit]) -> None:
    assert not is_risky(edits)


@given(put(TEXTS), OTHERS, st.sampled_from(EditOp), put(TEXTS))
def test_one_other_change_among_them_is(
    before: list[Edit], path: tuple[str | int, ...], op: EditOp, after: list[Edit]
) -> None:
    assert is_risky([*before, Edit(op, path, "text"), *after])


def test_a_prompt_that_goes_is_a_risk_and_one_that_moves_into_the_workflow_is_none() -> None:
    gone = Edit(EditOp.REMOVE, ("states", "sort", "prompt"))
    file_gone = Edit(EditOp.REMOVE, ("states", "sort", "prompt_file"))
    text = Edit(EditOp.SET, ("states", "sort", "prompt"), "Sort it.")
    assert is_risky([gone])
    assert is_risky([file_gone])
    assert not is_risky([file_gone, text])
    assert is_risky([file_gone, Edit(EditOp.SET, ("states", "other", "prompt"), "Sort it.")])
    assert is_risky([Edit(EditOp.SET, ("states", "sort", "prompt"), {"a": 1})])
