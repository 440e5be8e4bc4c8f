"""Whether the tests of the policy would notice: each small change of its code must fail one.

    python bench/mutants.py [--jobs N] [--only MODULE] [--json FILE]

Every condition is negated, every comparison moved, every check and every element of a set, tuple
or table dropped, forbidden names added to what is open, numbers and names changed, one at a time.
Each mutant runs in a process of its own, forked from one in which the tests are collected, and is
given to them: those of its module first, properties left out, for they must not be needed. What
no test kills is printed, and the program fails when it is not in `EQUIVALENT`.

Own code and no tool of PyPI: mutmut 3 changes functions only, and half of this policy is tables;
cosmic-ray starts an interpreter for each of a thousand mutants, which takes an hour.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import gc
import json
import os
import re
import resource
import select
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "finetune_fsm.improve"

MODULES = (
    *("grants", "ways", "capabilities", "places", "flows", "copies", "bounds", "supports"),
    *("policy", "gate"),
)
"""What the policy is made of; each has tests of its name."""

SECONDS = 30
"""Of the processor, for one mutant; one that takes more counts as killed: its tests do not end."""

MEMORY = 3 * 2**30
"""Bytes that one mutant may take: what never ends often never stops growing either."""

FORBIDDEN = (
    *("model", "files", "mcp_servers", "type", "workflow_ref", "prompt_file", "steps", "rag"),
    *("num_ctx", "base_url", "command", "description"),
)
"""Names that are put into sets of allowed ones."""

EQUIVALENT: Mapping[str, str] = {
    "places.changes: True -> False": "the two lists were found to be of one length just before",
    "bounds.-: 0 -> -1": "the schema refuses a negative top_k before the policy is asked",
    (
        "bounds._odd: name in _RANGES and isinstance(value, int | float)"
        " -> without isinstance(value, int | float)"
    ): "the schema lets only numbers stand there; the check is for the reader of types",
}
"""Mutants that no test can kill, by what they change, and why."""


@dataclass(frozen=True)
class Mutant:
    """One change: in which module and function, what became what, and the code with it."""

    module: str
    function: str
    before: str
    after: str
    line: int
    code: str

    @property
    def key(self) -> str:
        """The same for the same change, wherever it stands in the file."""
        return f"{self.module}.{self.function}: {self.before} -> {self.after}"


# ---- making them ------------------------------------------------------------------------------

Change = tuple[str, Callable[[], None]]
"""What a change makes of a node, in words, and how it is made (in a copy of the tree)."""

_ORDER: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_TWINS = {"any": "all", "all": "any", "min": "max", "max": "min"}
_NAME = re.compile(r"[\w.:/{}-]+")


def mutants(module: str) -> Iterator[Mutant]:
    """Yield every mutant of *module*."""
    tree = ast.parse(_source(module))
    for index, (node, parents) in enumerate(_walk(tree)):
        names = [p.name for p in parents if isinstance(p, ast.FunctionDef | ast.ClassDef)]
        for number, (after, _) in enumerate(_changes(node, parents)):
            mutated = copy.deepcopy(tree)
            twin, above = next(islice(_walk(mutated), index, None))
            next(islice(_changes(twin, above), number, None))[1]()
            code = ast.unparse(ast.fix_missing_locations(mutated))
            line = getattr(node, "lineno", 0)
            yield Mutant(module, ".".join(names) or "-", _shown(node), after, line, code)


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """Every node that runs, with all it is inside of; annotations and docstrings are left out."""
    waiting: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(tree, ())]
    while waiting:
        node, parents = waiting.pop(0)
        yield node, parents
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases", "ctx"):
                continue
            below = value if isinstance(value, list) else [value]
            children = (child for child in below if isinstance(child, ast.AST))
            waiting += ((c, (*parents, node)) for c in children if not _is_silent(c))


def _is_silent(node: ast.AST) -> bool:
    """Whether *node* is a docstring, an import, or part of a message."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[Change]:
    parent = parents[-1] if parents else node
    yield from _of_statement(node, parent)
    match node:
        case ast.If() | ast.IfExp() | ast.While():
            yield "not", lambda: setattr(node, "test", _negated(node.test))
        case ast.UnaryOp(op=ast.Not()):
            yield "without not", lambda: _replace(parent, node, node.operand)
        case ast.BinOp():
            yield "left alone", lambda: _replace(parent, node, node.left)
            yield "right alone", lambda: _replace(parent, node, node.right)
        case ast.Call(func=ast.Name(id=name)) if name in _TWINS:
            yield _TWINS[name], lambda: setattr(node.func, "id", _TWINS[name])
        case ast.Set() | ast.List() | ast.Tuple():
            yield from _of_elements(node, parents)
        case _:
            for kind, make in _BY_KIND.items():
                if isinstance(node, kind):
                    yield from make(node, parent)


