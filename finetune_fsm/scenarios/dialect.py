r"""JavaScript's regular expressions, said in Python's.

Test files hold patterns as JavaScript reads them (ECMA-262, without flags). Much of that is spelt
the same in Python and means something else: ``$`` also matches before a last newline, ``\d`` every
script's digits, ``\a`` a bell, ``{,3}`` a repetition. So a pattern is read by JavaScript's grammar
and written anew. What has no counterpart is refused with a reason, and so is what JavaScript takes
literally though its writer cannot have meant it, such as ``\A`` or a reference to no group.

Known differences: a character is a code point here and half of one there (only characters beyond
U+FFFF show it); a group inside a repetition keeps its last text here and forgets it there; letters
beyond ASCII are compared without case as Python folds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from finetune_fsm.scenarios.character_sets import (
    LAST,
    LINE_ENDS,
    SETS,
    Ranges,
    ranges_of,
    written_set,
)

LIMIT = 500
"""Characters of one pattern at most."""

DEPTH = 50
"""Groups within groups at most; Python's own parser recurses."""

_REPEAT_LIMIT = 2**31 - 1
_CONTROLS = MappingProxyType({"f": 12, "n": 10, "r": 13, "t": 9, "v": 11})
_QUANTIFIER = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}")
_GROUP_NAME = re.compile(r"<([^<>\\(){}\[\]*+?|\s]+)>")


