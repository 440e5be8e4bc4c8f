"""Files at the limits in which nearly every part is wrong: each took seconds once."""

from __future__ import annotations

from collections.abc import Mapping

HEAD = "name: x\nstart_state: s0\nstates:\n"


def states(count: int, fields: str) -> str:
    """A workflow with so many states; ``%d`` in *fields* is the number of each."""
    listed = (fields.replace("%d", str(number)) for number in range(count))
    return HEAD + "".join(f"  s{number}: {{{text}}}\n" for number, text in enumerate(listed))


def row(pattern: str, count: int, separator: str = ", ") -> str:
    """So many of *pattern*, ``#`` being the number of each."""
    return separator.join(pattern.replace("#", str(number)) for number in range(count))


CHAIN = HEAD + "".join(
    f"  s{n}: {{type: prompt, prompt: a, save_as: variable{n}, "
    f"next: {f's{n + 1}' if n < 499 else 'end'}}}\n"
    for n in range(500)
)

SUITE = "workflow: w.yaml\ntest_scenarios:\n- name: a\n  assertions:\n"

WORKFLOWS: Mapping[str, tuple[str, int]] = {
    "placeholders-nothing-sets": (
        CHAIN.replace("prompt: a,", f"prompt: '{row('{{a#}}', 19_000, '')}',", 1),
        0,
    ),
    "placeholders-broken": (f"{HEAD}  s0: {{type: prompt, prompt: '{row('{{a# ', 18_000)}'}}\n", 0),
    "targets-nowhere": (
        states(
            400,
            f"type: prompt, prompt: a, next_options: [{row('{state: t%d_#, description: d}', 11)}]",
        ),
        2,
    ),
    "unknown-keys": (f"{HEAD}  s0: {{type: prompt, prompt: a, {row('key#: 1', 12_000)}}}\n", 0),
    "unknown-keys-everywhere": (states(400, f"type: prompt, prompt: a, {row('key#: 1', 28)}"), 0),
    "files-missing": (states(400, f"type: prompt, steps: [{row('{prompt_file: f%d_#}', 18)}]"), 2),
    "steps": (states(400, f"type: prompt, steps: [{row('{prompt: a, save_as: v%d_#}', 11)}]"), 0),
    "wrong-types": (states(400, f"type: prompt, prompt: a, files: [{row('5', 55)}]"), 2),
    "wrong-states": (HEAD + row("  s#: 5\n", 12_000, ""), 2),
    "bad-names": (HEAD + row("  ../s#: {type: transition, next: end}\n", 4_100, ""), 2),
    "keys-twice": ("name: x\n" * 12_000, 2),
    "cut-by-comments": (
        f"{HEAD}  s0: {{type: prompt, prompt: a}}\nvariables:\n"
        + row("  v#: say #1 x\n", 12_000, "").replace("#1", " #1"),
        0,
    ),
    "variables-of-missing-files": (
        f"{HEAD}  s0: {{type: prompt, prompt: a}}\nvariables:\n"
        + row("  v#: {file: f#}\n", 6_000, ""),
        2,
    ),
    "options-misspelt": (
        f"{HEAD}  s0: {{type: prompt, prompt: a, options: {{{row('temperatur#: 1', 12_000)}}}}}\n",
        0,
    ),
    "merged-keys": (
        f"x: &x {{{row('k#: 1', 240)}}}\n" + states(45, "<<: *x, type: prompt, prompt: a"),
        0,
    ),
    "attachments-missing": (
        f"{HEAD}  s0: {{type: prompt, prompt: a, files: [{row('f#', 24_000)}]}}\n",
        0,
    ),
    "children-missing": (states(500, "type: workflow_ref, workflow_ref: child%d.yaml"), 2),
    "one-long-name": (
        f"{HEAD}  s0: {{type: prompt, prompt: a, next: {'q' * 190_000}}}\n",
        2,
    ),
}

TESTS: Mapping[str, tuple[str, int]] = {
    "targets-misspelt": (row("  - {type: equals, target: varable#, value: a}\n", 3_400, ""), 0),
    "states-unknown": (row("  - {type: state_reached, value: z#}\n", 4_900, ""), 2),
    "patterns-broken": (
        row(
            "  - {type: regex, target: variable1, value: '(?<a>" + "x" * 80 + ")|[a-#'}\n", 3000, ""
        ),
        2,
    ),
    "patterns-many": (
        row("  - {type: regex, target: variable1, value: '#[a-z]+\\d{3,5}(?:x|y)'}\n", 2_200, ""),
        0,
    ),
    "patterns-long": (
        row(f"  - {{type: regex, target: variable1, value: '{'[a-z]' * 95}#'}}\n", 1_800, ""),
        2,
    ),
    "contradictions": (
        row(
            "  - {type: contains, target: variable1, value: a#}\n"
            "  - {type: not_contains, target: variable1, value: a#}\n",
            1_700,
            "",
        ),
        0,
    ),
    "line-ends-of-another-kind": (
        row("  - {type: equals, target: variable1, value: a#}\n", 3_000, ""),
        0,
    ),
    "types-misspelt": (row("  - {typ: equls#}\n", 8_000, ""), 2),
}

ITEMS = [
    *((f"X-{name}", {"w.yaml": text}, "w.yaml", code) for name, (text, code) in WORKFLOWS.items()),
    *(
        (
            f"X-tests-{name}",
            {
                "w.yaml": CHAIN,
                "w.test.yaml": (SUITE + text).replace("\n", "\u2028" if "line" in name else "\n"),
            },
            "w.test.yaml",
            code,
        )
        for name, (text, code) in TESTS.items()
    ),
]
"""Name, files, the one that is validated, exit code."""