def _of_compare(node: ast.Compare, _: ast.AST) -> Iterator[Change]:
    for place, operator in enumerate(node.ops):
        for other in _ORDER[type(operator)]:
            yield _set(node.ops, place, other(), other.__name__)


def _of_bool(node: ast.BoolOp, _: ast.AST) -> Iterator[Change]:
    other = ast.Or if isinstance(node.op, ast.And) else ast.And
    yield other.__name__.lower(), lambda: setattr(node, "op", other())
    for place, value in enumerate(node.values):
        yield f"without {_shown(value)}", _dropping(node.values, place)


def _of_loop(node: ast.comprehension, _: ast.AST) -> Iterator[Change]:
    for place, test in enumerate(node.ifs):
        yield _set(node.ifs, place, _negated(test), f"not {_shown(test)}")
        yield f"without {_shown(test)}", _dropping(node.ifs, place)


def _of_table(node: ast.Dict, _: ast.AST) -> Iterator[Change]:
    for place, value in enumerate(node.values):
        yield f"without {_shown(value)}", _dropping_pair(node, place)


def _of_match(node: ast.Match, _: ast.AST) -> Iterator[Change]:
    for place, case in enumerate(node.cases):
        if len(node.cases) > 1:
            yield f"without case {_shown(case.pattern)}", _dropping(node.cases, place)
        if case.guard:
            yield f"without {_shown(case.guard)}", partial(setattr, case, "guard", None)


def _of_alternatives(node: ast.MatchOr, _: ast.AST) -> Iterator[Change]:
    for place, pattern in enumerate(node.patterns):
        yield f"without {_shown(pattern)}", _dropping(node.patterns, place)


def _of_constant(node: ast.Constant, parent: ast.AST) -> Iterator[Change]:
    value, put = node.value, partial(setattr, node, "value")
    if isinstance(value, bool):
        yield str(not value), partial(put, not value)
    elif isinstance(value, int | float):
        yield str(value + 1), partial(put, value + 1)
        yield str(value - 1), partial(put, value - 1)
    elif isinstance(value, str) and _NAME.fullmatch(value) and not isinstance(parent, ast.Set):
        yield repr(f"{value}x"), partial(put, f"{value}x")


_BY_KIND: Mapping[type[ast.AST], Callable[..., Iterator[Change]]] = {
    ast.Compare: _of_compare,
    ast.BoolOp: _of_bool,
    ast.comprehension: _of_loop,
    ast.Dict: _of_table,
    ast.Match: _of_match,
    ast.MatchOr: _of_alternatives,
    ast.Constant: _of_constant,
}


def _of_statement(node: ast.AST, parent: ast.AST) -> Iterator[Change]:
    """A statement that goes: checks, assignments that add, returns that come early."""
    for block in ("body", "orelse"):
        statements = getattr(parent, block, None)
        if not isinstance(statements, list) or node not in statements:
            continue
        last = node is statements[-1] and isinstance(parent, ast.FunctionDef)
        gone = isinstance(node, ast.Expr | ast.AugAssign | ast.Continue)
        if gone or (isinstance(node, ast.Return) and not last):
            yield "gone", partial(statements.__setitem__, statements.index(node), ast.Pass())