class BadPattern(ValueError):
    """A pattern that cannot be used.

    Attributes:
        reason: What is wrong, without a full stop.
        hint: The likely fix, or empty.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@lru_cache(maxsize=256)  # checked once, then searched for in every scenario
def translate(pattern: str, *, ignore_case: bool = False) -> str:
    """Return JavaScript's *pattern* as a pattern for Python's `re`. Pure.

    Args:
        pattern: As written in a test file.
        ignore_case: Whether it will be compiled with ``re.IGNORECASE``.

    Raises:
        BadPattern: JavaScript would not accept it, Python cannot do it, or it is too long.
    """
    if len(pattern) > LIMIT:
        raise BadPattern(f"the pattern has {len(pattern)} characters, {LIMIT} are allowed")
    written = _Reader(pattern, ignore_case=ignore_case).whole()
    try:
        # Without the flag on purpose: Python expands large sets under it, slowly.
        re.compile(written)
    except (re.error, RecursionError, OverflowError) as error:
        raise _python_refuses(error) from error
    return written


def _python_refuses(error: Exception) -> BadPattern:
    if "look-behind" in str(error):
        return BadPattern(
            "a look-behind may hold only text of one fixed length here",
            "write '(?<=a|b)' for '(?<=a*)', or match the text itself",
        )
    return BadPattern(f"this pattern cannot be used here: {error}")


def is_literal(pattern: str) -> bool:
    """Whether *pattern* stands for its own characters and nothing else. Pure."""
    return not set(pattern) & set(r"\^$.|?*+()[]{}")


class _Reader:
    """Reads one pattern from left to right, a method for each rule of ECMA-262, annex B."""

    def __init__(self, pattern: str, *, ignore_case: bool) -> None:
        self.pattern = pattern
        self.at = 0
        self.ignore_case = ignore_case
        self.names, self.total = _groups_of(pattern)
        self.begun = 0
        self.closed: set[int] = set()

    def whole(self) -> str:
        written = self.alternatives(0)
        if self.at < len(self.pattern):
            raise BadPattern("a ')' closes no group", r"write '\)' for the character itself")
        return written

    def alternatives(self, depth: int) -> str:
        if depth > DEPTH:
            raise BadPattern(f"groups are nested more than {DEPTH} deep")
        parts: list[str] = []
        while self.at < len(self.pattern) and self.pattern[self.at] != ")":
            if self.take("|"):
                parts.append("|")
            else:
                parts.append(self.term(depth))
        return "".join(parts)

    def term(self, depth: int) -> str:
        for spelt, written in _ANCHORS.items():
            if self.take(spelt):
                self.no_quantifier()
                return written
        if self.pattern[self.at] == "(":
            return self.group(depth)
        return self.atom() + self.quantifier()

    def atom(self) -> str:
        character = self.next()
        if character == ".":
            return written_set(LINE_ENDS, negated=True)
        if character == "[":
            return self.character_class()
        if character == "\\":
            return self.escape()
        if character in "*+?" or (
            character == "{" and _QUANTIFIER.match(self.pattern, self.at - 1)
        ):
            raise _nothing_to_repeat(character)
        return re.escape(_no_surrogate(character))

    def quantifier(self) -> str:
        found = _QUANTIFIER.match(self.pattern, self.at)
        if found:
            self.at = found.end()
            written = _counted(*found.groups())
        elif self.peek() and self.peek() in "*+?":
            written = self.next()
        else:
            return ""
        return written + ("?" if self.take("?") else "")

    def no_quantifier(self) -> None:
        if (self.peek() and self.peek() in "*+?") or _QUANTIFIER.match(self.pattern, self.at):
            raise _nothing_to_repeat(self.peek())

    def group(self, depth: int) -> str:
        for opening in ("(?:", "(?=", "(?!", "(?<=", "(?<!"):
            if self.take(opening):
                written = f"{opening}{self.alternatives(depth + 1)}{self.close()}"
                if not opening.startswith("(?<"):
                    return written + self.quantifier()
                self.no_quantifier()
                return written
        if self.take("(?<"):
            self.at = self.pattern.index(">", self.at) + 1  # the count of groups has checked it
        elif self.take("(?"):
            raise _strange_group(self.pattern[self.at :])
        else:
            self.next()
        self.begun += 1
        number = self.begun
        # Names become numbers: JavaScript allows names that Python does not.
        written = f"({self.alternatives(depth + 1)}{self.close()}"
        self.closed.add(number)
        return written + self.quantifier()

    def close(self) -> str:
        if not self.take(")"):
            raise BadPattern("a '(' is never closed", r"write '\(' for the character itself")
        return ")"

    def escape(self) -> str:
        character = self.peek()
        if character in SETS and character:
            self.at += 1
            return written_set(SETS[character], negated=character.isupper())
        if character and character in "123456789":
            return self.reference(self.digits())
        if character == "k":
            self.at += 1
            return self.named_reference()
        return re.escape(chr(self.escaped_character()))

    def digits(self) -> int:
        start = self.at
        while self.peek() and self.peek() in "0123456789":
            self.at += 1
        return int(self.pattern[start : self.at])

    def named_reference(self) -> str:
        found = _GROUP_NAME.match(self.pattern, self.at)
        if not found or found[1] not in self.names:
            raise BadPattern(r"'\k' must name a group of this pattern", r"write '\k<name>'")
        self.at = found.end()
        return self.reference(self.names[found[1]])

    def reference(self, number: int) -> str:
        if number > self.total:
            raise BadPattern(rf"'\{number}' refers to a group that does not exist")
        if number not in self.closed:
            return "(?:)"  # JavaScript: nothing captured yet, so nothing to match
        return rf"(?({number})\{number}|)"

    def escaped_character(self) -> int:
        """Read what follows a backslash as one character; return its code point."""
        character = self.next()
        if not character:
            raise BadPattern(r"ends in a lone '\'", r"write '\\' for the character itself")
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character == "0" and not self.peek().isdigit():
            return 0
        if character == "c" and re.match("[A-Za-z]", self.peek()):
            return ord(self.next()) % 32
        if character == "x":
            return self.hexadecimal(r"x([0-9A-Fa-f]{2})")
        if character == "u":
            return self.unicode_escape()
        if character.isascii() and character.isalnum():
            raise _unknown_escape(character)
        return ord(_no_surrogate(character))

    def unicode_escape(self) -> int:
        if self.peek() == "{":
            return self.hexadecimal(r"u\{([0-9A-Fa-f]{1,6})\}")
        code = self.hexadecimal(r"u([0-9A-Fa-f]{4})")
        if 0xD800 <= code <= 0xDBFF and self.take("\\u"):
            low = self.hexadecimal(r"u([0-9A-Fa-f]{4})")
            if 0xDC00 <= low <= 0xDFFF:
                return 0x10000 + ((code - 0xD800) << 10) + low - 0xDC00
        return ord(_no_surrogate(chr(code)))

    def hexadecimal(self, form: str) -> int:
        found = re.compile(form).match(self.pattern, self.at - 1)
        code = int(found[1], 16) if found else LAST + 1
        if not found or code > LAST:
            letter = self.pattern[self.at - 1]
            raise BadPattern(
                rf"'\{letter}' needs a character's number in hexadecimal",
                r"as in '\x41', '\u0041' or '\u{1F600}'",
            )
        self.at = found.end()
        return code

    def character_class(self) -> str:
        negated = self.take("^")
        ranges: list[tuple[int, int]] = []
        while not self.take("]"):
            first = self.class_atom()
            if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                ranges += _range(first, self.class_atom())
            else:
                ranges += first
        return written_set(tuple(ranges), negated=negated)

    def class_atom(self) -> Ranges:
        character = self.next()
        if not character:
            raise BadPattern("a '[' is never closed", r"write '\[' for the character itself")
        if character != "\\":
            code = ord(_no_surrogate(character))
        elif self.peek() and self.peek() in SETS:
            return ranges_of(self.next(), ignore_case=self.ignore_case)
        elif self.take("b"):
            code = 8
        else:
            code = self.escaped_character()
        return ((code, code),)

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def next(self) -> str:
        character = self.peek()
        self.at += len(character)
        return character

    def take(self, text: str) -> bool:
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found


_ANCHORS: Mapping[str, str] = MappingProxyType(
    # Python's \B does not match the empty text before 3.14, JavaScript's does.
    {"^": "^", "$": r"\Z", r"\b": r"(?a:\b)", r"\B": r"(?!(?a:\b))"}
)


def _groups_of(pattern: str) -> tuple[Mapping[str, int], int]:
    """Return the number of each named group, and how many groups there are. Pure."""
    names: dict[str, int] = {}
    total = 0
    in_class = False
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 1
        elif character in "[]":
            in_class = character == "["
        elif character == "(" and not in_class and not _plain_group(pattern, at):
            total += 1
            if pattern.startswith("(?<", at):
                names[_name_at(pattern, at + 2, names)] = total
        at += 1
    return names, total


def _plain_group(pattern: str, at: int) -> bool:
    """Whether the group that opens at *at* captures nothing."""
    named = pattern.startswith("(?<", at) and pattern[at + 3 : at + 4] not in ("=", "!")
    return pattern.startswith("(?", at) and not named


def _name_at(pattern: str, at: int, known: Mapping[str, int]) -> str:
    found = _GROUP_NAME.match(pattern, at)
    if not found:
        raise BadPattern("a group's name is broken", "write '(?<name>…)'")
    if found[1] in known:
        raise BadPattern(f"two groups are called '{found[1]}'")
    return found[1]


def _counted(low: str, comma: str, high: str) -> str:
    least = min(int(low), _REPEAT_LIMIT)
    if not comma:
        return f"{{{least}}}"
    if not high:
        return f"{{{least},}}"
    most = min(int(high), _REPEAT_LIMIT)
    if int(low) > int(high):
        raise BadPattern(f"the repetition {{{low},{high}}} is out of order")
    return f"{{{least},{most}}}"


def _range(first: Ranges, last: Ranges) -> list[tuple[int, int]]:
    if len(first) != 1 or len(last) != 1 or first[0][0] != first[0][1] or last[0][0] != last[0][1]:
        return [*first, (0x2D, 0x2D), *last]  # annex B: beside a set, '-' is itself
    if first[0][0] > last[0][0]:
        raise BadPattern(f"the range {chr(first[0][0])}-{chr(last[0][0])} is out of order")
    return [(first[0][0], last[0][0])]


def _no_surrogate(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        raise BadPattern(
            "half a character (a lone surrogate) matches nothing here",
            r"write the whole character, as in '\u{1F600}'",
        )
    return character


def _nothing_to_repeat(character: str) -> BadPattern:
    hint = rf"write '\{character}' for the character itself"
    return BadPattern(f"'{character}' has nothing to repeat", hint)


def _strange_group(rest: str) -> BadPattern:
    if rest.startswith("P"):
        return BadPattern("'(?P' is Python's spelling", r"write '(?<name>…)' and '\k<name>'")
    if re.match(r"[a-zA-Z-]*\)", rest):
        return BadPattern(
            "flags inside a pattern are not supported",
            "for any letter case use 'type: contains', 'regex: true', 'case_sensitive: false'",
        )
    return BadPattern(f"unknown kind of group '(?{rest[:1]}'", r"write '\(' for the character")


def _unknown_escape(letter: str) -> BadPattern:
    hints = {
        "A": "write '^' for the beginning of the text",
        "Z": "write '$' for the end of the text",
        "z": "write '$' for the end of the text",
        "p": "write the letters as a set, such as '[a-zäöü]'",
        "h": "write '[ \\t]'",
        "R": "write '\\r?\\n'",
        "0": "write a character's number as '\\x41'",
    }
    return BadPattern(rf"'\{letter}' has no meaning in a pattern", hints.get(letter, ""))
