"""Everything that is shown: whole pages, made of what the other modules know."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import FinetuneError
from finetune_fsm.runs.history import History
from finetune_fsm.scenarios.load import find_suite
from finetune_fsm.serve.desk import Desk, Kind, Work
from finetune_fsm.serve.details import drawn, problems, servers, text_of, verdict
from finetune_fsm.serve.forms import actions, resume_form, stop_form
from finetune_fsm.serve.frame import page
from finetune_fsm.serve.markup import Child, Markup, address, element
from finetune_fsm.serve.pieces import badge, line, number, problem, section, table, text_block
from finetune_fsm.serve.story import status_badge, story
from finetune_fsm.serve.views import Part, View, slot
from finetune_fsm.serve.watching import Watch, worked_on_elsewhere
from finetune_fsm.serve.workspace import Workspace
from finetune_fsm.workflow.load import check_file

RUNS_SHOWN = 50
"""Runs that the first page shows."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Makes the pages of one server.

    Attributes:
        space: The folder.
        desk: The work of this server.
        watch: The runs.
    """

    space: Workspace
    desk: Desk
    watch: Watch

    def overview(self) -> Markup:
        """Return the first page: workflows and runs."""
        found = self.first_view()
        return page("Workflows and runs", _slots(found), events=address("events"))

    def first_view(self) -> View:
        """Return the parts of the first page."""
        workflows = self.space.workflows()
        rows = [self._workflow_row(path) for path in workflows]
        heads = ("Workflow", "File", "Checked", "Tests", "Last run")
        none = "No workflows here or below: a workflow is a YAML file with states."
        first = table("Workflows", heads, rows) if rows else element("p", none)
        found = self.space.runs()
        runs = self._run_table(found[:RUNS_SHOWN], "No runs yet: a finetune makes one.")
        more = len(found) - RUNS_SHOWN
        older = f"{number(more)} older: 'agentmech runs' lists them." if more > 0 else None
        works = [self._work_row(work) for work in self.desk.at_work()]
        busy = section("Going on", element("ul", works)) if works else Markup("")
        return (
            Part("works", busy),
            Part("workflows", section("Workflows", first)),
            Part("runs", section("Runs", runs, element("p", older) if older else None)),
        )

    def workflow(self, path: Path) -> Markup:
        """Return the page of the workflow at *path*."""
        checked = check_file(path)
        found = checked.workflow
        title = line(found.name if found else path.name)
        runs = self._run_table(self.space.runs_of(path)[:RUNS_SHOWN], "No runs yet.")
        return page(
            title,
            element("p", line(self.space.shown(path), limit=1000), class_="path"),
            element("p", found.description, class_="about") if found else None,
            problems(checked),
            actions(self.space.key(path), tested=find_suite(path) is not None) if found else None,
            servers(found) if found else None,
            section("Graph", drawn(found)) if found else None,
            section("File", text_block(text_of(path), "The workflow's file")),
            section("Runs", runs),
        )

    def work(self, work: Work) -> Markup:
        """Return the page of *work*."""
        told = {Kind.RUN: "Run of", Kind.TEST: "Test of", Kind.FINETUNE: "Finetune of"}
        return page(
            f"{told[work.kind]} {line(work.workflow.name)}",
            element("p", self._link_to(work.workflow), class_="path"),
            _slots(self.work_view(work)),
            events=address("job", work.key, "events"),
        )

    def work_view(self, work: Work) -> View:
        """Return the parts of the page of *work*."""
        over = work.over.is_set()
        view = work.board.view()
        error = problem(work.error) if work.error else Markup("")
        controls = Markup("") if over else stop_form(work.key)
        link = Markup("")
        if work.kind is Kind.FINETUNE and work.folder is not None:
            there = address("run", self.space.key(work.folder))
            link = element("p", element("a", "See the run", href=there, data_go=True))
        elif work.kind is Kind.FINETUNE and not over:
            link = element("p", badge("starting", "live"))
        return (
            *view[:1],
            Part("controls", controls),
            Part("error", error),
            Part("go", link),
            *view[1:],
        )

    def run(self, folder: Path) -> Markup:
        """Return the page of the run in *folder*.

        Raises:
            FinetuneError: its journal cannot be read.
        """
        history = self.watch.history(folder)
        name = line(history.settings.workflow.name)
        return page(
            f"Finetune of {name}",
            element("p", self._origin(history), " · ", folder.name, class_="path"),
            _slots(self.run_view(folder)),
            events=address("run-events", self.space.key(folder)),
        )

    def run_view(self, folder: Path, *, now: bool = True) -> View:
        """Return the parts of the page of the run in *folder*; raises as `run` does.

        Args:
            folder: Of the run.
            now: Whether a long journal may not be one that was read a moment ago. When work of
                this server is over it never is: what stands there then stays there.
        """
        work = self.desk.on_run(folder)
        mine = work is not None and not work.over.is_set()
        history = self.watch.history(folder, now=now or (work is not None and not mine))
        other = None if work else worked_on_elsewhere(folder, history)
        live = mine or other is not None
        standing, loop, scores, events = story(history, live=live)
        question = work.board.view() if work and mine else _nothing_asked()
        error = problem(work.error) if work and work.error else Markup("")
        controls = Markup("")
        if work and mine:
            controls = stop_form(work.key)
        elif other is not None:
            told = f"Process {other} is at work on it; this page only reads."
            controls = element("p", told, class_="note")
        elif not history.finished and self.space.holds(history.settings.workflow):
            controls = resume_form(self.space.key(folder))
        return (
            standing,
            Part("controls", controls),
            Part("error", error),
            *question,
            loop,
            scores,
            events,
        )

    def over(self, folder: Path) -> bool:
        """Whether nothing of the run in *folder* will change any more."""
        work = self.desk.on_run(folder)
        at_work = work is not None and not work.over.is_set()
        return not at_work and self.watch.history(folder, now=False).finished

    def _workflow_row(self, path: Path) -> tuple[Child, ...]:
        checked = check_file(path)
        name = checked.workflow.name if checked.workflow else path.stem
        link = element("a", line(name), href=address("workflow", self.space.key(path)))
        suite = find_suite(path)
        runs = self.space.runs_of(path)
        last = self._run_link(runs[0]) if runs else "-"
        file = line(self.space.shown(path))
        return (link, file, verdict(checked), line(suite.name) if suite else "-", last)

    def _run_table(self, folders: list[Path], otherwise: str) -> Markup:
        rows = [self._run_row(folder) for folder in folders]
        if not rows:
            return element("p", otherwise)
        heads = ("Run", "Workflow", "Status", "Iterations", "Passed", "LLM calls", "Started")
        return table("Runs, the newest first", heads, rows)

    def _run_row(self, folder: Path) -> tuple[Child, ...]:
        link = element("a", folder.name, href=address("run", self.space.key(folder)))
        try:
            history = self.watch.history(folder)
        except FinetuneError as error:
            return (link, "", badge("unreadable", "bad"), line(str(error)), "", "", "")
        run = history.run
        passed = f"{run.best.report.passed}/{run.best.report.total}" if run.best else "-"
        status = status_badge(history, live=self._live(folder, history))
        calls = number((run.usage + history.owed).calls)
        started = line(history.beginning.started.replace("T", " ").replace("+00:00", " UTC"))
        origin, iterations = self._origin(history), str(len(run.history))
        return (link, origin, status, iterations, passed, calls, started)

    def _run_link(self, folder: Path) -> Markup:
        status: Child = badge("unreadable", "bad")
        with suppress(FinetuneError):
            history = self.watch.history(folder)
            status = status_badge(history, live=self._live(folder, history))
        return element("a", status, href=address("run", self.space.key(folder)))

    def _live(self, folder: Path, history: History) -> bool:
        work = self.desk.on_run(folder)
        if work is not None:
            return not work.over.is_set()
        return worked_on_elsewhere(folder, history) is not None

    def _work_row(self, work: Work) -> Markup:
        text = f"{work.kind} of {line(work.workflow.name)}"
        return element("li", element("a", text, href=address("job", work.key)))

    def _origin(self, history: History) -> Child:
        return self._link_to(history.settings.workflow)

    def _link_to(self, workflow: Path) -> Child:
        shown = line(self.space.shown(workflow), limit=1000)
        if not workflow.is_relative_to(self.space.root) or not self.space.holds(workflow):
            return shown
        return element("a", shown, href=address("workflow", self.space.key(workflow)))


def _slots(view: View) -> list[Markup]:
    return [slot(piece) for piece in view]


def _nothing_asked() -> View:
    return (Part("question", Markup("")), Part("progress", Markup("")))
