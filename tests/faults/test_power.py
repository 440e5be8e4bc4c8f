"""The power fails after any operation: what is on the disk is old or new, and goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from crash import guests
from crash.disk import JOURNAL, Disk, Operation, note_in
from crash.power import Image, build, failures

from finetune_fsm.api import finetune, finish, reopen_run
from finetune_fsm.errors import BadRun, UsageError
from finetune_fsm.llm.base import Request
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.loop.outcomes import Finished, Prepared, Saved
from finetune_fsm.runs import places
from finetune_fsm.runs.history import load
from finetune_fsm.storage.journal import Record, parsed, read

RESUMED = 45
"""One image in so many is gone on with; all are looked at."""


def model(request: Request) -> str:
    return guests.reply(request.text, warm=bool(request.options.get("temperature")))


class Scene:
    """One whole run, recorded: what it did to the disk, and what it left."""

    def __init__(self, folder: Path, *, tests: bool) -> None:
        self.folder = folder
        folder.mkdir()
        workflow = guests.write(folder, tests=tests)
        self.given = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.operations: list[Operation] = []
        output = folder / "new" / "deep" / "best.yaml"
        with Disk(folder, note_in(self.operations)).watched():
            finetune(workflow, llm=ScriptedLLM(model), max_iterations=3, output=output)
        (run,) = places.in_home(self.home)
        self.records = read(run / JOURNAL).records
        self.files = self._files()

    @property
    def home(self) -> Path:
        return self.folder / f"{guests.NAME}{places.SUFFIX}"

    def _files(self) -> Mapping[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name not in (JOURNAL, "lock")
        }

    def images(self) -> Sequence[tuple[int, Image]]:
        return list(failures(self.operations))

    def look(self, number: int, image: Image) -> None:
        """What is visible is whole; what was journaled by then is there, and it is true."""
        done = [operation for operation in self.operations if operation.number <= number]
        due = sum(operation.kind == "journal fsync" for operation in done)
        found = [len(parsed(data or b"").records) for n, data in image.items() if JOURNAL in n]
        assert max(found, default=0) >= due
        for name, data in image.items():
            if data is not None and not name.endswith((".tmp", JOURNAL, "lock")):
                assert data == self.files[name], name
        for name, data in image.items():
            if data is not None and name.endswith(JOURNAL):
                records = parsed(data).records
                assert records == self.records[: len(records)]
                self._check_promises(records, image)

    def _check_promises(self, records: Sequence[Record], image: Image) -> None:
        """A step that says a file is there was journaled after the file was safe."""
        for record in records:
            outcome = record.data.get("outcome")
            if record.kind == "step" and isinstance(outcome, dict):
                event = record.data["event"]
                generated = event == Prepared.event and outcome["generated"]
                key = {Saved.event: "paths", Finished.event: "output"}.get(str(event))
                told = outcome["tests"] if generated else outcome[key] if key else None
                for path in [told] if isinstance(told, str) else told or ():
                    assert str(Path(path).relative_to(self.folder)) in image, event

    def go_on(self, image: Image) -> None:
        """Rebuild the folder, resume, and compare with the run that had no trouble."""
        build(image, self.folder, self.given)
        asked: list[Request] = []

        def counted(request: Request) -> str:
            asked.append(request)
            return model(request)

        llm = ScriptedLLM(counted)
        known = self._known()
        if known is None:
            output = self.folder / "new" / "deep" / "best.yaml"
            finetune(self.folder / f"{guests.NAME}.yaml", llm=llm, max_iterations=3, output=output)
        else:
            try:
                with reopen_run(self.home, llm=llm) as session:
                    finish(session.loop)
            except UsageError as error:
                assert "is finished" in str(error)  # noqa: PT017
            assert len(asked) == len(self._calls()) - known
        assert self._files() == self.files
        assert self._steps() == self._told

    def _known(self) -> int | None:
        try:
            return len(load(places.find(self.home)).calls)
        except (BadRun, UsageError) as error:
            if "ended before it began" in str(error) or "no run" in str(error):
                return None
            raise

    def _calls(self) -> Sequence[object]:
        return load(places.find(self.home)).calls

    def _steps(self) -> Sequence[object]:
        return [entry.outcome.event for entry in load(places.find(self.home)).entries]

    @property
    def _told(self) -> Sequence[object]:
        return [record.data["event"] for record in self.records if record.kind == "step"]


@pytest.fixture(scope="module", params=[True, False], ids=["tests given", "tests written"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("power") / "here", tests=request.param)


def test_whatever_arrived_on_the_disk_is_old_or_new_and_never_garbage(scene: Scene) -> None:
    images = scene.images()
    assert len(images) > len(scene.operations)
    for number, image in images:
        scene.look(number, image)


def test_whatever_arrived_on_the_disk_can_be_gone_on_with(scene: Scene) -> None:
    for number, image in scene.images()[::RESUMED]:
        try:
            scene.go_on(image)
        except AssertionError as error:
            raise AssertionError(f"after operation {number}: {sorted(image)}") from error


def test_the_last_image_is_the_run_itself(scene: Scene) -> None:
    *_, (_, image) = scene.images()
    for name, data in scene.files.items():
        if name not in scene.given:
            assert hashlib.sha256(image[name] or b"").digest() == hashlib.sha256(data).digest()
