from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_fsm.errors import ExecutionError
from finetune_fsm.execution.files import (
    TEXT_LIMIT,
    Folders,
    attach,
    locate,
    read_bytes,
    read_text,
)
from finetune_fsm.execution.interpolation import Filled, fill

PNG = b"\x89PNG\r\n\x1a\n rest"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workflow's folder, a run directory, a current folder, and secrets beside them."""
    for name in ("flow", "run", "here", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "note.txt").write_text(f"note in {name}")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def folders(place: Path) -> Folders:
    return Folders(place / "flow", place / "run")


def built(path: str) -> Filled:
    """A path that came out of a variable."""
    return fill("{{p}}", {"p": path})


# Trust

steps = st.sampled_from(
    [
        "..",
        ".",
        "note.txt",
        "secret",
        "flow",
        "run",
        "here",
        "out",
        "in",
        "loop",
        "~",
        "\0",
        "",
        "/",
    ]
)


@st.composite
def paths(draw: st.DrawFn) -> str:
    """Paths as an attacker writes them; ``<root>`` stands for the folder around everything."""
    start = draw(st.sampled_from(["", "/", "<root>/", "<root>/flow/", "~/", "/proc/self/cwd/"]))
    return start + "/".join(draw(st.lists(steps | st.text(max_size=3), max_size=6)))


