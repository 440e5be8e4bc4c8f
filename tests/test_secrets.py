"""What counts as a secret, and that no way out shows one, however a text is cut or joined."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.sinks import MASK, Secrets, clean, html, masked, one_line, visible, xml
from finetune_fsm.sinks.secrets import SHORTEST, names_a_secret

KEY = "sk-live-0123456789abcdef"
SECRETS = Secrets.of({"MY_API_KEY": KEY, "DB_PASSWORD": "pa ss\"wörd'\\\t1", "USER": "somebody"})

values = st.text("abcXYZ019-_/+= \"'\\é\n", min_size=SHORTEST, max_size=20)
"""Few letters, so that values overlap and contain each other."""

environments = st.lists(values, max_size=4).map(
    lambda found: {f"KEY_{number}": value for number, value in enumerate(found)}
)
noise = st.text(st.characters(codec=None, exclude_categories=(), exclude_characters="*"))


@st.composite
def texts_with(draw: st.DrawFn) -> tuple[Secrets, str]:
    """Secrets and a text that holds some of them, anywhere, also inside each other."""
    environment = draw(environments)
    parts = noise | st.sampled_from(sorted(environment.values()) or ["none"])
    text = "".join(draw(st.lists(parts, max_size=6)))
    return Secrets.of(environment), text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("OPENAI_API_KEY", True),
        ("openai_api_key", True),
        ("GITHUB_TOKEN", True),
        ("TOKENS", True),
        ("CLIENT_SECRET", True),
        ("DB_PASSWORD", True),
        ("PGPASSWORD", True),
        ("MYSQL_ROOT_PASSWD", True),
        ("AWS_CREDENTIALS", True),
        ("APIKEY", True),
        ("myApiKey", True),
        ("MyHTTPKey2", True),
        ("KEY", True),
        ("KEYBOARD", False),
        ("KEYBOARD_LAYOUT", False),
        ("XKBKEYMAP", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("SECRETARY", False),
        ("MONKEY_BUSINESS", False),
        ("TOKEN_FILE", False),
        ("SSH_KEY_PATH", False),
        ("PATH", False),
        ("", False),
        ("_", False),
    ],
)
def test_a_name_says_whether_its_value_is_secret(name: str, secret: bool) -> None:
    assert names_a_secret(name) is secret
    assert (Secrets.of({name: KEY}).mask(KEY) == MASK) is secret


@pytest.mark.parametrize(
    "value", ["", "true", "hunter2", "password", "CHANGEME", " required ", "*********", "1234567"]
)
def test_short_and_ordinary_values_are_no_secrets(value: str) -> None:
    secrets = Secrets.of({"API_KEY": value})
    assert secrets.mask(f"the password is required: {value}") == (
        f"the password is required: {value}"
    )


def without_stars(text: str) -> str:
    return text.replace(MASK, "\0")


@given(texts_with())
@example((Secrets.of({"A_KEY": "abcXYZ01", "B_KEY": "XYZ01901"}), "abcXYZ01901"))
@example((Secrets.of({"A_KEY": "abcXYZ01", "B_KEY": "abcXYZ0199"}), "abcXYZ0199"))
@example((Secrets.of({"A_KEY": "aaaaaaaa"}), "a" * 20))
def test_no_secret_is_left_nor_any_part_where_two_overlap(found: tuple[Secrets, str]) -> None:
    secrets, text = found
    hidden = without_stars(secrets.mask(text))
    for value in secrets.values:
        assert value not in hidden
    covered = bytearray(len(text))
    for value in secrets.values:
        for start in range(len(text)):
            if text.startswith(value, start):
                covered[start : start + len(value)] = b"\1" * len(value)
    kept = "".join(c for c, gone in zip(text, covered, strict=True) if not gone)
    if not any(word in text.lower() for word in (":/", "key", "token", "auth", "bearer")):
        assert hidden.replace("\0", "") == kept.replace("\0", "")


@given(texts_with(), st.integers(0, 40))
def test_a_cut_never_shows_the_beginning_of_a_secret(
    found: tuple[Secrets, str], limit: int
) -> None:
    secrets, text = found
    shown, left = secrets.head(text, limit)
    assert secrets.mask(text).startswith(shown)
    assert 0 <= left <= max(0, len(text) - limit)
    assert left == 0 or len(text) > limit


@given(texts_with(), st.data())
def test_pieces_of_a_text_show_what_the_whole_text_shows(
    found: tuple[Secrets, str], data: st.DataObject
) -> None:
    secrets, text = found
    assert in_pieces(secrets, text, data.draw(cuts(text))) == secrets.mask(text)


def cuts(text: str) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(text)), max_size=8).map(sorted)


def in_pieces(secrets: Secrets, text: str, places: list[int]) -> str:
    shown, held = "", ""
    for start, end in zip([0, *places], [*places, len(text)], strict=True):
        ready, held = secrets.split(held + text[start:end])
        shown += ready
    return shown + secrets.mask(held)


CREDENTIALS = (
    ("http://user:HIDE@host/path", "http://***@host/path"),
    ("http:/user:HIDE@host", "http:/***@host"),
    ("https://HIDE@github.com/a/b.git", "https://***@github.com/a/b.git"),
    ("postgres://u:HI@DE@db:5432/x?a=b@c", "postgres://***@db:5432/x?a=b@c"),
    ("Authorization: Bearer HIDEHIDE", "Authorization: ***"),
    ("authorization:HIDE", "authorization:***"),
    ("Proxy-Authorization: Basic SElERQ== and more", "Proxy-Authorization: *** and more"),
    ("{'Authorization': 'Bearer HIDEHIDE', 'a': 'b'}", "{'Authorization': '***', 'a': 'b'}"),
    ('{"Authorization":"HIDE","a":"b"}', '{"Authorization":"***","a":"b"}'),
    ('Authorization: Digest username="HIDE", response="HIDE"', "Authorization: ***"),
    ("Authorization: Bearer HIDEHIDE, a=HIDE", "Authorization: ***"),
    ("(b'Authorization', b'Bearer HIDEHIDE')", "(b'Authorization', b'Bearer ***')"),
    ("token is bearer HIDE-HIDE.", "token is bearer ***"),
    ("X-Api-Key: HIDE", "X-Api-Key: ***"),
    ("/v1?key=HIDE&model=m", "/v1?key=***&model=m"),
    ("/v1?model=m&api_key=HIDE#x", "/v1?model=m&api_key=***#x"),
    ("/v1?token=HIDE", "/v1?token=***"),
)


@pytest.mark.parametrize(("text", "shown"), CREDENTIALS)
def test_what_looks_like_a_credential_is_hidden_whoever_s_it_is(text: str, shown: str) -> None:
    assert Secrets().mask(text) == shown
    assert Secrets().mask(shown) == shown
    for sink in (clean, one_line, xml):
        assert sink(text, secrets=Secrets()) == shown
    assert "HIDE" not in html(text, secrets=Secrets())


@given(st.sampled_from(CREDENTIALS), st.data())
def test_a_credential_that_comes_in_pieces_is_hidden(
    credential: tuple[str, str], data: st.DataObject
) -> None:
    text, shown = credential
    before, after = data.draw(st.sampled_from(["", "see ", "中文"])), "; and so on"
    whole = before + text + after
    places = data.draw(cuts(whole))
    assert in_pieces(Secrets(), whole, places) == before + shown + after


@pytest.mark.parametrize(
    "text",
    [
        "the bearer of this note",
        "http://localhost:11434/api/chat",
        "see http://host/a?b=c and mail a@b.c",
        "ssh git@github.com:a/b.git",
        "a key=value pair, token=3",
        "the author: authorised, authorization denied",
        '{"url":"http://host:80","mail":"x@y.z"}',
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert Secrets().mask(text) == text


@given(st.text())
def test_masking_twice_changes_nothing(text: str) -> None:
    once = SECRETS.mask(text)
    assert SECRETS.mask(once) == once


def test_a_secret_is_hidden_in_every_spelling() -> None:
    value = "pa ss\"wörd'\\\t1"
    for shown in (
        value,
        json.dumps(value),
        json.dumps(value, ensure_ascii=False),
        repr(value),
        "pa%20ss%22w%C3%B6rd%27%5C%091",
    ):
        assert "rd" not in SECRETS.mask(shown)


def test_the_lines_of_a_secret_are_secret() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nAB12\n-----END KEY-----\n"
    secrets = Secrets.of({"SSH_PRIVATE_KEY": key})
    assert secrets.mask("found MIIEvQIBADANBg there") == "found *** there"
    assert secrets.mask(f"x{key}".replace("\n", "\r\n")) == "x***\r\n"


@given(st.text("ab \n\t\r", max_size=10), st.text("ab \n\t\r", max_size=10))
def test_folding_white_space_joins_no_secret(before: str, after: str) -> None:
    secrets = Secrets.of({"A_SECRET": "open sesame now"})
    line = one_line(f"{before}open\n sesame \r\nnow{after}", secrets=secrets, limit=100)
    assert "open sesame now" not in line


def test_a_secret_is_hidden_before_its_control_characters_are_made_visible() -> None:
    secrets = Secrets.of({"A_SECRET": "open\x1b\u200bsesame"})
    assert clean("say open\x1b\u200bsesame\x1b!", secrets=secrets) == "say ***\\x1b!"


def test_a_secret_longer_than_any_credential_is_hidden_at_a_cut() -> None:
    long = "z" + "y0" * 1000
    secrets = Secrets.of({"A_SECRET": "a-short-one", "LONG_KEY": long})
    assert clean(f"say {long} aloud", limit=10, secrets=secrets) == "say ***… 6 more characters"


def test_keys_that_look_alike_when_hidden_are_still_several() -> None:
    data = {"***": 1, KEY: 2, "*** (2)": 3}
    assert masked(data, secrets=SECRETS) == {"***": 1, "*** (2)": 2, "*** (2) (2)": 3}


def test_secrets_do_not_show_themselves() -> None:
    assert KEY not in repr(SECRETS)
    assert KEY not in str(SECRETS)


@given(st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none()))
def test_data_keeps_its_shape_and_loses_its_secrets(data: dict[str, object]) -> None:
    nested = {"list": [KEY, {"deep": (f"a{KEY}b", 1, None, True, 0.5)}], KEY: "name", **data}
    hidden = masked(nested, secrets=SECRETS)
    assert KEY not in json.dumps(hidden)
    assert isinstance(hidden, dict)
    assert hidden["list"] == ["***", {"deep": ["a***b", 1, None, True, 0.5]}]
    assert len(hidden) == len(nested)


def test_what_models_are_told_is_exact() -> None:
    assert visible(f"use {KEY}") == f"use {KEY}"


@pytest.mark.parametrize("unit", ["The quick brown fox. ", "Größe 日本語 — “quotes”. "])
def test_cleaning_a_megabyte_is_cheap(unit: str) -> None:
    secrets = Secrets.of({f"KEY_{n}": f"{n:02}-abcdefghijklmnopqrstuvwxyz" for n in range(20)})
    text = (unit * 60_000)[:1_000_000]
    taken: list[float] = []
    for _ in range(5):
        started = time.process_time()
        clean(text, limit=len(text), secrets=secrets)
        taken.append(time.process_time() - started)
    assert min(taken) < 0.05  # 0.013 s on the machine where it was written


@pytest.mark.parametrize(
    "unit",
    ["://a", "://a:", "?key=", "bearer ", "authorization: a ", "authorization: a=b,", "a=b, ", "a"],
)
def test_no_text_makes_hiding_slow(unit: str) -> None:
    text = (unit * 1_000_000)[:300_000]
    started = time.process_time()
    SECRETS.mask(text)
    SECRETS.split(text)
    assert time.process_time() - started < 1.0
