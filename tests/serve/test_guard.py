"""Who may ask: this machine, this browser, this page, and nobody else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_fsm.serve.guard import HEADERS, Guard

GUARD = Guard(8123, "t0ken-of-this-server")
OURS = ("127.0.0.1:8123", "localhost:8123")

HOSTS = (
    "", "127.0.0.1", "localhost", "127.0.0.1:8124", "evil.example", "evil.example:8123",
    "127.0.0.1:8123.evil.example", "127.0.0.1:8123, evil.example", "localhost:8123 ",
    "LOCALHOST:8123x", "0.0.0.0:8123", "[::1]:8123", "127.1:8123", "user@127.0.0.1:8123",
)  # fmt: skip

others = st.one_of(st.sampled_from(HOSTS), st.text(max_size=30)).filter(lambda h: h not in OURS)


@given(others, st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]))
def test_a_request_to_any_other_name_is_refused(host: str, method: str) -> None:
    refusal = GUARD.foreign(method, {"host": host, "origin": f"http://{host}"})
    assert refusal is not None
    assert refusal.status == 421


@given(st.sampled_from(OURS), st.one_of(others.map(lambda o: f"http://{o}"), st.just("null")))
def test_a_change_asked_for_by_another_page_is_refused(host: str, origin: str) -> None:
    refusal = GUARD.foreign("POST", {"host": host, "origin": origin})
    assert refusal is not None
    assert refusal.status == 403


def test_a_change_without_an_origin_is_refused() -> None:
    assert GUARD.foreign("POST", {"host": OURS[0]}) is not None
    assert GUARD.foreign("POST", {"host": OURS[0], "origin": "http://localhost:8123"}) is not None
    assert GUARD.foreign("POST", {"host": OURS[0], "origin": "https://127.0.0.1:8123"}) is not None


@given(st.text(max_size=10))
def test_only_reading_and_sending_forms_is_known(method: str) -> None:
    refusal = GUARD.foreign(method, {"host": OURS[0], "origin": f"http://{OURS[0]}"})
    assert (refusal is None) == (method in ("GET", "HEAD", "POST"))


@given(st.text(max_size=200).filter(lambda text: GUARD.token not in text))
def test_who_does_not_have_the_token_is_a_stranger(cookie: str) -> None:
    assert GUARD.stranger({"cookie": cookie})
    assert GUARD.stranger({"cookie": f"agentmech_8123={cookie}"})
    assert not GUARD.knows(cookie)


def test_who_has_the_token_is_none() -> None:
    cookie = GUARD.cookie.partition(";")[0]
    assert not GUARD.stranger({"cookie": f"other=1; {cookie}"})
    assert GUARD.stranger({"cookie": cookie.replace("8123", "8124")})
    assert GUARD.stranger({})


def test_the_token_leaves_in_no_request_and_no_script_reads_it() -> None:
    guard = Guard.new(1)
    assert guard.url == f"http://127.0.0.1:1/#{guard.token}"
    assert len(guard.token) >= 40
    assert guard.token != Guard.new(1).token
    assert {"HttpOnly", "SameSite=Strict"} <= set(guard.cookie.split("; "))


def test_no_answer_invites_other_pages_and_no_script_stands_in_a_page() -> None:
    assert not [name for name in HEADERS if name.startswith("access-control")]
    policy = HEADERS["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
