"""Mutations of valid files through the command line: nothing may escape, hang, swell or be vague.

    python bench/fuzz.py [--count N] [--first N] [--seed N] [--only N] [--jobs N]
                         [--save FOLDER] [--json FILE]

Each case is a workflow, a test file or scripted replies of the examples, broken in one to three
ways and given to ``agentmech validate``; one in ten, and all scripts, go to ``run`` or ``test``
with scripted replies. Every case is a process of its own (see tests/corpus/prober.py) and made
from the seed and its number alone: what fails is saved and can be run again with ``--only``.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from corpus.nasty import NASTY  # noqa: E402  # the path is set above
from corpus.prober import Command, Outcome, Prober  # noqa: E402  # the same

from finetune_fsm.workflow.text import PERSON  # noqa: E402  # the same

SECONDS = 1.0
"""CPU seconds that a case may take, imports included; one more where a file is larger than a
workflow may be, as only test files are read then."""

MEGABYTES = 200.0
CODES = frozenset({0, 1, 2, 3})
"""Exit codes that a bad file may cause; 4 would be a bug."""

STDIN = "Alice\nno\n" * 10
STEPS = "20"
RUN_EVERY = 10

OnResult = Callable[["Case", Outcome, tuple[str, ...]], None]
STRUCTURED = 20_000
"""Bytes of a document that is changed as such; to read more takes longer than to run it."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

Mutation = Callable[[random.Random, bytes, "Sample"], bytes]


@dataclass(frozen=True, slots=True)
class Sample:
    """One valid file of the examples.

    Attributes:
        example: Name of its folder, and beginning of its own name.
        kind: ``workflow``, ``test`` or ``script``.
        data: What it holds.
        other: What another one of its kind holds, to splice with.
    """

    example: str
    kind: str
    data: bytes
    other: bytes = b""


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a session, made from its number.

    Attributes:
        number: From 0 on.
        sample: What was valid.
        mutations: Names of what was done to it.
        data: What became of it.
        arguments: The command line.
    """

    number: int
    sample: Sample
    mutations: tuple[str, ...]
    data: bytes
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the broken file."""
        middle = "" if self.sample.kind == "workflow" else f".{self.sample.kind}"
        return f"mutant{middle}.yaml"

    @property
    def seconds(self) -> float:
        """CPU seconds that it may take."""
        return SECONDS * (2 if len(self.data) > PERSON.size else 1)


@dataclass(slots=True)
class Found:
    """What a session came to."""

    codes: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: int = 0
    memory: float = 0.0
    largest: int = 0
    violations: dict[int, tuple[str, ...]] = field(default_factory=dict)


def samples(examples: Path) -> tuple[Sample, ...]:
    """Return all workflows, test files and scripts of the folder *examples*, in order."""
    found = []
    for path in sorted(examples.glob("*/*.yaml")):
        if path.name.startswith(path.parent.name) and ".finetune" not in path.name:
            kind = path.name.removeprefix(path.parent.name).split(".")[1]
            kind = kind if kind in ("test", "script") else "workflow"
            found.append(Sample(path.parent.name, kind, path.read_bytes()))
    return tuple(found)


def case(seed: int, number: int, material: Sequence[Sample]) -> Case:
    """Return the case of this *seed* and *number*. Pure."""
    rng = random.Random(f"{seed}:{number}")  # noqa: S311  # to be repeated, not to be secret
    chosen = rng.choice(material)
    other = rng.choice([sample for sample in material if sample.kind == chosen.kind])
    sample = Sample(chosen.example, chosen.kind, chosen.data, other.data)
    data, names = sample.data, []
    for _ in range(rng.choice((1, 1, 2, 3))):
        mutation = rng.choice(MUTATIONS)
        data = mutation(rng, data, sample)
        names.append(mutation.__name__.strip("_"))
    run = number % RUN_EVERY == 0 or sample.kind == "script"
    return Case(number, sample, tuple(names), data, _arguments(rng, sample, run=run))