@given(paths())
@example("../secret/note.txt")
@example("<root>/secret/note.txt")
@example("../flowers/note.txt")
@example("out/note.txt")
@example("in/out/note.txt")
@example("/dev/stdin")
def test_no_value_leads_to_a_file_outside(
    tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    flow, run, secret = root / "flow", root / "run", root / "secret"
    for folder in (flow, run, secret, root / "flowers"):
        folder.mkdir()
        (folder / "note.txt").write_text(f"note in {folder.name}")
    (flow / "out").symlink_to(secret)
    (flow / "in").symlink_to(flow)
    (flow / "loop").symlink_to(flow / "loop")
    try:
        found = locate(built(path.replace("<root>", str(root))), Folders(flow, run))
    except ExecutionError:
        return
    real = Path(os.path.realpath(found))
    assert any(real.is_relative_to(f) for f in (flow, run, Path.cwd()))


@given(paths())
def test_files_outside_never_reach_a_prompt_through_a_value(
    tmp_path_factory: pytest.TempPathFactory, path: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    for name in ("flow", "run", "secret"):
        (root / name).mkdir()
    (root / "secret" / "note.txt").write_text("SECRET")
    (root / "flow" / "out").symlink_to(root / "secret")
    try:
        got = attach(
            [built(path.replace("<root>", str(root)))], Folders(root / "flow", root / "run")
        )
    except ExecutionError:
        return
    assert "SECRET" not in got.text


@pytest.mark.parametrize("where", ["flow", "run", "here"])
def test_a_value_may_name_a_file_in_the_three_trusted_folders(place: Path, where: str) -> None:
    path = built(str(place / where / "note.txt"))
    assert f"note in {where}" in attach([path], folders(place)).text


@pytest.mark.parametrize("path", ["../secret/note.txt", "{root}/secret/note.txt", "/etc/passwd"])
def test_a_path_that_a_person_wrote_may_point_anywhere(place: Path, path: str) -> None:
    literal = Filled(path.replace("{root}", str(place)))
    assert locate(literal, folders(place)).exists()


def test_a_refused_path_says_which_value_built_it_and_what_to_do(place: Path) -> None:
    (place / "flow" / "link.txt").symlink_to(place / "secret" / "note.txt")
    for path in ("../secret/note.txt", "link.txt", str(place / "secret/note.txt")):
        with pytest.raises(ExecutionError, match=r"'p' and leads out .* move the file"):
            attach([built(path)], folders(place))


def test_a_refusal_does_not_tell_whether_the_file_exists(place: Path) -> None:
    def refusal(path: str) -> str:
        with pytest.raises(ExecutionError) as caught:
            attach([built(path)], folders(place))
        return str(caught.value).replace(path, "")

    assert refusal("../secret/note.txt") == refusal("../secret/nothing.txt")


def test_an_empty_value_in_a_literal_path_counts_as_a_value(place: Path) -> None:
    with pytest.raises(ExecutionError, match="refused"):
        locate(fill("/etc/{{p}}passwd", {"p": ""}), folders(place))


# Looking up


def test_a_relative_path_is_looked_up_by_the_workflow_then_in_the_current_folder(
    place: Path,
) -> None:
    assert locate(Filled("note.txt"), folders(place)) == place / "flow" / "note.txt"
    (place / "flow" / "note.txt").unlink()
    assert locate(Filled("note.txt"), folders(place)) == place / "here" / "note.txt"
    (place / "here" / "note.txt").unlink()
    assert locate(Filled("note.txt"), folders(place)) == place / "flow" / "note.txt"


def test_a_current_folder_that_is_gone_does_no_harm(place: Path) -> None:
    gone = place / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert "note in flow" in attach([built("note.txt")], folders(place)).text


# Reading


def test_text_files_follow_between_marked_lines_in_order(place: Path) -> None:
    (place / "flow" / "data.JSON").write_text('{"a": "{{p}}"}\n')
    got = attach([Filled("note.txt"), Filled("data.JSON")], folders(place))
    assert got.text == (
        "\n\n--- Content from note.txt ---\nnote in flow\n--- End of note.txt ---"
        '\n\n--- Content from data.JSON ---\n{"a": "{{p}}"}\n--- End of data.JSON ---'
    )
    assert got.images == got.problems == ()


@pytest.mark.parametrize("kind", [".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".PNG"])
def test_images_go_as_bytes(place: Path, kind: str) -> None:
    (place / "flow" / f"i{kind}").write_bytes(PNG)
    assert attach([Filled(f"i{kind}")], folders(place)).images == (PNG,)


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=50))
def test_a_text_file_is_read_exactly(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("x") / "x.txt"
    path.write_bytes(text.encode())
    assert read_text(path) == text.removeprefix("\ufeff")


@given(st.binary(max_size=40), st.integers(0, 40))
def test_bytes_are_read_whole_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, limit: int
) -> None:
    path = tmp_path_factory.mktemp("x") / "x.bin"
    path.write_bytes(data)
    if len(data) <= limit:
        assert read_bytes(path, limit=limit) == data
    else:
        with pytest.raises(ExecutionError, match="longer than"):
            read_bytes(path, limit=limit)


def unreadable(folder: Path) -> dict[str, str]:
    """Files that cannot be read, and words of the reason."""
    (folder / "folder.txt").mkdir()
    os.mkfifo(folder / "pipe.txt")
    (folder / "device.txt").symlink_to("/dev/zero")
    (folder / "dangling.txt").symlink_to(folder / "nowhere")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    (folder / "huge.txt").write_bytes(b"x" * (TEXT_LIMIT + 1))
    (folder / "fake.png").write_bytes(b"<html>")
    (folder / "empty.png").write_bytes(b"")
    (folder / "old.doc").write_bytes(b"x")
    (folder / "program.exe").write_bytes(b"x")
    return {
        "missing.txt": "no such file",
        "folder.txt": "not a regular file",
        "pipe.txt": "not a regular file",
        "device.txt": "not a regular file",
        "dangling.txt": "no such file",
        "loop.txt": "symbolic links",
        "latin.txt": "not UTF-8 text (byte 3)",
        "huge.txt": "longer than",
        "fake.png": "not an image",
        "empty.png": "not an image",
        "old.doc": "save it as .docx",
        "program.exe": "known kinds: .bmp, .csv",
        "nul\0.txt": "not possible",
        "x" * 300 + ".txt": "too long",
    }


@pytest.mark.timeout(10)
def test_what_cannot_be_read_is_a_problem_that_names_it_and_the_rest_goes_on(place: Path) -> None:
    socket.socket(socket.AF_UNIX).bind(str(place / "flow" / "socket.txt"))
    reasons = unreadable(place / "flow") | {"socket.txt": "not a regular file"}
    for name, reason in reasons.items():
        got = attach([Filled(name), Filled("note.txt")], folders(place))
        assert len(got.problems) == 1, name
        assert reason in got.problems[0], name
        assert got.problems[0].startswith(f"file '{name[:3]}")
        assert "\0" not in got.problems[0]
        assert "note in flow" in got.text
        assert got.images == ()
