"""What a form asks for, done: work begun, answered, stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from finetune_fsm.api import settings_for
from finetune_fsm.errors import InvalidDocument, UsageError, errors_in
from finetune_fsm.scenarios.load import check_suite, find_suite
from finetune_fsm.serve import rolling, testing, tuning
from finetune_fsm.serve.desk import Desk, Kind, Work
from finetune_fsm.serve.forms import approval_of, calls_of, wishes_of
from finetune_fsm.serve.markup import address
from finetune_fsm.serve.watching import Watch
from finetune_fsm.serve.workspace import Workspace
from finetune_fsm.workflow.load import load
from finetune_fsm.workflow.model import Workflow

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Orders:
    """Takes orders for one server; each returns the address to look at next.

    All raise FinetuneError when what is asked for cannot be done, Busy when it is being done.
    """

    space: Workspace
    desk: Desk
    watch: Watch

    def start(self, what: str, fields: Fields) -> str:
        """Start *what*: ``run``, ``test``, ``finetune`` or ``resume``."""
        match what:
            case Kind.RUN:
                path, workflow = self._workflow(fields)
                work = Work(Kind.RUN, path, rolling.board())
                self.desk.start(work, lambda work: rolling.roll(work, self.desk, workflow))
            case Kind.TEST:
                work = self._test(fields)
            case Kind.FINETUNE:
                work = self._finetune(fields)
            case "resume":
                work = self._resume(fields)
            case _:
                raise UsageError("there is nothing of that name to start")
        return self._place(work)

    def answer(self, work: Work, fields: Fields) -> str:
        """Hand the answer in *fields* to *work*; one that comes too late changes nothing."""
        asked = fields.get("number", "")
        if not asked.isascii() or not asked.isdigit() or len(asked) > 9:
            raise UsageError("the answer does not say to what")
        work.board.answer(int(asked), fields)
        return self._place(work)

    def stop(self, work: Work) -> str:
        """Ask *work* to stop; what it has is kept."""
        work.stop.ask()
        return self._place(work)

    def _place(self, work: Work) -> str:
        if work.folder is not None:
            return address("run", self.space.key(work.folder))
        return address("job", work.key)

    def _test(self, fields: Fields) -> Work:
        path, workflow = self._workflow(fields)
        found = find_suite(path)
        if found is None or not self.space.holds(found):
            raise UsageError(f"{path.name} has no test file beside it")
        checked = check_suite(found, workflow=workflow)
        suite = checked.suite
        if suite is None:
            raise InvalidDocument(errors_in(checked.problems))
        work = Work(Kind.TEST, path, testing.board())
        self.desk.start(work, lambda work: testing.judge(work, self.desk, workflow, suite))
        return work

    def _finetune(self, fields: Fields) -> Work:
        path, _ = self._workflow(fields)
        wishes = wishes_of(fields)
        settings_for(path, **wishes)  # what makes no sense is told now, and here
        work = Work(Kind.FINETUNE, path, tuning.board())
        self.desk.start(work, lambda work: tuning.tune(work, self.desk, wishes))
        return work

    def _resume(self, fields: Fields) -> Work:
        folder = self.space.run(fields.get("run", ""))
        if folder is None:
            raise UsageError("there is no such run here")
        settings = self.watch.history(folder).settings
        if not self.space.holds(settings.workflow):
            raise UsageError("its workflow is not in this folder")
        calls, approval = calls_of(fields), approval_of(fields)
        budget = replace(settings.budget, calls=calls) if calls else None
        work = Work(Kind.FINETUNE, settings.workflow, tuning.board(), folder=folder)
        self.desk.start(
            work, lambda work: tuning.go_on(work, self.desk, budget=budget, approval=approval)
        )
        return work

    def _workflow(self, fields: Fields) -> tuple[Path, Workflow]:
        path = self.space.workflow(fields.get("workflow", ""))
        if path is None:
            raise UsageError("there is no such workflow here")
        return path, load(path)
