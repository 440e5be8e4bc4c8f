"""The loop, driven one step at a time; the only module that knows `transitions`.

A step: tell the observers, let the state's handler work, learn from its outcome, let the table
decide. Observers may veto by raising, and the journal may fail to write: both happen before the
machine moves, so the loop stands where it stood and the step can be taken again.

Measured traps of transitions 0.9.3 that shaped this module: ``auto_transitions`` adds a
``to_SAVING()`` that walks round the gate; exceptions in ``finalize_event`` are swallowed;
``on_exception`` swallows even KeyboardInterrupt; when no guard holds a trigger only returns
False; triggers fired from callbacks recurse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transitions import EventData, Machine

from finetune_fsm.errors import BudgetSpent, Cancelled, NoRuleError
from finetune_fsm.llm.base import Usage
from finetune_fsm.loop.handlers import HANDLERS, Handler
from finetune_fsm.loop.learning import advance
from finetune_fsm.loop.outcomes import SPENT, Ending, Interrupted, Outcome
from finetune_fsm.loop.run import Run
from finetune_fsm.loop.table import RULES, Guard, LoopState, Rule
from finetune_fsm.loop.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class Entered:
    """The loop is about to work in *state*; an observer may take its time here."""

    state: LoopState
    run: Run


@dataclass(frozen=True, slots=True)
class Leaving:
    """The work in *state* is done; an observer may veto the move by raising.

    Attributes:
        state: Where the loop stands.
        outcome: What the handler reported.
        target: Where it will go.
        run: What is known, the outcome included.
    """

    state: LoopState
    outcome: Outcome
    target: LoopState
    run: Run


class Instead(Exception):  # no error, but an observer's way to say it
    """Raised by an observer at `Entered`: *handler* does the work of this one step.

    Attributes:
        handler: As one of those that the loop has by state.
    """

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler)
        self.handler = handler


Moment = Entered | Leaving
Observer = Callable[[Moment], None]
"""Told of every moment; ``list.append`` is one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One step taken: what a journal holds, and what iterating a loop yields."""

    number: int
    state: LoopState
    outcome: Outcome
    target: LoopState


Journal = Callable[[Entry, Run], None]
"""Writes down an entry, and what is known after it; raising keeps the loop where it is."""


class Loop:
    """The improvement loop as an iterator of entries: ``for entry in loop`` steps it.

    Args:
        run: What is known at the start.
        tools: The effects.
        handlers: By state; the standard ones unless given.
        observers: Told of every moment, in order.
        journal: Writes entries down.
        state: Where to start; PREPARING unless a run is resumed.
        entries: The steps taken in earlier sessions.

    Attributes:
        run: What is known now.
        entries: The steps taken so far.
    """

    def __init__(
        self,
        run: Run,
        tools: Toolbox,
        *,
        handlers: Mapping[LoopState, Handler] = HANDLERS,
        observers: Sequence[Observer] = (),
        journal: Journal | None = None,
        state: LoopState = LoopState.PREPARING,
        entries: tuple[Entry, ...] = (),
    ) -> None:
        self.run = run
        self.entries = entries
        self._tools = tools
        self._handlers = handlers
        self._observers = tuple(observers)
        self._journal = journal
        self._unsettled = Usage()
        self._staged: tuple[Run, Outcome] | None = None
        self._walker = _Walker()
        self._machine = Machine(
            model=self._walker,
            states=[s.value for s in LoopState],
            initial=state.value,
            transitions=[self._transition(rule) for rule in RULES],
            auto_transitions=False,  # a to_SAVING() would walk round the gate
            send_event=True,
            ignore_invalid_triggers=True,  # the trigger returns False, and we raise our own error
            before_state_change=self._leave,
        )

    @property
    def state(self) -> LoopState:
        """Where the loop stands."""
        return LoopState(self._walker.state)

    @property
    def done(self) -> bool:
        """Whether no step is left."""
        return self.state is LoopState.DONE

    def __iter__(self) -> Iterator[Entry]:
        """Step until done."""
        while not self.done:
            yield self.step()

    def step(self) -> Entry:
        """Work in the present state and move on; return the entry.

        An observer that raises `Cancelled` when the state is entered ends the run there, with the
        best kept; one that raises `Instead` has the step done in another way.

        Raises:
            LLMError: the world broke; the loop stands where it stood.
            StorageError: the same.
            NoRuleError: the table has a hole.
        """
        state = self.state
        handler = self._handlers[state]
        try:
            self._tell(Entered(state, self.run))
        except Instead as instead:
            handler = instead.handler
        except Cancelled:
            if state is LoopState.FINISHING:
                raise
            return self._take(state, Interrupted())
        return self._take(state, self._work(state, handler))

    def interrupt(self, ending: Ending, message: str = "") -> None:
        """Go to FINISHING from wherever the loop stands, and finish; the best so far is kept."""
        if self.state not in (LoopState.FINISHING, LoopState.DONE):
            self._take(self.state, Interrupted(ending, message))
        for _ in self:
            pass

    def _work(self, state: LoopState, handler: Handler) -> Outcome:
        stop = self._tools.stop
        try:
            if stop and state is not LoopState.FINISHING:
                stop.check()
            return handler(self.run, self._tools)
        except BudgetSpent as spent:
            return Interrupted(SPENT[spent.budget])
        except Cancelled:
            return Interrupted()

    def _take(self, state: LoopState, outcome: Outcome) -> Entry:
        self._unsettled += self._tools.meter.lap()  # a vetoed step has spent what it spent
        outcome = replace(outcome, usage=self._unsettled)
        self._staged = (advance(self.run, outcome), outcome)
        # The trigger returns False and says nothing when no rule fits.
        if not self._walker.trigger(outcome.event):
            raise NoRuleError(f"no rule for '{outcome.event}' in {state}")
        self.run = self._staged[0]
        self._unsettled = Usage()
        return self.entries[-1]

    def _transition(self, rule: Rule) -> dict[str, Any]:
        guards = [self._guard(rule.when)] if rule.when else []
        return {
            "trigger": rule.event,
            "source": rule.source.value,
            "dest": rule.target.value,
            "conditions": guards,
        }

    def _guard(self, when: Guard) -> Callable[[EventData], bool]:
        def holds(_: EventData) -> bool:
            assert self._staged is not None  # noqa: S101  # set before every trigger
            return bool(when(self._staged[0]))

        return holds

    def _leave(self, event: EventData) -> None:
        """Veto, then journal, then let the library move."""
        assert self._staged is not None  # noqa: S101  # set before every trigger
        assert event.transition is not None  # noqa: S101  # a callback of a transition
        run, outcome = self._staged
        state, target = LoopState(event.transition.source), LoopState(event.transition.dest or "")
        self._tell(Leaving(state, outcome, target, run))
        entry = Entry(len(self.entries) + 1, state, outcome, target)
        if self._journal:
            self._journal(entry, run)
        self.entries = (*self.entries, entry)

    def _tell(self, moment: Moment) -> None:
        for observer in self._observers:
            try:
                observer(moment)
            except Exception as error:
                name = getattr(observer, "__qualname__", type(observer).__qualname__)
                what = type(moment).__name__
                error.add_note(f"raised by the observer {name} at {what} {moment.state}")
                raise


class _Walker:
    """What the library moves; kept apart so that it adds no names to `Loop`."""

    state: str
    trigger: Callable[[str], bool]