def _arguments(rng: random.Random, sample: Sample, *, run: bool) -> tuple[str, ...]:
    example = sample.example
    script = f"script:{example}.script.yaml"
    json_too = ("--json",) if rng.random() < 0.2 else ()
    if not run:
        broken = "mutant.test.yaml" if sample.kind == "test" else "mutant.yaml"
        strict = ("--strict",) if rng.random() < 0.2 else ()
        return ("validate", broken, *strict, *json_too)
    if sample.kind == "test":
        return ("test", "mutant.test.yaml", "--llm", script, *json_too)
    if sample.kind == "workflow":
        return ("run", "mutant.yaml", "--llm", script, "--max-steps", STEPS, *json_too)
    script = "script:mutant.script.yaml"
    if rng.random() < 0.5:
        return ("test", f"{example}.test.yaml", "--llm", script, *json_too)
    return ("run", f"{example}.yaml", "--llm", script, "--max-steps", STEPS, *json_too)


def _flip(rng: random.Random, data: bytes, _: Sample) -> bytes:
    changed = bytearray(data or b" ")
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(rng: random.Random, data: bytes, _: Sample) -> bytes:
    return data[: rng.randint(0, len(data))]


def _drop(rng: random.Random, data: bytes, _: Sample) -> bytes:
    start = rng.randint(0, len(data))
    return data[:start] + data[start + rng.randint(1, 40) :]


def _duplicate(rng: random.Random, data: bytes, _: Sample) -> bytes:
    lines = _lines(data)
    start, end = _stretch(rng, lines)
    return b"".join([*lines[:end], *lines[start:end], *lines[end:]])


def _repeat(rng: random.Random, data: bytes, _: Sample) -> bytes:
    lines = _lines(data)
    start, end = _stretch(rng, lines)
    many = lines[start:end] * rng.choice((3, 40, 600, 5000))
    return b"".join([*lines[:end], *many, *lines[end:]])[:1_200_000]


def _exchange(rng: random.Random, data: bytes, _: Sample) -> bytes:
    lines = _lines(data)
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def _remove(rng: random.Random, data: bytes, _: Sample) -> bytes:
    lines = _lines(data)
    start, end = _stretch(rng, lines)
    return b"".join([*lines[:start], *lines[end:]])


def _indent(rng: random.Random, data: bytes, _: Sample) -> bytes:
    lines = _lines(data)
    start, end = _stretch(rng, lines)
    pad = rng.choice((b" ", b"  ", b"\t", b"    "))
    for index in range(start, end):
        line = lines[index]
        lines[index] = pad + line if rng.random() < 0.6 else line.lstrip(b" ")
    return b"".join(lines)


def _quote(rng: random.Random, data: bytes, _: Sample) -> bytes:
    places = [match.start() for match in re.finditer(rb"[\"'{}\[\],:|>#-]", data)]
    if not places or rng.random() < 0.4:
        at = rng.randint(0, len(data))
        return data[:at] + rng.choice((b'"', b"'", b"{", b"[", b"]", b"}", b": ")) + data[at:]
    at = rng.choice(places)
    return data[:at] + rng.choice((b"", b'"', b"'", b"&", b"*", b"!", b"%")) + data[at + 1 :]


def _value(rng: random.Random, data: bytes, _: Sample) -> bytes:
    places = list(re.finditer(rb"(?<=[:-] )[^\n]*", data))
    return _replaced(data, rng.choice(places), _nasty(rng)) if places else data


def _key(rng: random.Random, data: bytes, _: Sample) -> bytes:
    places = list(re.finditer(rb"[A-Za-z_0-9]+(?=:( |\n))", data))
    return _replaced(data, rng.choice(places), _nasty(rng)) if places else data


def _keys(rng: random.Random, data: bytes, _: Sample) -> bytes:
    places = list(re.finditer(rb"[A-Za-z_0-9]+(?=:( |\n))", data))
    if len(places) < 2:
        return data
    one, two = sorted(rng.sample(places, 2), key=lambda match: match.start())
    return _replaced(_replaced(data, two, one[0]), one, two[0])


def _insert(rng: random.Random, data: bytes, _: Sample) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + _nasty(rng) + data[at:]


