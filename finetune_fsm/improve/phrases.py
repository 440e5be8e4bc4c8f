"""What a prompt or a description asks for, as far as plain English tells it: lists, limits, form.

These are looks at words, not understanding. Each is narrow on purpose: what it does not recognise
it leaves alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune_fsm.workflow.model import PLACEHOLDER

_LABEL = r"[A-Za-z][\w-]*"
_LIST = re.compile(
    rf"(?<![\w,])(?:{_LABEL}(?:, {_LABEL})+,? (?:or|and) {_LABEL}|{_LABEL} or {_LABEL})(?![\w-])"
    rf"|(?<=: ){_LABEL}(?:, {_LABEL})+(?=[.\s]|$)"
)
_SENTENCE = re.compile(r".*?(?:[.!?]+(?:\s|\Z)|\n|\Z)", re.DOTALL)

_ANNOUNCED = re.compile(r"(?:\b(?:says?|either|of|is|are|answers?|with)|:) ?$", re.IGNORECASE)

_NUMBERS = {
    "one": 1, "a": 1, "an": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20,
}  # fmt: skip
_COUNT = rf"(?:\d{{1,4}}|{'|'.join(_NUMBERS)})"
_LENGTH = re.compile(
    rf"\b(?P<count>{_COUNT})(?: (?:or|to) {_COUNT})?(?: [a-z]+)?"
    r" (?P<unit>words?|sentences?|lines?|paragraphs?|bullet points|items|examples)\b",
    re.IGNORECASE,
)
_TOKENS = {"word": 1.0, "sentence": 8.0, "line": 6.0, "paragraph": 40.0, "bullet": 6.0}
"""Tokens of each at least, so that no doubt is raised in vain."""

_LIMIT = re.compile(
    rf"\b(?:at most|no more than|up to|not more than|maximum of|in|of|about|within|exactly)"
    rf" {_COUNT}(?: (?:or|to) {_COUNT})?(?: (?:short|brief))* (?:words?|sentences?|lines?)\b"
    rf"|\b(?:one|a single) (?:short )?(?:word|sentence|line)\b",
    re.IGNORECASE,
)
_BRIEF = re.compile(
    r"\b(?:nothing else|nothing more|without (?:any|an) other (?:word|text)s?|and no other words?"
    r"|(?:word|number|name|answer|label|title|result) (?:alone|only)|\w+ alone\b|one word only"
    r"|no explanations?|without (?:any )?explanations?|(?:answer|reply|respond) only with)\b",
    re.IGNORECASE,
)
_LENGTHY = re.compile(
    r"^\W*(?:also |then |please |and )*(?:explain|justify|elaborate|describe in detail|discuss"
    r"|give (?:your |the |a )?(?:reasons?|reasoning|explanations?|(?:\w+ )?examples)"
    r"|add (?:an? |some )?(?:explanations?|(?:\w+ )?examples|details))\b",
    re.IGNORECASE,
)
_NO_EXPLAINING = re.compile(r"\b(?:not|never|without|don't|no)\b", re.IGNORECASE)

LANGUAGES = (
    "Arabic", "Bengali", "Bulgarian", "Catalan", "Chinese", "Croatian", "Czech", "Danish",
    "Dutch", "English", "Estonian", "Finnish", "French", "German", "Greek", "Hebrew", "Hindi",
    "Hungarian", "Indonesian", "Irish", "Italian", "Japanese", "Korean", "Latvian",
    "Lithuanian", "Malay", "Norwegian", "Persian", "Polish", "Portuguese", "Romanian",
    "Russian", "Serbian", "Slovak", "Slovenian", "Spanish", "Swahili", "Swedish", "Tamil",
    "Thai", "Turkish", "Ukrainian", "Urdu", "Vietnamese", "Welsh",
)  # fmt: skip
"""Those that a description and a prompt are compared for."""

_LANGUAGE = re.compile(rf"\b(?:{'|'.join(LANGUAGES)})\b")
_GAP = r"[ ,:=\"'(]{1,3}"
_TOLD_DEFAULT = re.compile(
    rf"\b(?:enter|return|empty|blank|nothing){_GAP}(?:for|means|gives|uses|=){_GAP}(?P<a>[\w-]+)"
    rf"|\bdefault(?: ?[:=] ?|s to | is )[\"']?(?P<b>[\w-]+)"
    r"|\bin (?P<c>[\w-]+),? unless\b",
    re.IGNORECASE,
)


def lists_in(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each list of single words in *text*, as it stands there and its members. Pure."""
    for match in _LIST.finditer(text):
        members = [word for word in re.split(r",? (?:or|and) |, ", match[0]) if word]
        if len(set(members)) == len(members) > 1:
            yield match[0], tuple(members)


def choices_in(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the lists of *text* of which one member is to be taken, as `lists_in` does. Pure.

    Two words with an "or" are as often two kinds of the same; they count after what announces them.
    """
    for listed, members in lists_in(text):
        before = text[: text.find(listed)]
        if " or " in listed and (len(members) > 2 or _ANNOUNCED.search(before)):
            yield listed, members


def sentences(text: str) -> tuple[str, ...]:
    """Return *text* cut into sentences and lines that together are the text again. Pure."""
    return tuple(part for part in _SENTENCE.findall(text) if part)


def limits_in(text: str) -> tuple[str, ...]:
    """Return what *text* says of the length of an answer, such as ``at most 25 words``. Pure."""
    return tuple(dict.fromkeys(match[0] for match in _LIMIT.finditer(text)))


def tells_length(text: str) -> bool:
    """Whether *text* says anything at all of how long the answer shall be. Pure."""
    return any(pattern.search(text) for pattern in (_LIMIT, _LENGTH, _BRIEF))


def wanted_tokens(text: str) -> int:
    """Return how many tokens a reply to *text* needs at least, 0 when it does not say. Pure."""
    found = (_tokens(match) for match in _LENGTH.finditer(text) if not _is_bound(text, match))
    return int(max(found, default=0))


def _tokens(match: re.Match[str]) -> float:
    count = match["count"].lower()
    number = _NUMBERS.get(count) or int(count)
    unit = match["unit"].lower().split()[0].removesuffix("s")
    return number * _TOKENS.get(unit, 4.0)


def _is_bound(text: str, match: re.Match[str]) -> bool:
    """Whether the number is the most that is wanted and not how much."""
    before = text[max(0, match.start() - 24) : match.start()].lower()
    return bool(
        re.search(r"(?:at most|no more than|up to|maximum of|not more than|under) $", before)
    )


def contradictory(text: str) -> tuple[str, ...]:
    """Return the sentences that ask for more, when another wants the answer alone. Pure."""
    parts = sentences(text)
    brief = [part for part in parts if _BRIEF.search(PLACEHOLDER.sub("", part))]
    lengthy = [p for p in parts if _LENGTHY.search(p) and not _NO_EXPLAINING.search(p)]
    return tuple(p for p in lengthy if p not in brief) if brief else ()


def languages_in(text: str) -> tuple[str, ...]:
    """Return the languages that *text* names, each once. Pure."""
    return tuple(dict.fromkeys(_LANGUAGE.findall(text)))


def told_defaults(text: str) -> tuple[str, ...]:
    """Return the values that *text* says an empty answer stands for. Pure."""
    found = (match["a"] or match["b"] or match["c"] for match in _TOLD_DEFAULT.finditer(text))
    return tuple(dict.fromkeys(found))
