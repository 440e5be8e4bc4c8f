"""What one question may still cost, kept while one server after the other is asked it."""

from __future__ import annotations

from finetune_fsm.errors import LLMError
from finetune_fsm.llm.base import Stop


class GivenUp(Exception):
    """No further round is worth its while, though *error* might pass."""

    def __init__(self, error: LLMError) -> None:
        super().__init__()
        self.error = error


class Room(Stop):
    """Room in a budget for one request more, made before a wait and used up as it is sent.

    Args:
        outer: Looked at, and told of every request that is sent once more.

    Attributes:
        broken: Servers that broke over the question so far.
    """

    __slots__ = ("_made", "_outer", "broken")

    def __init__(self, outer: Stop) -> None:
        super().__init__()
        self._outer = outer
        self._made = True  # whoever asks has made room for the first
        self.broken = 0

    @property
    def asked(self) -> bool:
        """Whether somebody asked the outer one to stop."""
        return self._outer.asked

    def check(self) -> None:
        """Raise as the outer one does."""
        self._outer.check()

    def again(self, why: str = "") -> None:
        """Make room for one more, unless what was made is still there; raises as the outer one."""
        if self._made:
            self.check()
            if why:
                self._outer.tell(why)
        else:
            self._outer.again(why)
            self._made = True

    def pause(self, seconds: float, number: int, tries: int) -> None:
        """Pass it on."""
        self._outer.pause(seconds, number, tries)

    def use(self) -> None:
        """Take the room, which is made first where there is none."""
        if not self._made:
            self._outer.again()
        self._made = False
