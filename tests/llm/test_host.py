from __future__ import annotations

import time

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.errors import UsageError
from finetune_fsm.llm.host import answers, normalise_host


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://localhost:11434"),
        ("  localhost ", "http://localhost:11434"),
        ("Example.com", "http://example.com:11434"),
        ("example.com:56789", "http://example.com:56789"),
        (":56789", "http://localhost:56789"),
        ("56789", "http://localhost:56789"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("0.0.0.0", "http://localhost:11434"),
        ("0.0.0.0:9", "http://localhost:9"),
        ("http://0.0.0.0:9", "http://localhost:9"),
        ("[::]:9", "http://localhost:9"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:9", "http://[::1]:9"),
        ("http://example.com", "http://example.com:80"),
        ("HTTPS://example.com/", "https://example.com:443"),
        ("https://example.com:8443/ollama/", "https://example.com:8443/ollama"),
        ("example.com/ollama", "http://example.com:11434/ollama"),
        ("http://ann:pw@host:1", "http://ann:pw@host:1"),
        ("my_box", "http://my_box:11434"),
    ],
)
def test_an_address_means_what_ollamas_own_tools_take_it_for(text: str, url: str) -> None:
    assert normalise_host(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "http://",
        "https:///x",
        "http://:80",
        "ftp://x",
        "file:///etc/passwd",
        "http://h:99999",
        "h:99999",
        "99999",
        "h:0",
        "h:-1",
        "h:port",
        "http://[::1",
        "a..b",
        "a b",
        "a" * 64 + ".com",
        "h?x=1",
        "h#x",
        "host\x1b[31m",
        "/path/only",
        "://x",
    ],
)
def test_what_is_no_address_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match="an address looks like 'http://host:11434'") as caught:
        normalise_host(text)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("text", ["ftp://ann:secret@x", "ann:secret@h:99999", "ann:secret@a b"])
def test_a_refused_address_does_not_tell_its_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalise_host(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=30) | st.from_regex(r"\A(https?://)?[a-z0-9.\[\]:@/-]{0,20}\Z"))
def test_any_text_is_a_full_url_that_stays_itself_or_is_refused(text: str) -> None:
    try:
        url = normalise_host(text)
    except UsageError:
        return
    assert url.startswith(("http://", "https://"))
    assert normalise_host(url) == url


def test_a_server_that_runs_answers() -> None:
    with wire.ollama() as server:
        assert answers(server.url, timeout=3)


@pytest.mark.parametrize(
    "acts",
    [
        wire.page(404, "not found"),
        wire.page(200, "<html>hello"),
        wire.page(200, "[1]"),
        [b"SSH-2.0-OpenSSH_9.6\r\n"],
        [],
        [wire.RESET],
        [30.0],
        [b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n", 0.05] * 400],
    ],
    ids=["404", "html", "list", "ssh", "nothing", "reset", "silence", "drip"],
)
def test_what_is_no_ollama_does_not_answer_and_takes_no_longer_than_allowed(
    acts: list[wire.Act],
) -> None:
    with wire.ollama(version=wire.in_turn(acts)) as server:
        started = time.monotonic()
        assert not answers(server.url, timeout=0.3)
        assert time.monotonic() - started < 0.8


def test_nobody_at_the_port_does_not_answer() -> None:
    with wire.ollama() as server:
        url = server.url
    assert not answers(url)
