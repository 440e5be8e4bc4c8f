"""Small counts, held against sums and areas that are found another way."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from math import ceil, comb, cos, erf, floor, isclose, pi, sin, sqrt

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finetune_fsm.scenarios.statistics import (
    FAR,
    Interval,
    flip_rate,
    needed,
    needed_at_this_rate,
    sign_test,
    wilson,
)

SHARES = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
CONFIDENCES = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])
VERDICTS = st.lists(st.lists(st.booleans(), max_size=6), max_size=8)


def deviations(confidence: float) -> float:
    """How many deviations the middle of a normal distribution reaches, by halving `erf`."""
    low, high = 0.0, 10.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if erf(middle / sqrt(2)) < confidence else (low, middle)
    return low


# Wilson's interval


@given(SHARES, CONFIDENCES)
def test_the_interval_ends_where_the_score_test_begins_to_reject(
    share: tuple[int, int], confidence: float
) -> None:
    passed, n = share
    found, z = wilson(passed, n, confidence), deviations(confidence)
    assert 0 <= found.low <= passed / n <= found.high <= 1
    for end in (found.low, found.high):
        off = abs(passed / n - end)
        assert isclose(off, z * sqrt(end * (1 - end) / n), abs_tol=1e-9)
    assert (found.low == 0) is (passed == 0)
    assert (found.high == 1) is (passed == n)


@pytest.mark.parametrize("n", [5, 8, 20, 50])
def test_about_as_many_intervals_hold_the_rate_as_they_promise(n: int) -> None:
    intervals = [wilson(passed, n) for passed in range(n + 1)]
    rates = [(2 * step + 1) / 400 for step in range(200)]
    held = sum(
        comb(n, passed) * rate**passed * (1 - rate) ** (n - passed)
        for rate in rates
        for passed, interval in enumerate(intervals)
        if interval.low <= rate <= interval.high
    )
    assert 0.94 < held / len(rates) < 0.97


@given(SHARES, st.integers(2, 5))
def test_failing_is_passing_in_a_mirror_and_more_of_the_same_says_more(
    share: tuple[int, int], times: int
) -> None:
    passed, n = share
    found, other = wilson(passed, n), wilson(n - passed, n)
    assert found.low == pytest.approx(1 - other.high)
    assert found.high == pytest.approx(1 - other.low)
    closer = wilson(times * passed, times * n)
    assert closer.high - closer.low < found.high - found.low


def test_known_intervals() -> None:
    # Values of statsmodels' proportion_confint(5, 8, method="wilson"), to four digits.
    found = wilson(5, 8)
    assert (round(found.low, 4), round(found.high, 4)) == (0.3057, 0.8632)
    assert wilson(0, 0) == Interval(0.0, 1.0)


@pytest.mark.parametrize(
    ("passed", "n", "confidence"), [(-1, 4, 0.9), (5, 4, 0.9), (1, 4, 0), (1, 4, 1), (1, -1, 0.9)]
)
def test_what_is_no_share_and_no_confidence_is_refused(
    passed: int, n: int, confidence: float
) -> None:
    with pytest.raises(ValueError, match="is no"):
        wilson(passed, n, confidence)


# The sign test


@given(st.integers(0, 6), st.integers(0, 6))
def test_the_sign_test_counts_the_outcomes_that_are_at_least_as_uneven(
    wins: int, losses: int
) -> None:
    n = wins + losses
    uneven = [abs(2 * sum(signs) - n) >= abs(wins - losses) for signs in product((0, 1), repeat=n)]
    assert sign_test(wins, losses) == sum(uneven) / len(uneven)


@given(st.integers(0, 400), st.integers(0, 400))
@example(4000, 3900)
def test_the_sign_test_is_a_symmetric_probability(wins: int, losses: int) -> None:
    assert 0 <= sign_test(wins, losses) <= 1
    assert sign_test(wins, losses) == sign_test(losses, wins)
    assert sign_test(wins + 1, losses) <= sign_test(wins, losses) or wins < losses


def test_the_sign_test_agrees_with_the_binomial_distribution() -> None:
    # Exact values: two-sided binomial test with p = 1/2.
    assert sign_test(5, 0) == 0.0625
    assert sign_test(8, 1) == 2 * 10 / 512
    assert sign_test(0, 0) == 1.0


@given(st.integers(0, 25), st.sampled_from([0.2, 0.05, 0.01, 0.001]))
def test_needed_wins_are_enough_and_one_less_is_not(losses: int, alpha: float) -> None:
    wins = needed(losses, alpha=alpha)
    assert sign_test(wins, losses) < alpha <= sign_test(wins - 1, losses)
    assert wins > losses


def test_five_scenarios_never_tell_and_six_may() -> None:
    assert needed() == 6
    assert needed(1) == 8


COUNTS = st.integers(1, 30).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n)).filter(
        lambda counts: counts[0] + counts[1] <= counts[2]
    )
)


@given(COUNTS)
@example((1, 0, 3))
def test_as_many_scenarios_at_this_rate_would_tell(counts: tuple[int, int, int]) -> None:
    wins, losses, n = counts
    total = needed_at_this_rate(wins, losses, n)
    assert total == needed_at_this_rate(losses, wins, n)
    if total is None:
        assert wins == losses or sign_test(FAR * wins, FAR * losses) >= 0.05
        return
    assert n <= total <= FAR * n
    more, less = Fraction(max(wins, losses), n), Fraction(min(wins, losses), n)
    assert sign_test(floor(more * total), ceil(less * total)) < 0.05
    assert total == n or sign_test(floor(more * (total - 1)), ceil(less * (total - 1))) >= 0.05
    assert (total == n) is (sign_test(wins, losses) < 0.05)


def test_scenarios_that_would_tell_read_like_this() -> None:
    assert needed_at_this_rate(3, 0, 6) == 12  # six wins without a loss
    assert needed_at_this_rate(1, 0, 3) == 18
    assert needed_at_this_rate(6, 0, 6) == 6
    assert needed_at_this_rate(2, 2, 9) is None
    assert needed_at_this_rate(10, 9, 19) is None
    assert needed_at_this_rate(0, 0, 0) is None


# The flip rate


def area_below(x: float, a: float, b: float) -> float:
    """The share of Beta(a, b) below *x*, by Simpson's rule over the angle of which x is sin²."""

    def weight(angle: float) -> float:
        return sin(angle) ** (2 * a - 1) * cos(angle) ** (2 * b - 1)

    def area(end: float) -> float:
        steps = 2000
        inner = sum((4 if i % 2 else 2) * weight(end * i / steps) for i in range(1, steps))
        return end / steps / 3 * (weight(0) + inner + weight(end))

    low, high = 0.0, pi / 2
    for _ in range(60):  # the angle of x, without an inverse sine
        middle = (low + high) / 2
        low, high = (middle, high) if sin(middle) ** 2 < x else (low, middle)
    return area(low) / area(pi / 2)