def _of_elements(
    node: ast.Set | ast.List | ast.Tuple, parents: tuple[ast.AST, ...]
) -> Iterator[Change]:
    elements = node.elts
    if isinstance(getattr(node, "ctx", None), ast.Store) or isinstance(parents[-1], ast.Subscript):
        return
    wide = len(elements) > 1 or isinstance(node, ast.Set)
    for place in range(len(elements)) if wide else ():
        yield f"without {_shown(elements[place])}", _dropping(elements, place)
    known = {e.value for e in elements if isinstance(e, ast.Constant) and isinstance(e.value, str)}
    if isinstance(node, ast.Set) and known:
        for word in FORBIDDEN:
            if word not in known:
                yield f"with {word}", partial(elements.append, ast.Constant(word))


def _set(items: list[object], place: int, new: object, word: str) -> Change:
    return word, lambda: items.__setitem__(place, new)


def _dropping(items: list[object], place: int) -> Callable[[], None]:
    return lambda: items.__delitem__(place)


def _dropping_pair(node: ast.Dict, place: int) -> Callable[[], None]:
    def drop() -> None:
        del node.keys[place]
        del node.values[place]

    return drop


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _replace(parent: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for name, value in ast.iter_fields(parent):
        if value is old:
            setattr(parent, name, new)
        elif isinstance(value, list) and old in value:
            value[value.index(old)] = new


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.comprehension):
        node = node.target
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else text[:89] + "…"


# ---- running them -----------------------------------------------------------------------------


class Hunt:
    """A plugin of pytest that, in place of running the tests once, runs them for each mutant.

    Properties are left out: what they find by luck, an example must show.
    """

    def __init__(self, made: Sequence[Mutant], jobs: int) -> None:
        self.made = made
        self.jobs = jobs
        self.sound = False
        self.survivors: list[Mutant] = []
        self._killers: dict[str, list[int]] = {}  # numbers of tests, by module and function
        self._report = -1  # where a child tells its parent which test failed
        self._running = -1

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the examples."""
        items[:] = [i for i in items if not getattr(i.obj, "is_hypothesis_test", False)]  # type: ignore[attr-defined]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """End the process at the first failure: the mutant is killed."""
        if report.failed:
            os.write(self._report, str(self._running).encode())
            os._exit(0)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Hunt, once the tests are known to pass: with each module read anew, unchanged."""
        gc.freeze()
        same = [Mutant(name, "", "", "", 0, _source(name)) for name in MODULES]
        self.sound = _read(self._started(session, *same)) == SURVIVED
        if self.sound:
            self._hunt(session)
        return True

    def _hunt(self, session: pytest.Session) -> None:
        todo = list(reversed(self.made))
        running: dict[int, Mutant] = {}
        while todo or running:
            while todo and len(running) < self.jobs:
                mutant = todo.pop()
                running[self._started(session, mutant)] = mutant
            for handle in select.select(list(running), [], [])[0]:
                mutant = running.pop(handle)
                killer = _read(handle)
                if killer == SURVIVED:
                    self.survivors.append(mutant)
                    print(f"    {mutant.line}: {mutant.key}", file=sys.stderr, flush=True)
                elif killer:
                    for place in (mutant.module, f"{mutant.module}.{mutant.function}"):
                        self._killers.setdefault(place, []).append(int(killer))

    def _order(self, session: pytest.Session, mutant: Mutant) -> list[int]:
        """The tests that killed the mutant's like come first, then those of its module."""
        alike = self._killers.get(f"{mutant.module}.{mutant.function}", [])
        usual = Counter(self._killers.get(mutant.module, [])).most_common(10)
        name = f"test_{mutant.module}"
        own = [place for place, item in enumerate(session.items) if item.path.stem == name]
        first = (*reversed(alike), *(place for place, _ in usual), *own)
        return list(dict.fromkeys((*first, *range(len(session.items)))))

    def _started(self, session: pytest.Session, *mutated: Mutant) -> int:
        """Fork a process that runs the tests against what is *mutated*; return where it reports."""
        reading, self._report = os.pipe()
        if os.fork():
            os.close(self._report)
            return reading
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        with contextlib.suppress(BaseException):  # a mutant may raise anything: then it is killed
            for mutant in mutated:
                _install(mutant)
            order = self._order(session, mutated[0])
            for self._running, following in zip(order, [*order[1:], None], strict=True):
                after = None if following is None else session.items[following]
                item = session.items[self._running]
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            os.write(self._report, SURVIVED)
        os._exit(0)