def _control(rng: random.Random, data: bytes, _: Sample) -> bytes:
    odd = (*range(32), 0x7F, 0x85, 0x9B, 0x200B, 0x202E, 0x2028, 0xFEFF, 0xFFFE, 0xE0001)
    at = rng.randint(0, len(data))
    return data[:at] + chr(rng.choice(odd)).encode() * rng.choice((1, 1, 100)) + data[at:]


def _deep(rng: random.Random, data: bytes, sample: Sample) -> bytes:
    depth = rng.choice((20, 33, 200, 2000, 50_000))
    opening = rng.choice((b"[", b"{a: ", b"- ", b"{? ", b"[{"))
    nest = opening * depth
    places = list(re.finditer(rb"(?<=[:-] )[^\n]*", data))
    return _replaced(data, rng.choice(places), nest) if places else nest + sample.other


def _number(rng: random.Random, data: bytes, _: Sample) -> bytes:
    big = ("9" * rng.choice((17, 18, 19, 40, 400)), "-1", "1e999", "0.1e-400", "0x7fffffffffffffff")
    places = list(re.finditer(rb"\d+", data)) or list(re.finditer(rb"\w+", data))
    return _replaced(data, rng.choice(places), rng.choice(big).encode()) if places else data


def _splice(rng: random.Random, data: bytes, sample: Sample) -> bytes:
    mine, theirs = _lines(data), _lines(sample.other)
    return b"".join([*mine[: rng.randint(0, len(mine))], *theirs[rng.randint(0, len(theirs)) :]])


def _encode(rng: random.Random, data: bytes, _: Sample) -> bytes:
    text = data.decode("utf-8", "replace")
    how = rng.choice(("utf-16", "utf-32", "latin-1", "utf-8-sig", "cp1252", "utf-7"))
    if rng.random() < 0.3:
        return text.replace("\n", rng.choice(("\r\n", "\r", "\x85", "\u2028"))).encode()
    return text.encode(how, "replace")


def _structure(rng: random.Random, data: bytes, _: Sample) -> bytes:
    """Change the document and not its text, to get past the reader and into the checks."""
    if len(data) > STRUCTURED or b"&" in data:  # an alias bomb would go off here
        return data
    try:
        document = yaml.load(data, Loader=_LOADER)  # noqa: S506  # one of the two safe ones
        for _ in range(rng.randint(1, 4)):
            nodes = list(_nodes(document, 0))
            if nodes:
                node, key = rng.choice(nodes)
                _change(rng, node, key, nodes)
        return yaml.dump(document, Dumper=_DUMPER, allow_unicode=True, sort_keys=False).encode()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):  # broken by another mutation
        return data


def _change(rng: random.Random, node: object, key: object, nodes: Sequence[object]) -> None:
    other, elsewhere = rng.choice(nodes)
    match rng.randrange(5):
        case 0:
            del node[key]
        case 1:
            node[key] = rng.choice(ODD)
        case 2:
            node[key] = json.loads(json.dumps(other[elsewhere], default=str))
        case 3 if isinstance(node, dict):
            node[rng.choice(NAMES)] = node.pop(key)
        case _:
            node[key] = rng.choice(NAMES)


def _nodes(value: object, depth: int) -> Iterator[tuple[object, object]]:
    if depth > 20 or not isinstance(value, dict | list):
        return
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        yield from _nodes(item, depth + 1)


ODD = (
    None, True, False, 0, -1, 1.5, 10**17, 1e300, "", " ", "\n", [], {}, [None], {"": None}, [[]],
    {"a": {"b": {"c": []}}}, "end", "x" * 5000, ["end"] * 600, {f"k{i}": i for i in range(600)},
    "{{x}}", "a{{b}}c{{", "\u202e", "(", "(a+)+$", "[", "../../etc/passwd", "/dev/zero", "~",
    "a\tb",
)  # fmt: skip

NAMES = (
    "name", "start_state", "states", "variables", "on_error", "next", "next_options", "steps",
    "type", "prompt", "prompt_file", "save_as", "model", "options", "temperature",
    "num_predict", "stop", "files", "mcp_servers", "rag", "use_rag", "workflow_ref",
    "default_value", "state", "description", "workflow", "test_scenarios", "inputs",
    "assertions", "value", "target", "regex", "equals", "contains", "state_reached", "input",
    "transition", "end", "format", "replies", "reply", "when", "purpose", "error", "once",
    "cut", "seconds", "busy", "proposal", "case_sensitive", "__proto__",
)  # fmt: skip

