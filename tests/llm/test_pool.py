"""Several servers as one: nothing is lost while one of them lives, and nothing is asked in vain."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import wire
from hypothesis import example, given, settings
from hypothesis import strategies as st
from llm import conformance
from llm.conformance import Factory, Model, ask
from wire import Act, chat, refusal

from finetune_fsm.errors import (
    BudgetSpent,
    Cancelled,
    LLMError,
    LLMErrorKind,
    UsageError,
)
from finetune_fsm.llm.base import LLM, Completion, OnText, Request, Stop
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.meter import Budget, Meter, Metered
from finetune_fsm.llm.ollama import OllamaLLM
from finetune_fsm.llm.pool import Pool
from finetune_fsm.llm.roster import FIRST_PAUSE, LONGEST_PAUSE, Roster, Seat
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.llm.select import choose
from finetune_fsm.llm.several import BROKEN, joint

Kind = LLMErrorKind

SILENT = (Kind.UNREACHABLE, Kind.TIMEOUT_IDLE)
"""Kinds of a server that answers nothing, its list of models neither."""


GONE = LLMError(Kind.UNREACHABLE, "gone")


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Box(ScriptedLLM):
    """A server that can break; it replies with its own name."""

    def __init__(self, name: str, *, slots: int = 1, digest: str = "", sends: int = 1) -> None:
        super().__init__(lambda _: self._replied(), slots=slots)
        self._name = name
        self._digest = digest
        self._sends = sends
        self.error: LLMErrorKind | None = None
        self.looks = 0
        self.closed = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def sent(self) -> int:
        return len(self.requests)

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        for _ in range(self._sends - 1):  # as a provider does that has to put it otherwise
            self.requests.append(request)
            assert stop is not None
            stop.again()
        return super().complete(request, on_text=on_text, stop=stop)

    def models(self) -> tuple[str, ...]:
        self.looks += 1
        self._fail_if(SILENT)
        return ("tiny",)

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        del model, stop
        self._fail_if(SILENT)
        return self._digest

    def close(self) -> None:
        self.closed += 1
        self._fail_if(SILENT)

    def _replied(self) -> str:
        self._fail_if(tuple(Kind))
        return self.name

    def _fail_if(self, kinds: Sequence[LLMErrorKind]) -> None:
        if self.error in kinds:
            raise LLMError(self.error, f"it said {self.error}")


def pool_of(*members: LLM, clock: Clock | None = None) -> Pool:
    clock = clock or Clock()
    return Pool(members, clock=clock, sleep=clock.sleep)


broken = st.sampled_from(sorted(BROKEN))
"""What says that a server is broken."""


# What must hold whatever breaks and whatever comes back.

breaks = st.tuples(st.integers(0, 3), st.none() | broken)
pauses = st.sampled_from([0.0, 0.5, 1.0, 3.0, 70.0])
steps = st.lists(breaks | pauses | st.just("ask"), max_size=40)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), steps)
@example([1, 1], [(0, Kind.SERVER), "ask", (1, Kind.UNREACHABLE), (0, None), "ask"])
@example([1, 1], [(0, Kind.UNREACHABLE), "ask", "ask", 1.0, (0, None), "ask", "ask"])
def test_no_request_is_lost_while_one_server_lives_and_none_has_it_twice(
    slots: list[int], plan: list[object]
) -> None:
    clock, meter = Clock(), Meter()
    boxes = [Box(f"server {index}", slots=count) for index, count in enumerate(slots)]
    llm = Metered(pool_of(*boxes, clock=clock), meter)
    for step in plan:
        if isinstance(step, tuple):
            boxes[step[0] % len(boxes)].error = step[1]
        elif isinstance(step, float):
            clock.sleep(step)
        else:
            living = {box.name for box in boxes if box.error is None}
            before, then = [box.sent for box in boxes], clock.now
            try:
                answer = llm.complete(ask("hi"))
            except LLMError:
                assert not living
                meter.lap()
                continue
            assert answer.text in living
            assert clock.now == then  # nobody waits for the dead
            sent = [box.sent - count for box, count in zip(boxes, before, strict=True)]
            assert max(sent) == 1
            assert sum(sent) == meter.lap().requests


@given(
    st.lists(st.lists(st.none() | broken, max_size=12), min_size=1, max_size=3),
    st.integers(1, 9),
    st.integers(1, 2),
)
def test_a_budget_is_never_exceeded_and_what_is_counted_was_sent(
    scripts: list[list[LLMErrorKind | None]], calls: int, sends: int
) -> None:
    class Fickle(Box):
        def __init__(self, name: str, script: list[LLMErrorKind | None]) -> None:
            super().__init__(name, sends=sends)
            self.script = list(script)

        def _replied(self) -> str:
            self.error = self.script.pop(0) if self.script else None
            try:
                return super()._replied()
            finally:
                self.error = None

    boxes = [Fickle(f"server {index}", script) for index, script in enumerate(scripts)]
    meter = Meter(Budget(calls=calls))
    llm = Metered(pool_of(*boxes), meter)
    for _ in range(12):
        try:
            llm.complete(ask("hi"))
        except LLMError:
            continue
        except BudgetSpent:
            break
    sent = sum(box.sent for box in boxes)
    assert sent <= calls
    # Room made for one more is not used where the wait before it was broken off.
    assert sent <= meter.lap().requests <= calls


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.lists(st.none() | st.integers(0, 30), max_size=60),
)
@example([1, 3], [None] * 4)
def test_no_server_has_more_than_its_share_while_another_is_less_busy(
    slots: list[int], plan: list[int | None]
) -> None:
    roster = Roster([Box(str(index), slots=count) for index, count in enumerate(slots)])
    held: list[Seat] = []
    for step in plan:
        if step is not None:
            if held:
                roster.leave(held.pop(step % len(held)))
            continue
        least = min(server.load for server in roster.servers)
        seat = roster.take("tiny")
        assert seat is not None
        held.append(seat)
        server = seat.server
        assert (server.under_way - 1) / server.llm.slots == least
        if len(held) <= sum(slots):
            assert server.under_way <= server.llm.slots
    assert sum(server.under_way for server in roster.servers) == len(held)


@given(st.integers(1, 6), st.integers(1, 5))
def test_servers_that_are_idle_take_turns(count: int, rounds: int) -> None:
    boxes = [Box(str(index)) for index in range(count)]
    pool = pool_of(*boxes)
    for _ in range(rounds * count):
        pool.complete(ask("hi"))
    assert [box.sent for box in boxes] == [rounds] * count


@given(broken.filter(lambda kind: kind in SILENT), st.integers(2, 6))
def test_a_server_that_stays_dead_is_looked_at_after_pauses_that_double(
    kind: LLMErrorKind, doublings: int
) -> None:
    clock, dead, well = Clock(), Box("dead"), Box("well")
    dead.error = kind
    pool = pool_of(dead, well, clock=clock)
    looks = []
    while clock.now < FIRST_PAUSE * 2.0**doublings:
        before = dead.looks
        assert pool.complete(ask("hi")).text == "well"
        if dead.looks > before:
            looks.append(clock.now)
        clock.sleep(0.25)
    assert looks == [FIRST_PAUSE * (2.0**power - 1) for power in range(1, doublings + 1)]
    assert dead.sent == 0


def test_no_pause_is_longer_than_the_longest_and_a_server_may_ask_for_more() -> None:
    clock = Clock()
    roster = Roster([Box("a")], clock=clock)
    (server,) = roster.servers
    for _ in range(20):
        roster.broke(Seat(server, server.breaks), GONE)
    assert server.until == LONGEST_PAUSE
    roster.broke(Seat(server, server.breaks), LLMError(Kind.BUSY, "later", retry_after=200.0))
    assert server.until == 200.0


@given(broken, st.sampled_from([0.0, 2.0, 70.0]))
def test_a_server_that_comes_back_works_as_before(kind: LLMErrorKind, away: float) -> None:
    clock, boxes = Clock(), [Box("a"), Box("b")]
    pool = pool_of(*boxes, clock=clock)
    boxes[0].error = kind
    for _ in range(3):
        pool.complete(ask("hi"))
    clock.sleep(away)
    boxes[0].error = None
    clock.sleep(LONGEST_PAUSE)
    assert Counter(pool.complete(ask("hi")).text for _ in range(10)) == {"a": 5, "b": 5}


@given(st.integers(1, 30))
def test_requests_that_die_together_double_no_pause(count: int) -> None:
    clock = Clock()
    roster = Roster([Box("a", slots=30)], clock=clock)
    seats = [roster.take("tiny") for _ in range(count)]
    for seat in seats:
        assert seat is not None
        roster.broke(seat, GONE)
    assert roster.servers[0].until == FIRST_PAUSE
    assert [error for _, error in roster.news()] == [GONE]


def test_what_is_heard_of_requests_from_before_a_break_is_no_news() -> None:
    roster = Roster([Box("a", slots=2), Box("b")], clock=Clock())
    early, other = roster.take("tiny"), roster.take("tiny")
    assert early is not None
    assert other is not None
    roster.broke(early, GONE)
    assert not roster.answered(Seat(early.server, 0))
    assert early.server.pause == FIRST_PAUSE
    assert roster.answered(Seat(early.server, early.server.breaks))
    assert early.server.pause == 0.0


def test_a_server_whose_pause_is_over_is_tried_by_one_request_alone() -> None:
    clock = Clock()
    roster = Roster([Box("a", slots=9), Box("b")], clock=clock)
    first = roster.servers[0]
    roster.broke(Seat(first, first.breaks), GONE)
    clock.sleep(FIRST_PAUSE)
    seats = [roster.take("tiny") for _ in range(4)]
    assert [seat.server is first for seat in seats if seat] == [True, False, False, False]
    assert [seat.due for seat in seats if seat] == [True, False, False, False]


# Which errors move a request on.


QUESTIONS = [
    Kind.BAD_REQUEST,
    Kind.CONTEXT_OVERFLOW,
    Kind.CUT_BY_LIMIT,
    Kind.EMPTY,
    Kind.SCRIPT_EXHAUSTED,
]


def test_every_kind_of_error_is_of_the_server_or_the_model_or_the_question() -> None:
    assert sorted([*BROKEN, Kind.MISSING_MODEL, *QUESTIONS]) == sorted(Kind)


@pytest.mark.parametrize("kind", QUESTIONS)
def test_an_error_of_the_question_is_raised_at_once_and_leaves_nobody_out(
    kind: LLMErrorKind,
) -> None:
    boxes = [Box("a"), Box("b")]
    pool = pool_of(*boxes)
    boxes[0].error = kind
    with pytest.raises(LLMError) as caught:
        pool.complete(ask("hi"))
    assert caught.value.kind is kind
    assert boxes[1].sent == 0
    boxes[0].error = None
    assert [pool.complete(ask("hi")).text for _ in range(4)] == ["b", "a", "b", "a"]


def test_when_no_server_answers_the_error_names_each_and_what_it_said() -> None:
    boxes = [Box("A"), Box("B"), Box("C")]
    for box, kind in zip(boxes, (Kind.DENIED, Kind.BUSY, Kind.MISSING_MODEL), strict=True):
        box.error = kind
    with pytest.raises(LLMError) as caught:
        pool_of(*boxes).complete(ask("hi"))
    assert caught.value.kind is Kind.BUSY  # it may pass
    assert str(caught.value) == "A: it said denied; B: it said busy; C: it said missing_model"


def test_a_wait_before_all_are_asked_again_is_told_and_counted() -> None:
    class Busy(Box):
        def _replied(self) -> str:
            self.error = Kind.BUSY if self.sent < 2 else None
            return super()._replied()

    clock, told, meter = Clock(), [], Meter()
    boxes = [Busy("A"), Busy("B")]
    llm = Metered(pool_of(*boxes, clock=clock), meter, tell=told.append)
    assert llm.complete(ask("hi")).text in ("A", "B")
    assert clock.now >= 1.0
    assert meter.lap().requests == sum(box.sent for box in boxes) == 3
    assert told[0] == "A: it said busy; others are asked instead"
    assert told[1].startswith("A: it said busy; B: it said busy; try 2 of 3 in 1.")


@pytest.mark.parametrize("kind", sorted(BROKEN))
@pytest.mark.parametrize("asked_before", [False, True])
def test_that_a_server_is_dead_or_back_is_told_once(kind: LLMErrorKind, asked_before: bool) -> None:
    told: list[str] = []
    clock, boxes = Clock(), [Box("A"), Box("B")]
    pool = pool_of(*boxes, clock=clock)
    llm = Metered(pool, Meter(), tell=told.append)
    if asked_before:
        llm.complete(ask("hi"))
        llm.complete(ask("hi"))
    boxes[0].error = kind
    pool.fingerprint("tiny")  # which tells nobody
    llm.complete(ask("hi"))
    llm.complete(ask("hi"))
    assert len(told) == 1
    for _ in range(100):
        assert llm.complete(ask("hi")).text == "B"
        clock.sleep(1.0)
    assert told == [f"A: it said {kind}; others are asked instead"]
    boxes[0].error = None
    clock.sleep(LONGEST_PAUSE)
    assert {llm.complete(ask("hi")).text for _ in range(4)} == {"A", "B"}
    assert told[1:] == ["A answers again"]
    boxes[0].error = kind
    for _ in range(2):
        assert llm.complete(ask("hi")).text == "B"
    assert told[2:] == told[:1]


def test_of_servers_that_are_all_dead_the_wait_is_told_and_no_call_is_counted_twice() -> None:
    told: list[str] = []
    meter, boxes = Meter(), [Box("A"), Box("B")]
    for box in boxes:
        box.error = Kind.UNREACHABLE
    with pytest.raises(LLMError, match="A: it said unreachable; B: it said unreachable"):
        Metered(pool_of(*boxes), meter, tell=told.append).complete(ask("hi"))
    assert ["try 2 of 3" in told[0], "try 3 of 3" in told[1]] == [True, True]
    assert len(told) == 2
    assert [box.sent for box in boxes] == [0, 0]
    assert meter.lap().requests == 1


@pytest.mark.parametrize(
    ("kind", "count", "rounds"),
    [
        (Kind.SERVER, 1, 3),
        (Kind.SERVER, 2, 2),
        (Kind.SERVER, 5, 1),
        (Kind.TRUNCATED_STREAM, 5, 1),
        (Kind.TIMEOUT_FIRST_TOKEN, 5, 1),
        (Kind.DENIED, 2, 1),
        (Kind.BUSY, 5, 3),
    ],
)
def test_a_question_that_breaks_every_server_is_not_asked_of_all_again_and_again(
    kind: LLMErrorKind, count: int, rounds: int
) -> None:
    class Poisoned(Box):
        def _replied(self) -> str:
            raise LLMError(kind, "argh")

    boxes = [Poisoned(str(index)) for index in range(count)]
    with pytest.raises(LLMError, match="argh") as caught:
        pool_of(*boxes).complete(ask("hi"))
    assert caught.value.kind is kind
    assert [box.sent for box in boxes] == [rounds] * count


def test_a_busy_server_is_waited_for_though_many_others_lack_the_model() -> None:
    class Recovering(Box):
        def _replied(self) -> str:
            self.error = Kind.BUSY if self.sent < 2 else None
            return super()._replied()

    boxes = [Box(str(index)) for index in range(4)]
    for box in boxes:
        box.error = Kind.MISSING_MODEL
    assert pool_of(*boxes, Recovering("R")).complete(ask("hi")).text == "R"


def test_a_server_that_hides_its_list_of_models_is_there_all_the_same() -> None:
    class Hidden(Box):
        def models(self) -> tuple[str, ...]:
            raise LLMError(Kind.DENIED, "not for you")

    clock, hidden = Clock(), Hidden("hidden")
    pool = pool_of(hidden, Box("open"), clock=clock)
    hidden.error = Kind.SERVER
    pool.complete(ask("hi"))
    hidden.error = None
    clock.sleep(FIRST_PAUSE)
    assert pool.complete(ask("hi")).text == "hidden"


# Models that not all have, and weights that differ.


class Shelf(Box):
    """A server with some models, by name of the model their digests."""

    def __init__(self, name: str, weights: dict[str, str]) -> None:
        super().__init__(name)
        self.weights = weights

    def models(self) -> tuple[str, ...]:
        self._fail_if(SILENT)
        return tuple(sorted(self.weights))

    def fingerprint(self, model: str, *, stop: Stop | None = None) -> str:
        super().fingerprint(model, stop=stop)
        return self.weights.get(model, "")

    def complete(
        self, request: Request, *, on_text: OnText | None = None, stop: Stop | None = None
    ) -> Completion:
        if not self.error and request.model not in self.weights:
            self.requests.append(request)
            raise LLMError(Kind.MISSING_MODEL, f"{self.name} has no model '{request.model}'")
        return super().complete(request, on_text=on_text, stop=stop)


names = st.sampled_from(["tiny", "huge", "odd"])
shelves = st.lists(
    st.dictionaries(names, st.sampled_from(["", "aaaa", "aaaa", "aaaa", "bbbb"])),
    min_size=1,
    max_size=4,
)


@given(shelves, st.lists(names, min_size=1, max_size=8))
@example([{}, {"tiny": ""}], ["tiny"] * 4)
@example([{"tiny": "aaaa"}, {"tiny": "bbbb"}], ["tiny", "tiny"])
def test_a_request_goes_to_those_that_have_its_model_with_the_same_weights(
    stocks: list[dict[str, str]], asked: list[str]
) -> None:
    boxes = [Shelf(f"server {index}", stock) for index, stock in enumerate(stocks)]
    by_name = {box.name: box for box in boxes}
    pool = pool_of(*boxes)
    assert set(pool.models()) == {name for stock in stocks for name in stock}
    seen: dict[str, set[str]] = {}
    for model in asked:
        have = [box for box in boxes if model in box.weights]
        digests = {box.weights[model] for box in have} - {""}
        try:
            answer = pool.complete(Request(model, ask("hi").messages)).text
        except LLMError:
            assert not have
        except UsageError:
            assert len(digests) == 2
        else:
            seen.setdefault(model, set()).add(by_name[answer].weights[model])
    assert all(len(found - {""}) <= 1 for found in seen.values())


@given(shelves)
def test_the_fingerprint_is_what_all_agree_on(stocks: list[dict[str, str]]) -> None:
    pool = pool_of(*(Shelf(f"server {index}", stock) for index, stock in enumerate(stocks)))
    digests = {stock.get("tiny", "") for stock in stocks} - {""}
    if len(digests) < 2:
        assert pool.fingerprint("tiny") == "".join(digests)
        return
    with pytest.raises(UsageError, match="'tiny' has other weights on server") as caught:
        pool.fingerprint("tiny")
    assert "aaaa" in str(caught.value)
    assert "bbbb" in str(caught.value)


def test_other_weights_are_refused_as_soon_as_the_second_server_is_asked() -> None:
    boxes = [Shelf("a", {"tiny": "aaaa"}), Shelf("b", {"tiny": "bbbb"})]
    pool = pool_of(*boxes)
    assert pool.complete(ask("hi")).text == "a"
    with pytest.raises(UsageError, match="'tiny' has other weights on a \\(aaaa\\) than on b"):
        pool.complete(ask("hi"))
    assert boxes[1].sent == 0
    boxes[1].weights["tiny"] = "aaaa"  # pulled again
    assert {pool.complete(ask("hi")).text for _ in range(2)} == {"a", "b"}


def test_who_asks_for_the_fingerprint_begins_anew() -> None:
    boxes = [Shelf("a", {"tiny": "aaaa"}), Shelf("b", {"tiny": "aaaa"})]
    pool = pool_of(*boxes)
    for before, after in (("aaaa", "bbbb"), ("bbbb", ""), ("", "cccc")):
        assert pool.fingerprint("tiny") == before
        assert {pool.complete(ask("hi")).text for _ in range(2)} == {"a", "b"}
        for box in boxes:
            box.weights["tiny"] = after
    assert {pool.complete(ask("hi")).text for _ in range(2)} == {"a", "b"}


def test_a_model_that_only_one_has_is_asked_of_that_one_alone_once_it_is_known() -> None:
    boxes = [Shelf("a", {}), Shelf("b", {"tiny": ""})]
    pool = pool_of(*boxes)
    for _ in range(6):
        assert pool.complete(ask("hi")).text == "b"
    assert boxes[0].sent == 1
    with pytest.raises(LLMError) as caught:
        pool.complete(Request("none", ask("hi").messages))
    assert caught.value.kind is Kind.MISSING_MODEL
    assert str(caught.value).count("has no model 'none'") == 2


def test_a_model_that_came_since_is_found_when_the_other_server_dies() -> None:
    boxes = [Shelf("a", {}), Shelf("b", {"tiny": "aaaa"})]
    pool = pool_of(*boxes)
    for _ in range(3):
        pool.complete(ask("hi"))
    boxes[0].weights["tiny"] = "aaaa"
    boxes[1].error = Kind.UNREACHABLE
    assert pool.complete(ask("hi")).text == "a"


def test_a_server_that_comes_back_with_other_weights_is_left_out_and_that_is_said() -> None:
    clock = Clock()
    boxes = [Shelf("a", {"tiny": "aaaa"}), Shelf("b", {"tiny": "aaaa"})]
    pool = pool_of(*boxes, clock=clock)
    assert pool.fingerprint("tiny") == "aaaa"
    assert {pool.complete(ask("hi")).text for _ in range(2)} == {"a", "b"}
    boxes[0].error = Kind.UNREACHABLE
    assert {pool.complete(ask("hi")).text for _ in range(2)} == {"b"}
    boxes[0].error, boxes[0].weights["tiny"] = None, "bbbb"
    clock.sleep(LONGEST_PAUSE)
    assert {pool.complete(ask("hi")).text for _ in range(4)} == {"b"}
    boxes[1].error = Kind.UNREACHABLE
    with pytest.raises(LLMError, match="a is left out for 'tiny': it came back"):
        pool.complete(ask("hi"))


def test_a_pool_without_servers_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one"):
        Pool([])


def test_the_slots_are_those_of_all_and_the_name_says_where_they_are() -> None:
    pool = pool_of(Box("Ollama at http://a:1", slots=2), Box("Ollama at http://b:1", slots=3))
    assert pool.slots == 5
    assert pool.name == "Ollama at http://a:1 and http://b:1"
    assert joint(["x at a", "x at b", "x at c"]) == "x at a, b and c"
    assert joint(["x at a", "y at b"]) == "x at a and y at b"
    assert joint(["a script"]) == "a script"


def test_closing_closes_all_whatever_one_of_them_raises() -> None:
    boxes = [Box("a"), Box("b"), Box("c")]
    boxes[1].error = Kind.UNREACHABLE
    with pytest.raises(LLMError):
        pool_of(*boxes).close()
    assert [box.closed for box in boxes] == [1, 1, 1]


# The promises of any model.


@contextmanager
def scripted(model: Model) -> Iterator[LLM]:
    def answer(request: Request) -> Completion:
        said = model(request.messages[-1].content)
        if said.error:
            raise LLMError(said.error, "no")
        return Completion(said.text, 1, 1, cut=said.cut)

    yield pool_of(*(ScriptedLLM(answer, slots=count) for count in (1, 2, 3)))


def over_wire(*servers: wire.Server, tries: int = 1, slots: int = 1) -> Pool:
    wide = Timeouts(10, 10, 10)
    return Pool([OllamaLLM(s.url, timeouts=wide, tries=tries, slots=slots) for s in servers])


@contextmanager
def wired(model: Model) -> Iterator[LLM]:
    def answer(call: wire.Call) -> Iterable[Act]:
        said = model(call.json["messages"][-1]["content"])
        if said.error is Kind.MISSING_MODEL:
            return refusal(404, "model 'tiny' not found")
        parts = [said.text[n : n + 3] for n in range(0, len(said.text), 3)]
        return chat(*parts, reason="length" if said.cut else "stop")

    with wire.ollama(answer) as a, wire.ollama(answer) as b:
        yield over_wire(a, b, slots=4)


@pytest.mark.parametrize("factory", [scripted, wired], ids=["scripted", "wired"])
@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_a_pool_keeps_the_promises_of_a_model(
    check: Callable[[Factory], None], factory: Factory
) -> None:
    check(factory)


# Real connections.


def test_of_a_server_that_dies_among_forty_requests_only_those_under_way_are_asked_again() -> None:
    def slow(call: wire.Call) -> Iterable[Act]:
        yield 0.03
        yield from chat(call.json["messages"][-1]["content"])

    def mortal(call: wire.Call) -> Iterable[Act]:
        if len(dying.asked("/api/chat")) > 6:
            dying.die()
        yield from slow(call)

    with ExitStack() as stack:
        dying = stack.enter_context(wire.ollama(mortal))
        living = stack.enter_context(wire.ollama(slow))
        meter = Meter()
        pool = over_wire(dying, living, slots=4)
        stack.callback(pool.close)
        llm = Metered(pool, meter)
        with ThreadPoolExecutor(8) as threads:
            prompts = [f"prompt {number}" for number in range(40)]
            replies = list(threads.map(lambda prompt: llm.complete(ask(prompt)).text, prompts))
        counted = Counter(
            call.json["messages"][-1]["content"] for call in living.asked("/api/chat")
        )
        lost = len(dying.asked("/api/chat")) + len(living.asked("/api/chat")) - 40
    assert replies == prompts
    assert max(counted.values()) == 1
    assert 1 <= lost <= 4  # as many as it had slots
    # Those that it had let in but never read, or refused, are counted though it has no trace of
    # them: at most one for each place.
    assert lost <= meter.lap().retries <= 4


def test_on_another_server_the_pieces_come_from_the_start_again() -> None:
    broken_off = wire.chunked([wire.piece("One "), wire.piece("two ")], whole=False)
    with (
        wire.ollama(wire.in_turn(broken_off)) as a,
        wire.ollama(lambda _: chat("One ", "two ", "three")) as b,
    ):
        pieces: list[str] = []
        assert over_wire(a, b).complete(ask("hi"), on_text=pieces.append).text == "One two three"
    assert "".join(pieces) == "One two One two three"


def test_a_stop_is_heard_while_a_silent_server_is_looked_at() -> None:
    ways: list[Callable[[], Iterable[Act]]] = [lambda: wire.page(200, '{"models": []}')]

    with wire.ollama(lambda _: refusal(503, "busy"), tags=lambda _: ways[-1]()) as server:
        clock = Clock()
        llm = OllamaLLM(server.url, tries=1)
        pool = Pool([llm, Box("other")], clock=clock)
        assert pool.complete(ask("hi")).text == "other"
        clock.sleep(FIRST_PAUSE)
        ways.append(lambda: [8.0])
        stop = Stop()
        threading.Timer(0.2, stop.ask).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            pool.complete(ask("hi"), stop=stop)
        assert time.monotonic() - began < 2
        pool.close()


def test_a_server_that_refuses_is_sent_a_request_once_and_not_thrice() -> None:
    with (
        wire.ollama(lambda _: refusal(500, "out of order")) as a,
        wire.ollama() as b,
    ):
        llm = choose(url=[a.url, b.url]).llm
        began = time.monotonic()
        assert [llm.complete(ask("hi")).text for _ in range(3)] == ["Hello"] * 3
        assert time.monotonic() - began < 0.9  # no wait in between
        assert [len(server.asked("/api/chat")) for server in (a, b)] == [1, 3]
        llm.close()


def test_no_place_is_kept_after_whatever_end() -> None:
    boxes = [Box("a"), Box("b", sends=2)]
    pool = pool_of(*boxes)
    meter = Meter(Budget(calls=2))
    llm = Metered(pool, meter)
    llm.complete(ask("hi"))
    with pytest.raises(BudgetSpent):  # within b, which puts it otherwise
        llm.complete(ask("hi"))
    with pytest.raises(BudgetSpent):
        llm.complete(ask("hi"))
    assert [server.under_way for server in pool._roster.servers] == [0, 0]


@settings(max_examples=15)
@given(st.integers(1, 4), st.integers(1, 25), st.integers(0, 3))
def test_side_by_side_a_budget_is_kept_too(count: int, calls: int, dead: int) -> None:
    boxes = [Box(str(index), slots=3) for index in range(count)]
    for box in boxes[:dead]:
        box.error = Kind.SERVER
    llm = Metered(pool_of(*boxes), Meter(Budget(calls=calls)))
    with ThreadPoolExecutor(6) as threads:
        futures = [threads.submit(llm.complete, ask("hi")) for _ in range(20)]
        ends = [future.exception() for future in futures]
    assert sum(box.sent for box in boxes) <= calls
    if dead < count:
        assert all(end is None or isinstance(end, BudgetSpent) for end in ends)