SURVIVED = b"all tests pass"


def _read(handle: int) -> bytes:
    """What a child reports, when it has ended; empty when it was stopped or could not begin."""
    with os.fdopen(handle, "rb") as stream:
        told = stream.read()
    os.wait()
    return told


def _install(mutant: Mutant) -> None:
    """Read the mutated module anew, and give its new names to all that imported the old ones."""
    module = sys.modules[f"{PACKAGE}.{mutant.module}"]
    old = dict(vars(module))
    exec(compile(mutant.code, f"<{mutant.module}>", "exec"), vars(module))  # noqa: S102  # it is the mutant
    for other in list(sys.modules.values()):
        held = getattr(other, "__dict__", {})
        for name, value in old.items():
            if not name.startswith("__") and name in held and held[name] is value:
                held[name] = vars(module)[name]


def _source(module: str) -> str:
    return (ROOT / PACKAGE.replace(".", "/") / f"{module}.py").read_text("utf-8")


def hunted(made: Sequence[Mutant], jobs: int) -> Hunt:
    """Run the tests against all of *made*."""
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    files = [str(ROOT / f"tests/improve/test_{name}.py") for name in MODULES]
    plugins = ("cacheprovider", "xdist", "cov", "timeout", "terminal")
    hunt = Hunt(made, jobs)
    flags = ["-s", f"--rootdir={ROOT}", "-o", "addopts=", "--import-mode=importlib"]
    pytest.main([*flags, *(f"-pno:{name}" for name in plugins), *files], [hunt])
    return hunt


def main(arguments: Sequence[str] | None = None) -> int:
    """Make and run the mutants, print the table; 1 when one survives that need not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=MODULES, action="append")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    made = [m for name in options.only or MODULES for m in mutants(name)]
    hunt = hunted(made, options.jobs)
    if not hunt.sound:
        print("the tests fail without any mutant")
        return 1
    left = hunt.survivors
    counts, alive = Counter(m.module for m in made), Counter(m.module for m in left)
    known = Counter(m.module for m in left if m.key in EQUIVALENT)
    print(f"{'module':<14}{'mutants':>9}{'killed':>9}{'equivalent':>12}{'survived':>10}")
    for name in counts:
        killed, survived = counts[name] - alive[name], alive[name] - known[name]
        print(f"{name:<14}{counts[name]:>9}{killed:>9}{known[name]:>12}{survived:>10}")
    total, bad = counts.total(), alive.total() - known.total()
    print(f"{'all':<14}{total:>9}{total - alive.total():>9}{known.total():>12}{bad:>10}")
    print(f"{time.monotonic() - started:.0f} s")
    for mutant in left:
        print(f"{EQUIVALENT.get(mutant.key, 'SURVIVED')}\n    {mutant.line}: {mutant.key}")
    dead = [] if options.only else [key for key in EQUIVALENT if key not in {m.key for m in left}]
    for key in dead:
        print(f"no such survivor any more: {key}")
    if options.json:
        rows = [{"module": n, "mutants": counts[n], "survived": alive[n]} for n in counts]
        options.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    return 1 if bad or dead else 0


if __name__ == "__main__":
    sys.exit(main())