MUTATIONS: tuple[Mutation, ...] = (
    _flip, _cut, _drop, _duplicate, _repeat, _exchange, _remove, _indent, _quote, _value, _key,
    _keys, _insert, _control, _deep, _number, _splice, _encode, _structure, _structure, _structure,
)  # fmt: skip


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True) or [b"\n"]


def _stretch(rng: random.Random, lines: Sequence[bytes]) -> tuple[int, int]:
    start = rng.randrange(len(lines))
    return start, min(len(lines), start + rng.randint(1, 6))


def _nasty(rng: random.Random) -> bytes:
    return rng.choice(NASTY).encode("utf-8", "surrogatepass")


def _replaced(data: bytes, match: re.Match[bytes], new: bytes) -> bytes:
    return data[: match.start()] + new + data[match.end() :]


class Bench:
    """Runs cases in a copy of the examples; one for each thread."""

    def __init__(self, folder: Path) -> None:
        self._examples = folder / "examples"
        shutil.copytree(ROOT / "examples", self._examples)
        self._home = folder / "home"
        self._home.mkdir()
        self._prober = Prober()

    def run(self, case: Case) -> tuple[Outcome, tuple[str, ...]]:
        """Run *case*; return how it ended and what is wrong with that."""
        folder = self._examples / case.sample.example
        before = {path.name for path in folder.iterdir()}
        broken = folder / case.name
        broken.write_bytes(case.data)
        environment = {"HOME": str(self._home), "TMPDIR": str(self._home), "OLLAMA_HOST": ""}
        command = Command(case.arguments, str(folder), STDIN, environment)
        outcome = self._prober.fastest(command, seconds=case.seconds)
        wrong = list(complaints(case, outcome))
        if broken.read_bytes() != case.data:
            wrong.append("the input was changed")
        broken.unlink()
        for left in {path.name for path in folder.iterdir()} - before:
            wrong.append(f"a file was left: {left}")
            (folder / left).unlink()
        return outcome, tuple(wrong)

    def close(self) -> None:
        """End the process that forks."""
        self._prober.close()


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def complaints(case: Case, outcome: Outcome) -> Iterator[str]:
    """Yield what is wrong with how *case* ended. Pure."""
    if outcome.hung:
        yield "it hangs"
    if outcome.code not in CODES:
        yield f"exit code {outcome.code}"
    if outcome.seconds > case.seconds:
        yield f"{outcome.seconds:.2f} s"
    if outcome.memory > MEGABYTES:
        yield f"{outcome.memory:.0f} MB"
    yield from _said_wrong(case, outcome)


def _said_wrong(case: Case, outcome: Outcome) -> Iterator[str]:
    if "Traceback" in outcome.err:
        yield "a traceback"
    if found := _CONTROL.search(outcome.said):
        yield f"a control character: {found[0]!a}"
    if outcome.code != 0 and not outcome.said.strip():
        yield "a failure without a word"
    if "--json" in case.arguments:
        try:
            json.loads(outcome.out)
        except ValueError:
            yield "no JSON document on standard output"
    elif outcome.code == 2 and case.name not in outcome.said:
        yield "the message does not name the file"


def session(
    numbers: Iterable[int], *, seed: int, jobs: int = 2, on_result: OnResult = lambda *_: None
) -> Found:
    """Run the cases of these *numbers* on *jobs* threads; return what was found.

    Args:
        numbers: Which cases.
        seed: What they are made from.
        jobs: How many run at once.
        on_result: Told of each case, one at a time.
    """
    material = samples(ROOT / "examples")
    found, lock, local = Found(), threading.Lock(), threading.local()
    benches: list[Bench] = []
    with tempfile.TemporaryDirectory(prefix="agentmech-fuzz-") as root:

        def bench() -> Bench:
            if not hasattr(local, "bench"):
                with lock:
                    folder = Path(root) / str(len(benches))
                    folder.mkdir()
                    local.bench = Bench(folder)
                    benches.append(local.bench)
            return local.bench

        def one(number: int) -> None:
            made = case(seed, number, material)
            outcome, wrong = bench().run(made)
            with lock:
                _count(found, number, outcome, wrong)
                on_result(made, outcome, wrong)

        try:
            with ThreadPoolExecutor(jobs) as pool:
                waiting = [pool.submit(one, number) for number in numbers]
                try:
                    for done in waiting:
                        done.result()
                finally:
                    pool.shutdown(cancel_futures=True)  # after a failure of the bench itself
        finally:
            for each in benches:
                each.close()
    return found


