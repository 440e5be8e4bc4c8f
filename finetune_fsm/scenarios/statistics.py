"""What few scenarios can say: intervals, the exact sign test, and how often a verdict flips.

Scenarios are few and judged passed or not, so everything here is for small counts: no normal
approximation where an exact sum is as easy. All of it is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from statistics import NormalDist

ALPHA = 0.05
"""A p-value below it says that chance alone would rarely do the same."""

CONFIDENCE = 0.95
"""Of intervals, unless another one is asked for."""

FAR = 10
"""So many times as many scenarios is more than anybody will write."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a rate may well be.

    Attributes:
        low: 0..1.
        high: 0..1, not below `low`.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FlipRate:
    """How often two equal draws of one scenario get different verdicts.

    Attributes:
        flips: Pairs of draws that differed; a fraction where pairs share a draw.
        pairs: Independent pairs of draws that there were.
        rate: 0..1, the mean of what is known after them.
        interval: Where the true rate may well be.
    """

    flips: float
    pairs: int
    rate: float
    interval: Interval

    @property
    def seen(self) -> float:
        """Flips ÷ pairs, 0..1; 0 without a pair."""
        return self.flips / self.pairs if self.pairs else 0.0


def wilson(successes: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the score interval of a pass rate: all rates that *successes* of *n* do not rule out.

    Args:
        successes: 0..*n*; a fraction, when each of the *n* is itself a share of several draws,
            makes the interval too wide rather than too narrow.
        n: Independent trials; with none every rate is possible.
        confidence: Share of such intervals that hold the true rate, about, between 0 and 1.

    Returns:
        The ends of ``(p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n)``, where p is the rate seen
        and z the quantile of the normal distribution.

    Raises:
        ValueError: *successes* is not in 0..*n*, or *confidence* not between 0 and 1.

    Source: Wilson 1927; recommended for small n by Brown, Cai, DasGupta 2001.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    z = _quantile(confidence)
    if not n:
        return Interval(0.0, 1.0)
    rate, square = successes / n, z * z / n
    middle = rate + square / 2
    half = (square * (rate * (1 - rate) + square / 4)) ** 0.5
    low = 0.0 if successes == 0 else (middle - half) / (1 + square)  # rounding may miss the ends
    high = 1.0 if successes == n else (middle + half) / (1 + square)
    return Interval(max(0.0, low), min(1.0, high))


def sign_test(wins: int, losses: int) -> float:
    """Return the two-sided p-value that *wins* and *losses* differ by chance.

    Args:
        wins: Scenarios only the candidate passed, >= 0; ties are dropped before.
        losses: Scenarios only the best passed, >= 0.

    Returns:
        ``2·Σ C(n, k) / 2ⁿ`` over k up to the smaller count, n being both counts, at most 1; 1.0
        when there is nothing to compare.

    Source: Dixon & Mood 1946, exact binomial form.
    """
    pairs, smaller = wins + losses, min(wins, losses)
    ways = tail = 1
    for k in range(smaller):
        ways = ways * (pairs - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**pairs) if pairs else 1.0


def needed(losses: int = 0, *, alpha: float = ALPHA) -> int:
    """Return the fewest wins against *losses* that the sign test would not call chance.

    Without losses and at 0.05 it is 6: with fewer scenarios, nothing that happens can be told from
    chance.
    """
    wins = losses + 1
    while sign_test(wins, losses) >= alpha:
        wins += 1
    return wins


def needed_at_this_rate(wins: int, losses: int, n: int, *, alpha: float = ALPHA) -> int | None:
    """Return about how many scenarios would tell, if as large a share of them were won and lost.

    Args:
        wins: Of the *n*.
        losses: Of the *n*.
        n: Scenarios that there are; ties count.
        alpha: What the sign test must come below.

    Returns:
        At least *n*; None when it would take more than `FAR` times as many, or any number.
    """

    def tells(total: int) -> bool:
        more, less = max(wins, losses), min(wins, losses)
        return sign_test(more * total // n, -(-less * total // n)) < alpha

    if not n or not tells(FAR * n):
        return None
    low, high = n, n if tells(n) else FAR * n  # shares of other totals are rounded against us
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if tells(middle) else (middle + 1, high)
    return high


def flip_rate(draws: Iterable[Sequence[bool]], *, confidence: float = CONFIDENCE) -> FlipRate:
    """Return how often a verdict differs between two equal draws of a scenario.

    Args:
        draws: For each scenario its verdicts, one per draw; pairs are draws of two. One draw alone
            says nothing.
        confidence: That the interval holds the true rate, between 0 and 1.

    Returns:
        After Jeffreys' prior Beta(½, ½): the mean ``(flips + ½) / (pairs + 1)`` and the quantiles
        of Beta(flips + ½, pairs - flips + ½), 0 and 1 being the ends where no pair or every pair
        differed. Of n draws of one scenario all pairs are looked at and count as the n/2 that
        share no draw: the interval is rather too wide than too narrow (Hoeffding 1963, §5).

    Raises:
        ValueError: *confidence* is not between 0 and 1.

    Source: Brown, Cai, DasGupta 2001, §4.1, the modified Jeffreys interval.
    """
    flips, pairs = 0.0, 0
    for verdicts in draws:
        many, passed = len(verdicts), sum(verdicts)
        if many > 1:
            share = passed * (many - passed) / (many * (many - 1) / 2)
            flips += share * (many // 2)
            pairs += many // 2
    _quantile(confidence)
    tail, a, b = (1 - confidence) / 2, flips + 0.5, pairs - flips + 0.5
    low = _beta_quantile(tail, a, b) if flips else 0.0
    high = _beta_quantile(1 - tail, a, b) if flips < pairs else 1.0
    return FlipRate(flips, pairs, a / (pairs + 1), Interval(low, high))


def _quantile(confidence: float) -> float:
    """How many deviations the middle *confidence* of a normal distribution reaches."""
    if not 0 < confidence < 1:
        raise ValueError(f"{confidence} is no confidence")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _beta_quantile(share: float, a: float, b: float) -> float:
    """Return the x below which *share* of Beta(a, b) lies, by halving."""
    low, high = 0.0, 1.0
    for _ in range(40):  # halvings: to 12 digits
        middle = (low + high) / 2
        low, high = (middle, high) if _beta_below(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def _beta_below(x: float, a: float, b: float) -> float:
    """Return the share of Beta(a, b) below *x*, the regularised incomplete beta function.

    Source: DLMF 8.17.22, the continued fraction; 8.17.4, the mirror where it converges slowly.
    """
    if not 0 < x < 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_below(1 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)) / a
    return front / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Evaluate 1 + d1/(1 + d2/(1 + …)) from its far end, where it has long converged."""
    value = 1.0
    depth = 30 + 2 * round((a + b) ** 0.5)  # it takes about the root of the larger one
    for m in range(depth, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        value = 1 + even / (1 + odd / value)
    return 1 - (a + b) * x / (a + 1) / value