@given(st.integers(0, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), CONFIDENCES)
@example((100, 400), 0.95)
@settings(max_examples=25)
def test_what_is_known_of_the_flip_rate_is_what_jeffreys_prior_leaves(
    share: tuple[int, int], confidence: float
) -> None:
    flips, n = share
    pairs = [(True, index >= flips) for index in range(n)]
    found = flip_rate(pairs, confidence=confidence)
    tail, a, b = (1 - confidence) / 2, flips + 0.5, n - flips + 0.5
    assert (found.flips, found.pairs) == (flips, n)
    assert found.rate == pytest.approx(a / (a + b))
    assert 0 <= found.interval.low <= found.rate <= found.interval.high <= 1
    if flips:
        assert area_below(found.interval.low, a, b) == pytest.approx(tail, abs=1e-6)
    if flips < n:
        assert area_below(found.interval.high, a, b) == pytest.approx(1 - tail, abs=1e-6)
    assert (found.interval.low == 0) is (not flips)
    assert (found.interval.high == 1) is (flips == n)


@given(VERDICTS)
def test_every_pair_of_draws_is_looked_at_and_those_that_share_none_are_counted(
    draws: list[list[bool]],
) -> None:
    found = flip_rate(draws)
    assert found.pairs == sum(len(verdicts) // 2 for verdicts in draws)
    shares = []
    for verdicts in draws:
        pairs = [one != other for one, other in combinations(verdicts, 2)]
        shares += [sum(pairs) / len(pairs) * (len(verdicts) // 2)] if pairs else []
    assert found.flips == pytest.approx(sum(shares))
    backwards = flip_rate([[not verdict for verdict in reversed(verdicts)] for verdicts in draws])
    assert backwards == found


def test_many_pairs_are_no_trouble() -> None:
    found = flip_rate([(True, index % 4 > 0) for index in range(12_000)])
    assert 0.24 < found.interval.low < 0.25 < found.interval.high < 0.26


def test_without_a_repeat_nothing_is_known_of_flips() -> None:
    found = flip_rate([(True,), ()])
    assert (found.pairs, found.interval) == (0, Interval(0.0, 1.0))


def test_no_confidence_is_refused_for_flips_too() -> None:
    with pytest.raises(ValueError, match="is no confidence"):
        flip_rate([], confidence=1)
