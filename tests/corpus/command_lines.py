"""Bad command lines, C1 to C20: the arguments, and what a person is told.

They are given in a folder that holds the small workflow of `commandline`, its test file, a script
good.yaml and an empty folder.
"""

from __future__ import annotations

from collections.abc import Sequence

SCRIPT = ("--llm", "script:good.yaml")
ODD = "a \x1b[2J\n\u202e b.yaml"

BAD: Sequence[tuple[str, tuple[str, ...], str]] = (
    ("01 no arguments", (), "Usage:"),
    ("02 unknown command", ("finetuen",), "did you mean 'finetune'?"),
    ("03 unknown option", ("run", "greeter.yaml", "--strikt"), "--strict"),
    ("03 unknown short option", ("run", "greeter.yaml", "-Z"), "-Z"),
    ("03 option without its value", ("run", "greeter.yaml", "--llm"), "--llm"),
    ("04 no file", ("finetune",), "workflow-file"),
    ("04 two files", ("finetune", "greeter.yaml", "b.yaml"), "b.yaml"),
    ("04 missing file", ("validate", "nope.yaml"), "does not exist"),
    ("04 missing file", ("finetune", "nope.yaml", *SCRIPT), "does not exist"),
    ("04 missing file", ("run", "nope.yaml", *SCRIPT), "does not exist"),
    ("04 missing file", ("test", "nope.yaml", *SCRIPT), "does not exist"),
    ("04 missing file", ("graph", "nope.yaml"), "does not exist"),
    ("04 a folder", ("validate", "folder"), "folder"),
    ("04 a folder", ("finetune", "folder", *SCRIPT), "folder"),
    ("04 a device", ("validate", "/dev/zero"), "regular file"),
    ("04 unreadable", ("validate", "/proc/self/mem"), "cannot be read"),
    ("04 unreadable", ("run", "/proc/self/mem", *SCRIPT), "cannot be read"),
    ("04 empty standard input", ("validate", "-"), "empty"),
    ("04 empty standard input", ("run", "-", *SCRIPT), "empty"),
    ("04 standard input", ("finetune", "-", *SCRIPT), "needs a file"),
    ("05 iterations", ("finetune", "greeter.yaml", *SCRIPT, "-i", "abc"), "-i"),
    ("05 iterations", ("finetune", "greeter.yaml", *SCRIPT, "-i", "0"), "1<=x<=1000"),
    ("05 iterations", ("finetune", "greeter.yaml", *SCRIPT, "-i", "-1"), "1<=x<=1000"),
    ("05 iterations", ("finetune", "greeter.yaml", *SCRIPT, "-i", "1e9"), "1e9"),
    ("05 iterations", ("finetune", "greeter.yaml", *SCRIPT, "-i", "1000000000"), "1<=x<=1000"),
    ("05 jobs", ("finetune", "greeter.yaml", *SCRIPT, "-j", "0"), "-j"),
    ("06 address", ("finetune", "greeter.yaml", "-u", "http://"), "no host"),
    ("06 address", ("finetune", "greeter.yaml", "-u", "ftp://x"), "http and https"),
    ("06 address", ("finetune", "greeter.yaml", "-u", "http://h:99999"), "65535"),
    ("06 address", ("finetune", "greeter.yaml", "-u", "http://me:secret@h:99999"), "h:99999"),
    ("06 address", ("run", "greeter.yaml", "-u", "http://a b"), "host"),
    ("07 output", ("finetune", "greeter.yaml", *SCRIPT, "-o", "folder"), "folder"),
    ("07 output", ("finetune", "greeter.yaml", *SCRIPT, "-o", "greeter.yaml"), "itself"),
    ("07 output", ("finetune", "greeter.yaml", *SCRIPT, "-o", "/dev/full"), "regular file"),
    ("07 output", ("finetune", "greeter.yaml", *SCRIPT, "-o", "greeter.yaml/x"), "cannot write"),
    ("07 output, and no model", ("finetune", "greeter.yaml", "-o", "folder"), "folder"),
    ("08 twice", ("finetune", "greeter.yaml", *SCRIPT, "-i", "1", "-i", "2"), "given 2 times"),
    ("08 twice", ("run", "greeter.yaml", *SCRIPT, "--llm", "script:x"), "given 2 times"),
    ("09 a dash", ("validate", "-x.yaml"), "-x"),
    ("10 an odd name", ("validate", ODD), "\\x1b[2J"),
    ("10 a name too long", ("validate", "a" * 300), "name too long"),
    *(
        ("11 time", ("finetune", "greeter.yaml", *SCRIPT, "--max-time", text), "1h30m")
        for text in ("0", "5 minutes", "-1s", "nan", "", "1e3")
    ),
    ("12 allow", ("finetune", "greeter.yaml", *SCRIPT, "--allow", "everything"), "structure"),
    ("12 allow", ("finetune", "greeter.yaml", *SCRIPT, "--allow", ""), "structure"),
    ("13 nothing to resume", ("resume",), "there is no run"),
    ("13 no such run", ("resume", "nope"), "'nope'"),
    ("13 another folder", ("resume", "folder"), "there is no run"),
    ("13 a file that is no run", ("resume", "good.yaml"), "no run"),
    ("13 nothing to show", ("show",), "there is no run"),
    ("14 quiet and verbose", ("validate", "greeter.yaml", "-q", "-v"), "contradict"),
    ("14 quiet and verbose", ("run", "greeter.yaml", *SCRIPT, "-v", "-q"), "contradict"),
    ("17 a provider", ("run", "greeter.yaml", "--llm", "chatgpt"), "chatgpt"),
    ("17 a script", ("run", "greeter.yaml", "--llm", "script:nope.yaml"), "nope.yaml"),
    ("17 a script that is none", ("run", "greeter.yaml", "--llm", "script:greeter.yaml"), "format"),
    ("18 bytes", ("validate", "\udcff\udcfe.yaml"), "\\udcff"),
    ("20 an answer to nothing", ("run", "greeter.yaml", *SCRIPT, "--input", "x=1"), "no input"),
)

NAMES = (
    "x.yml", "X.YAML", "a.yaml.b.yaml", "with space.yaml", "🎈.yaml", "new\nline.yaml",
    "-dash.yaml", "ü" * 100 + ".yaml", "'quote\".yaml", "%s{0}.yaml",
)  # fmt: skip
