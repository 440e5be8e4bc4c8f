"""Record a finetune as a person sees it, into docs/session.md: ``make session``.

The real command runs in a terminal of its own, with a scripted model that takes its time, and
somebody who answers its questions; then once more where there is no terminal. What a terminal
shows is worked out from what is written to it: what moves is told apart from what stays.
Needs the tests' own terminal: ``PYTHONPATH=tests python docs/record_session.py``.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from faults.terminal import AGENTMECH, Terminal, environment_for_people, terminal

PAGE = Path(__file__).with_name("session.md")
HOME = "/home/you"
QUESTION = "[y,n,e,d,a,q,?] "
REASON = "It has to say when a review is mixed"

WORKFLOW = """\
name: Hotel reviews
description: Is this hotel review good, bad or mixed?
default_model: gemma3:4b
start_state: ask
states:
  ask:
    type: input
    prompt: "Which review?"
    save_as: review
    next: sort
  sort:
    type: prompt
    prompt: |
      Is this hotel review good, bad or mixed?

      {{review}}
    options: {temperature: 0, num_predict: 20}
    save_as: mood
    next: end
"""

SCENARIOS = (
    ("Likes the room", "The room was lovely and quiet.", "good"),
    ("Never again", "We shall never come back.", "bad"),
    ("Nice but loud", "Lovely breakfast, but the street kept us awake.", "mixed"),
    ("Comes again", "Lovely people. See you next year!", "good"),
    ("Cold soup", "Cold soup and a broken shower.", "bad"),
    ("Torn", "Lovely garden, but the bed was too short.", "mixed"),
)

_PROMPT = (
    "Is this hotel review good, bad or mixed? Mixed is one with praise and blame. "
    "Reply with the word alone.\\\\n\\\\n"
)
SCRIPT = f"""\
format: 1
replies:
  - {{purpose: state, when: ["praise and blame", ", but "], reply: mixed, seconds: 0.5}}
  - {{purpose: state, when: ["alone", "(?i)lovely"], reply: good, seconds: 0.5}}
  - {{purpose: state, when: "alone", reply: bad, seconds: 0.5}}
  - {{purpose: state, when: "(?i)lovely", reply: I think it is a good one., seconds: 0.5}}
  - {{purpose: state, reply: That sounds bad., seconds: 0.5}}
  - purpose: analysis
    when: "4 of 4"
    reply: {{analysis: "Every review gets one of the three words.", suggestions: []}}
    seconds: 1
  - purpose: analysis
    reply:
      analysis: The prompt names three words, and does not say when a review is mixed.
      suggestions: [{{state: sort, change: Say when a review is mixed.}}]
    seconds: 2
  - purpose: proposal
    when: refused
    reply:
      problem: The prompt does not say when a review is mixed.
      new_prompt: "{_PROMPT}{{{{review}}}}"
    seconds: 2
  - purpose: proposal
    reply:
      problem: The prompt does not say when a review is mixed.
      new_prompt: "{_PROMPT}{{{{text}}}}"
    seconds: 2
""".replace("\\\\n", "\\n")

COMMAND = ("finetune", "reviews.yaml", "--candidates", "1", "--llm", "script:reviews.script.yaml")

_MOVING = re.compile(r"\r\x1b\[2m(.*?)\x1b\[0m\x1b\[K")
_TOKEN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]")


def files(folder: Path) -> None:
    """Put workflow, tests and script into *folder*."""
    tests = "".join(
        f"  - name: {name}\n    inputs: [{{state: ask, value: {text!r}}}]\n"
        f"    assertions: [{{type: equals, target: mood, value: {mood}}}]\n"
        for name, text, mood in SCENARIOS
    )
    (folder / "reviews.yaml").write_text(WORKFLOW)
    (folder / "reviews.test.yaml").write_text(f"workflow: reviews.yaml\ntest_scenarios:\n{tests}")
    (folder / "reviews.script.yaml").write_text(SCRIPT)


def lines(written: str) -> Iterator[str]:
    """Yield the lines that stay on a terminal to which all of *written* went. Pure."""
    row, column = "", 0
    for piece in _TOKEN.findall(written.replace("\r\n", "\n")):
        if piece == "\n":
            yield row.rstrip()
            row, column = "", 0
        elif piece == "\r":
            column = 0
        elif piece == "\x1b[2K":
            row = ""
        elif piece == "\x1b[K":
            row = row[:column]
        elif piece[0] != "\x1b":
            row = row[:column].ljust(column) + piece + row[column + 1 :]
            column += 1
    yield row.rstrip()


def moving(written: str) -> Iterator[str]:
    """Yield what the last line said, once for each state and thing that is waited for. Pure."""
    seen = set()
    for text in _MOVING.findall(written):
        kind = tuple(text.split(" · ")[:2])
        if kind not in seen:
            seen.add(kind)
            yield text


def answered(screen: Terminal) -> str:
    """Answer every question until the command ends; return all that was written."""
    seen = 0
    while True:
        try:
            screen.wait_for(QUESTION, after=seen)
        except AssertionError:  # it has ended
            return screen.text
        first, seen = seen == 0, screen.size
        if not first:
            screen.type(b"y\n")
            continue
        screen.type(b"n\n")
        screen.wait_for("What is wrong with it? ", after=seen)
        seen = screen.size
        screen.type(f"{REASON}\n".encode())


def at_a_terminal(folder: Path) -> str:
    """Return what was written to a terminal of 100 columns."""
    command = (*AGENTMECH, *COMMAND, "--approve", "always")
    with terminal(*command, folder=folder, environment={"COLUMNS": "100"}) as screen:
        return answered(screen)


def without_one(folder: Path) -> str:
    """Return what came out of a pipe."""
    done = subprocess.run(
        [*AGENTMECH, *COMMAND, "--no-cache"],
        cwd=folder,
        env=environment_for_people(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout.decode()


def page(seen: str, piped: str) -> str:
    """Return the Markdown of the page. Pure."""
    stays = "\n".join(lines(seen)).strip()
    told = "\n".join(moving(seen))
    return f"""\
# A session

Recorded by a program (`make session`), with a scripted model that takes its time.
The workflow sorts hotel reviews; of six tests none passes. Two of them are held out.

## At a terminal

Every change is shown before it is tried.
A person refuses the first, the gate sends the second back to its author, and what comes then
is accepted.

```text
$ agentmech {" ".join(COMMAND)} --approve always
{stays}
```

While it worked, one line at the bottom said what was waited for. It leaves nothing behind.
This is what it said, in order:

```text
{told}
```

## Without a terminal

In a pipe or on a build server nothing moves and nothing is asked. The gate decides alone:

```text
$ agentmech {" ".join(COMMAND)} | cat
{piped.strip()}
```
"""


def main() -> None:
    """Record both, and write the page."""
    recorded = []
    for record in (at_a_terminal, without_one):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files(folder)
            recorded.append(record(folder).replace(name, HOME).replace(f"/private{HOME}", HOME))
    PAGE.write_text("\n".join(x.rstrip() for x in page(*recorded).splitlines()) + "\n", "utf-8")


if __name__ == "__main__":
    main()
