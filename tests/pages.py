"""Pages of documentation as tests: their blocks are run in order, their output is compared.

A page is a Markdown file. These fenced blocks count, the others are only to be read:

- ``console``: lines that begin with ``$`` are commands, what follows a command is what it prints.
  A command with nothing below it only has to end well.
- ``bash``: a script.
- any language with ``title="NAME"``: the text is saved as the file NAME.
- ``python``: run; names live on from one block of a page to its next.

What a block is asked for in an HTML comment on the line above, which no reader sees:

- ``<!-- not run: REASON -->``: it is only to be read; `tests/docs` lists every one.
- ``<!-- exit: 1 -->``: the exit code of its commands is this, else 0.
- ``<!-- typed: y | n | q -->``: its one command gets a terminal, where a person types these lines;
  ``, exit: 130`` may follow.
- ``<!-- ends after: TEXT -->``: its one command gets a terminal, and Ctrl+C when TEXT was shown.

What is printed must be what the page shows, but for these: a line with ``...`` alone stands for
any lines, ``...`` within a line for any text; and times, names of runs, dates and ports are
compared as such, whatever their numbers. The folder of the page is ``/home/you`` in it.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from faults.terminal import CTRL_C, terminal

from finetune_fsm.cli.main import main

HOME = "/home/you"

_FENCE = re.compile(
    r"(?:^[ ]*<!-- (?P<mark>.*?) -->\n+)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)[ ]*(?P<info>.*)\n(?P<text>(?:.*\n)*?)(?P=indent)```$",
    re.MULTILINE,
)
_EXIT = re.compile(r"(?:^|, )exit: (\d+)$")
_TITLE = re.compile(r'title="([^"]+)"')
_SHELL = re.compile(r"[|&;<>$`*?~(){}]|^\w+=")

_VARYING = (
    (re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}"), "RUN"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\d(?:Z|\+00:00)?"), "DATE"),
    (re.compile(r"127\.0\.0\.1:\d+/\S*"), "ADDRESS"),
    (re.compile(r" *\d[\d.,]* (?:ms|s|min)\b"), " TIME"),
    (re.compile(r"(?<=seconds )[\d.]+x"), "FACTOR"),
    (re.compile(r" +\d+\.\d+$", re.MULTILINE), " TIME"),
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        line: Of the page, 1-based, where its fence stands.
        language: Behind the fence.
        title: The file that it is saved as, or empty.
        mark: What the comment above says, or empty.
        text: Between the fences.
    """

    line: int
    language: str
    title: str
    mark: str
    text: str

    @property
    def asked(self) -> tuple[str, str]:
        """The mark's word and what follows it."""
        word, _, rest = _EXIT.sub("", self.mark).partition(": ")
        return word, rest

    @property
    def code(self) -> int:
        """The exit code that its commands end with."""
        found = _EXIT.search(self.mark)
        return int(found[1]) if found else 130 if self.mark.startswith("ends after") else 0

    @property
    def counts(self) -> bool:
        """Whether a page's test has something to do with it."""
        return self.language in ("console", "bash", "python") or bool(self.title)


MARKS = ("", "not run", "exit", "typed", "ends after")


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of the page *text*, in order. Pure."""
    for found in _FENCE.finditer(text):
        indent = found["indent"]
        lines = [line.removeprefix(indent) for line in found["text"].splitlines(keepends=True)]
        title = _TITLE.search(found["info"])
        mark = found["mark"] or ""
        if mark.partition(":")[0] not in MARKS:
            mark = ""
        line = text.count("\n", 0, found.start("indent")) + 1
        yield Block(line, found["language"], title[1] if title else "", mark, "".join(lines))


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield command and shown output of a ``console`` block. Pure."""
    command, shown = "", []
    going_on = False
    for line in text.splitlines():
        if going_on:
            command += f"\n{line}"
        elif line.startswith("$ "):
            if command:
                yield command, "\n".join(shown)
            command, shown = line[2:], []
        else:
            shown.append(line)
        going_on = command.endswith("\\") and not shown
    yield command, "\n".join(shown)