def _count(found: Found, number: int, outcome: Outcome, wrong: tuple[str, ...]) -> None:
    found.codes[outcome.code] += 1
    if outcome.seconds > found.seconds:
        found.seconds, found.slowest = outcome.seconds, number
    if outcome.memory > found.memory:
        found.memory, found.largest = outcome.memory, number
    if wrong:
        found.violations[number] = wrong


def table(found: Found) -> str:
    """Return *found* for people."""
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(found.codes.items()))
    outside = sum(count for code, count in found.codes.items() if code not in CODES)
    tracebacks = sum("a traceback" in wrong for wrong in found.violations.values())
    rows = (
        ("cases", f"{found.codes.total()}"),
        ("exit codes", codes),
        ("slowest", f"{found.seconds:.2f} CPU s (case {found.slowest}; {SECONDS:g} allowed)"),
        ("largest", f"{found.memory:.0f} MB (case {found.largest}; {MEGABYTES:g} allowed)"),
        ("tracebacks", f"{tracebacks}"),
        ("codes outside the table", f"{outside}"),
        ("cases with a violation", f"{len(found.violations)}"),
    )
    return "\n".join(f"{name:<25}{value}" for name, value in rows)


def as_json(found: Found, seed: int) -> str:
    """Return *found* for programs."""
    about = {
        "seed": seed,
        "cases": found.codes.total(),
        "codes": {str(code): count for code, count in sorted(found.codes.items())},
        "slowest": {"case": found.slowest, "cpu_seconds": round(found.seconds, 3)},
        "largest": {"case": found.largest, "megabytes": round(found.memory, 1)},
        "violations": {str(case): list(wrong) for case, wrong in found.violations.items()},
    }
    return json.dumps(about, indent=2) + "\n"


def save(folder: Path, seed: int, case: Case, outcome: Outcome, wrong: Sequence[str]) -> Path:
    """Keep what failed, so that it can be looked at and run again; return where."""
    place = folder / f"{seed}-{case.number}"
    place.mkdir(parents=True, exist_ok=True)
    (place / case.name).write_bytes(case.data)
    about = {
        "again": f"python bench/fuzz.py --seed {seed} --only {case.number}",
        "wrong": list(wrong),
        "example": case.sample.example,
        "mutations": list(case.mutations),
        "arguments": list(case.arguments),
        **asdict(outcome),
    }
    (place / "case.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    return place


def main() -> int:
    """Run a session, print the table; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="run this one case and show what it says")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--save", type=Path, default=ROOT / "build" / "fuzz", help="for failures")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    options = parser.parse_args()
    first, only = options.first, options.only
    numbers = range(first, first + options.count) if only is None else (only,)

    def tell(case: Case, outcome: Outcome, wrong: tuple[str, ...]) -> None:
        if options.only is not None:
            print(" ".join(case.arguments), outcome.said, sep="\n")
        if wrong:
            place = save(options.save, options.seed, case, outcome, wrong)
            print(f"seed {options.seed}, case {case.number}: {'; '.join(wrong)}: {place}")

    started = time.monotonic()
    found = session(numbers, seed=options.seed, jobs=options.jobs, on_result=tell)
    print(table(found))
    print(f"{'seed':<25}{options.seed}, {time.monotonic() - started:.0f} s in all")
    if options.json:
        options.json.write_text(as_json(found, options.seed), "utf-8")
    return 1 if found.violations else 0


if __name__ == "__main__":
    sys.exit(main())
