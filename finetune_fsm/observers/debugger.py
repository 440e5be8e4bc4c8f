"""A debugger for the loop: an observer that stops at `Entered` and takes commands.

It changes nothing by itself: a run that was only stepped through has the journal of one that was
not. `back` and `what-if` leave the run as it stands by raising `Detour`; whoever drives the loop
forks it there and goes on in the fork, with the same debugger (`go_on`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path

from finetune_fsm.errors import Cancelled, Paused, Problem, UsageError
from finetune_fsm.improve.model import Attempt, Draft
from finetune_fsm.improve.proposals import plan
from finetune_fsm.loop.handlers import Handler
from finetune_fsm.loop.handlers.checking import judged
from finetune_fsm.loop.handlers.modifying import attempted
from finetune_fsm.loop.machine import Entered, Entry, Instead, Leaving, Moment
from finetune_fsm.loop.outcomes import Checked, Modified, Outcome
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import LoopState
from finetune_fsm.loop.toolbox import Toolbox
from finetune_fsm.observers.dialogue import Dialogue
from finetune_fsm.observers.drawing import about, legend, machine, ways
from finetune_fsm.observers.editing import edited_draft
from finetune_fsm.observers.inspection import printed
from finetune_fsm.observers.lines import Line, Tone
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line

PROMPT = "(agentmech) "

SHOWN = 20
"""Entries listed, and ideas named, at most."""

HELP = (
    "  n(ext)              take this step and stop before the next one; Enter alone does the same",
    "  c(ontinue)          go on to the next breakpoint",
    "  p(rint) [WHAT]      run, best, draft, diff, analysis, scenario [NAME], prompt [STATE]",
    "  e(dit)              change the draft in your editor; the gate looks at it",
    "  b(ack) [N]          go N steps back, in a new run; this one stays as it is",
    "  w(hat-if) [N|skip]  in a new run: another idea first, or without the draft in CHECKING",
    "  l(ist)              the steps so far, and the drawing with all ways",
    "  break STATE         stop before STATE; 'clear STATE' no more",
    "  q(uit)              keep the best and end; 'agentmech resume' goes on here",
    "  h(elp)              this",
)


class Detour(Paused):
    """The run is left as it stands, to go on in a fork of it.

    Attributes:
        keep: Steps that the fork begins with.
        instead: Does the fork's first step, or None for the state's own handler.
        folder: Of the run that is left; who drives it fills it in.
    """

    def __init__(self, keep: int, instead: Handler | None = None) -> None:
        super().__init__(f"go on in a fork of the first {keep} steps")
        self.keep = keep
        self.instead = instead
        self.folder: Path | None = None


def states_named(names: Iterable[str]) -> frozenset[LoopState]:
    """Return the states of the loop with these *names*, in any letter case.

    Raises:
        UsageError: there is no such state; says which was likely meant.
    """
    there = [state.value for state in LoopState if state is not LoopState.DONE]
    found = []
    for name in names:
        wanted = name.strip().upper()
        if wanted not in there:
            hint = suggestion(wanted, tuple(there)) or f"there is {', '.join(there)}"
            raise UsageError(f"the loop has no state '{one_line(name)}' — {hint}")
        found.append(LoopState(wanted))
    return frozenset(found)


class Debugger:
    """An observer that a person steps through the loop with.

    Args:
        talk: The person; the one at the terminal without.
        step: Whether to stop before the first state, and not only at breakpoints.
        breakpoints: Names of states of the loop.

    Attributes:
        entries: The steps so far; set it when a run is resumed.
    """

    def __init__(
        self,
        talk: Dialogue | None = None,
        *,
        step: bool = True,
        breakpoints: Iterable[str] = (),
    ) -> None:
        self.entries: tuple[Entry, ...] = ()
        self._talk = talk or Dialogue()
        self._stepping = step
        self._breakpoints = set(states_named(breakpoints))
        self._leaving: Leaving | None = None
        self._instead: Handler | None = None
        self._over = False

    def __call__(self, moment: Moment) -> None:
        """Stop at *moment*, if it is one to stop at.

        Raises:
            Cancelled: the person quits.
            Instead: they have the step done in another way.
            Detour: they go on in a fork.
        """
        if isinstance(moment, Leaving):
            self._leaving = moment
            return
        self._remember(moment)
        if self._instead is not None:
            handler, self._instead = self._instead, None
            raise Instead(handler)
        if self._over or not (self._stepping or moment.state in self._breakpoints):
            return
        try:
            self._stop(moment)
        except (EOFError, KeyboardInterrupt, Cancelled) as end:
            self._over = True
            if moment.state is not LoopState.FINISHING:  # there, it does what quitting would do
                raise Cancelled from end

    def go_on(self, detour: Detour) -> None:
        """Be the debugger of the fork that *detour* asked for."""
        self._leaving = None
        self._over = False
        self._instead = detour.instead
        self._stepping = True

    def _remember(self, moment: Entered) -> None:
        """Take the step that led here among the entries; one that was vetoed led nowhere."""
        left, self._leaving = self._leaving, None
        if left is not None and left.target is moment.state:
            number = len(self.entries) + 1
            self.entries += (Entry(number, left.state, left.outcome, left.target),)

    def _stop(self, moment: Entered) -> None:
        state, run = moment.state, moment.run
        self._tell("", *machine(state).splitlines(), "")
        self._tell(f"{state}: about to {about(state, run)}", tone=Tone.TITLE)
        self._tell(f"  then {ways(state)}", tone=Tone.FAINT)
        while not self._obeyed(self._talk.ask(PROMPT), moment):
            pass

    def _obeyed(self, typed: str, moment: Entered) -> bool:
        """Do what was *typed*; return whether the loop goes on."""
        word, _, rest = typed.strip().partition(" ")
        name = _SHORT.get(word.lower(), word.lower())
        command = _COMMANDS.get(name)
        if command is None:
            hint = suggestion(name, tuple(_COMMANDS)) or "h shows what there is"
            self._tell(f"  there is no command '{one_line(word)}' — {hint}", tone=Tone.WARNING)
            return False
        try:
            return command(self, moment, rest.strip())
        except UsageError as error:
            self._tell(f"  {error}", tone=Tone.WARNING)
            return False

    def _next(self, moment: Entered, rest: str) -> bool:
        del moment, rest
        self._stepping = True
        return True

    def _continue(self, moment: Entered, rest: str) -> bool:
        del moment, rest
        self._stepping = False
        return True

    def _print(self, moment: Entered, rest: str) -> bool:
        what, _, more = rest.partition(" ")
        for line in printed(what.lower() or "run", more.strip(), moment.run, moment.state):
            self._talk.tell(line)
        return False

    def _edit(self, moment: Entered, rest: str) -> bool:
        del rest
        if moment.state not in _EDITABLE or moment.run.draft is None:
            raise UsageError("there is a draft to edit in CHECKING, or in MODIFYING to repair it")
        own = edited_draft(moment.run, moment.run.draft, self._talk)
        if own is not None:
            raise Instead(_EDITABLE[moment.state](own))
        return False

    def _back(self, moment: Entered, rest: str) -> bool:
        del moment
        if rest and not rest.isdecimal():
            raise UsageError("back takes a number of steps")
        keep = len(self.entries) - int(rest or 1)
        if not 1 <= keep < len(self.entries):
            raise UsageError(f"there are {len(self.entries)} steps behind, and one must stay")
        raise Detour(keep)

    def _what_if(self, moment: Entered, rest: str) -> bool:
        run = moment.run
        if moment.state is LoopState.CHECKING and run.draft is not None and rest == "skip":
            raise Detour(len(self.entries), _skipped)
        if moment.state is LoopState.MODIFYING and run.analysis and not run.problems:
            ideas = [
                attempt for attempt in plan(run.analysis, run.means) if attempt not in run.tried
            ]
            if rest.isdecimal() and 1 <= int(rest) <= len(ideas):
                raise Detour(len(self.entries), partial(_attempted, ideas[int(rest) - 1]))
            lines = (f"  {n}. {_idea(run, idea)}" for n, idea in enumerate(islice(ideas, SHOWN), 1))
            self._tell(*lines)
            self._tell("  what-if N tries another one first, in a new run", tone=Tone.FAINT)
            return False
        raise UsageError("'what-if skip' is for CHECKING, 'what-if N' for MODIFYING")

    def _list(self, moment: Entered, rest: str) -> bool:
        del rest
        for entry in self.entries[-SHOWN:]:
            self._tell(f"  {entry.number:>4} {entry.state} → {entry.target}")
        self._tell(*machine(moment.state).splitlines(), *legend())
        stops = ", ".join(sorted(self._breakpoints)) or "none"
        self._tell(f"  breakpoints: {stops}")
        return False

    def _break(self, moment: Entered, rest: str) -> bool:
        del moment
        self._breakpoints |= states_named(rest.replace(",", " ").split() or [""])
        return False

    def _clear(self, moment: Entered, rest: str) -> bool:
        del moment
        self._breakpoints -= states_named(rest.replace(",", " ").split() or [""])
        return False

    def _quit(self, moment: Entered, rest: str) -> bool:
        del moment, rest
        raise Cancelled

    def _help(self, moment: Entered, rest: str) -> bool:
        del moment, rest
        self._tell(*HELP)
        return False

    def _tell(self, *lines: str, tone: Tone = Tone.PLAIN) -> None:
        for line in lines:
            self._talk.tell(Line(line, tone))


def _idea(run: Run, idea: Attempt) -> str:
    """What an entry of the plan would do, in a line."""
    analysis = run.analysis
    if analysis is None or idea.strategy == "merge":
        return f"{idea.strategy} {idea.index + 1}"
    if idea.free:
        return f"{idea.strategy}: {one_line(analysis.repairs[idea.index].why, limit=120)}"
    where = one_line(".".join(map(str, analysis.suspects[idea.index].path[1:])))
    return f"{idea.strategy} of {where}" + (" once more, sampled" if idea.variant else "")


def _attempted(attempt: Attempt, run: Run, tools: Toolbox) -> Outcome:
    return attempted(run, tools, attempt)


def _skipped(run: Run, tools: Toolbox) -> Outcome:
    del run, tools
    return Checked((Problem("skipped", "a person went on without it"),))


def _judged(own: Draft) -> Handler:
    return lambda run, _: judged(run, own)


def _repaired(own: Draft) -> Handler:
    return lambda run, _: Modified(run.attempt, own)


_EDITABLE: dict[LoopState, Callable[[Draft], Handler]] = {
    LoopState.CHECKING: _judged,
    LoopState.MODIFYING: _repaired,
}

_COMMANDS: dict[str, Callable[[Debugger, Entered, str], bool]] = {
    "next": Debugger._next,  # noqa: SLF001  # its own commands
    "continue": Debugger._continue,  # noqa: SLF001
    "print": Debugger._print,  # noqa: SLF001
    "edit": Debugger._edit,  # noqa: SLF001
    "back": Debugger._back,  # noqa: SLF001
    "what-if": Debugger._what_if,  # noqa: SLF001
    "list": Debugger._list,  # noqa: SLF001
    "break": Debugger._break,  # noqa: SLF001
    "clear": Debugger._clear,  # noqa: SLF001
    "quit": Debugger._quit,  # noqa: SLF001
    "help": Debugger._help,  # noqa: SLF001
}

_SHORT = {
    "": "next",
    "n": "next",
    "c": "continue",
    "p": "print",
    "e": "edit",
    "b": "back",
    "w": "what-if",
    "l": "list",
    "q": "quit",
    "h": "help",
    "?": "help",
}