def plain(text: str) -> str:
    """Return *text* with all that varies from run to run replaced by words. Pure."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    lines = (line.rstrip() for line in text.replace("\r\n", "\n").splitlines())
    return "\n".join(lines).strip("\n")


def agrees(shown: str, printed: str) -> bool:
    """Whether what a page has *shown* is what was *printed*. Pure."""
    pattern = ""
    for line in plain(shown).split("\n"):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*?".join(map(re.escape, line.split("..."))) + r"\n"
    return re.fullmatch(pattern, plain(printed) + "\n") is not None


class Page:
    """A page that is run in a folder of its own.

    Args:
        folder: An empty one; where commands stand first.
    """

    def __init__(self, folder: Path) -> None:
        self._home = folder
        self._folder = folder
        self._names: dict[str, object] = {}
        self._bin = folder.parent / f"{folder.name}-bin"
        self._bin.mkdir()
        for name, rest in (("agentmech", "-m finetune_fsm"), ("python", "")):
            program = self._bin / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {rest} "$@"\n')
            program.chmod(0o755)

    def run(self, block: Block) -> None:
        """Do what *block* says, and fail where it does not hold.

        Raises:
            AssertionError: something else was printed, or a command ended otherwise.
        """
        word, rest = block.asked
        if word == "not run" or not block.counts:
            return
        if block.title:
            path = self._folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.language == "python":
            with chdir(self._folder), redirect_stdout(io.StringIO()):
                exec(compile(block.text, f"line {block.line}", "exec"), self._names)  # ours
        elif block.language == "bash":
            self._told(block, block.text, "", *self._in_shell(block.text))
        else:
            for command, shown in commands(block.text):
                if word in ("typed", "ends after"):
                    self._told(
                        block, command, shown, *self._in_terminal(command, shown, word, rest)
                    )
                else:
                    self._told(block, command, shown, *self._done(command))

    def _told(self, block: Block, command: str, shown: str, code: int, printed: str) -> None:
        wanted = block.code
        printed = printed.replace(str(self._home), HOME).replace(os.path.realpath(self._home), HOME)
        where = f"line {block.line}: $ {command}\n"
        assert code == wanted, f"{where}ended with {code}, not {wanted}:\n{printed}"
        assert not shown.strip() or agrees(shown, printed), f"{where}printed is:\n{printed}"

    def _done(self, command: str) -> tuple[int, str]:
        """Return exit code and output; our own command in this process, as it starts in no time."""
        words = shlex.split(command.replace("\\\n", ""), comments=True)
        if words[:1] == ["cd"]:
            self._folder = (self._folder / words[1]).resolve()
            return 0, ""
        if words[:1] != ["agentmech"] or _SHELL.search(command):
            return self._in_shell(command)
        with chdir(self._folder), _streams() as out:
            code = main(words[1:])
        return code, out.getvalue().decode()

    def _in_shell(self, script: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-ec", f"{script}\npwd > '{self._bin}/at'"],
            cwd=self._folder,
            env=os.environ | self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=50,
            check=False,
        )
        if done.returncode == 0:
            self._folder = Path((self._bin / "at").read_text().strip())
        return done.returncode, done.stdout.decode()

    def _in_terminal(self, command: str, shown: str, word: str, rest: str) -> tuple[int, str]:
        environment = self._environment | {"TERM": "dumb", "COLUMNS": "100"}
        with terminal(
            "/bin/sh", "-c", f"exec {command}", folder=self._folder, environment=environment
        ) as screen:
            if word == "ends after":
                screen.wait_for(rest)
                screen.type(CTRL_C)
            else:
                self._type(screen, rest.split(" | "), shown)
            code, _ = screen.wait()
            return code, screen.text

    @staticmethod
    def _type(screen, typed: list[str], shown: str) -> None:  # noqa: ANN001
        """Type each line where the page shows that it was typed."""
        seen = 0
        for text in typed:
            at = next(line for line in shown.splitlines() if line.endswith(f" {text}".rstrip()))
            shown = shown[shown.index(at) + len(at) :]
            prompt = at.removesuffix(text)
            screen.wait_for(prompt, after=seen)
            seen = screen.size
            screen.type(f"{text}\n".encode())

    @property
    def _environment(self) -> Mapping[str, str]:
        return {"PATH": f"{self._bin}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}


@contextmanager
def _streams() -> Iterator[io.BytesIO]:
    """Both streams of this process in one, as on a screen; nobody types anything."""
    out = io.BytesIO()
    before = (sys.stdin, sys.stdout, sys.stderr)
    sys.stdin = io.TextIOWrapper(io.BytesIO(), "utf-8")
    sys.stdout = io.TextIOWrapper(out, "utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(out, "utf-8", write_through=True)
    try:
        yield out
        for stream in (sys.stdout, sys.stderr):
            stream.detach()
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
