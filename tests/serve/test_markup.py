"""HTML: whatever a text holds, it is text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from serving import Page

from finetune_fsm.serve.markup import Markup, address, element, joined
from finetune_fsm.sinks import clean

MARKUP = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>',
    "' onmouseover='x", "</pre><h1>", "&lt;", "&#60;b&#62;", "<!--", "]]>", "\x00<b>", "{{name}}",
)  # fmt: skip

texts = st.one_of(st.sampled_from(MARKUP), st.text(max_size=60))


def shown(text: str) -> str:
    return clean(text)


@given(st.lists(texts, max_size=5))
def test_a_text_among_children_is_never_an_element(children: list[str]) -> None:
    page = Page.of(element("p", *children))
    assert page.elements == [("p", {})]
    assert "".join(page.texts) == "".join(shown(child) for child in children)


@given(texts, texts)
def test_a_text_in_an_attribute_stays_in_it(value: str, other: str) -> None:
    page = Page.of(element("input", value=value, title=other))
    assert page.elements == [("input", {"value": shown(value), "title": shown(other)})]
    assert not page.texts


@given(texts)
def test_markup_goes_in_as_it_is_and_text_does_not(text: str) -> None:
    inner = element("b", text)
    assert joined([inner, None, [text]]) == Markup(f"{inner}{joined(text)}")


@given(st.text(min_size=1, max_size=40))
def test_an_address_stays_on_this_server_and_is_ascii(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    found = address("workflow", text, of=text)
    assert found.startswith("/workflow/")
    assert found.isascii()
    assert not set(found) & set("<>\"' \n")


def test_attributes_that_are_not_wanted_are_left_out() -> None:
    made = element("input", hidden=False, required=True, data_name="x", class_=None)
    assert made == '<input required data-name="x">'
