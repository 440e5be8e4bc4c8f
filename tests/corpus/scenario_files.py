"""Bad test files, T1 to T23: what is in each, and what a person is told.

A file is called greeter.test.yaml and stands beside greeter.yaml, the workflow of `suites`.
"""

from __future__ import annotations

VALID = """\
workflow: greeter.yaml
test_scenarios:
  - name: Greets by name
    description: It must.
    inputs:
      - {state: ask, value: Alice}
    assertions:
      - {type: contains, target: greeting, value: Alice, case_sensitive: false}
      - {type: state_reached, value: end}
"""


def body(scenario: str, *, workflow: str = "greeter.yaml") -> str:
    return f"workflow: {workflow}\ntest_scenarios:\n  - {scenario}\n"


def one(assertion: str, *, more: str = "") -> str:
    return body(f"{{name: A, {more}assertions: [{assertion}]}}")


def both(first: str, second: str) -> str:
    return one(f"{{target: short, {first}}}, {{target: short, {second}}}")


ANY = "{type: contains, target: greeting, value: x}"
LONG = "a" * 10_000

# Number in the corpus of bad inputs, the text, words of the problem.
ERRORS = [
    ("T1", "test_scenarios: [{name: A, assertions: [" + ANY + "]}]", "'workflow' is missing"),
    ("T1", "workflow: ''\ntest_scenarios: []", "must not be empty"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow="gone.yaml"), "does not exist"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow="greeter.test.yaml"), "names itself"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow="/no/where.yaml"), "does not exist"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow="."), "is a folder"),
    ("T2", body(f"{{name: A, assertions: [{ANY}]}}", workflow='"a\\0b"'), "cannot be used"),
    ("T3", "workflow: greeter.yaml", "'test_scenarios' is missing"),
    ("T3", "workflow: greeter.yaml\ntest_scenarios: {}", "must be a list, not a mapping"),
    ("T3", "workflow: greeter.yaml\ntest_scenarios: []", "needs at least 1"),
    ("T4", body(f"{{assertions: [{ANY}]}}"), "'name' is missing"),
    ("T4", body(f"{{name: ' ', assertions: [{ANY}]}}"), "must not be empty"),
    (
        "T4",
        body(f"{{name: A, assertions: [{ANY}]}}\n  - {{name: 'A ', assertions: [{ANY}]}}"),
        "two scenarios are called 'A'",
    ),
    ("T4", body(f'{{name: "a\\nb", assertions: [{ANY}]}}'), "one line"),
    ("T4", body(f'{{name: "a\\e[2Jb", assertions: [{ANY}]}}'), "visible characters"),
    ("T5", body("{name: A}"), "'assertions' is missing"),
    ("T5", body("{name: A, assertions: []}"), "needs at least 1"),
    ("T5", body("{name: A, assertions: {}}"), "must be a list"),
    ("T6", one("{type: equal, target: greeting, value: x}"), "did you mean 'equals'?"),
    ("T7", one("{type: contains, value: x}"), "'target' is missing"),
    ("T9", one("{type: contains, target: greeting, value: 5}"), 'put it in quotes: "5"'),
    ("T9", one("{type: contains, target: greeting, value: true}"), "must be text"),
    ("T9", one("{type: contains, target: greeting, value: }"), "must be text"),
    ("T9", one("{type: contains, target: greeting, value: [a]}"), "must be text"),
    ("T9", one("{type: contains, target: greeting}"), "'value' is missing"),
    ("T10", one("{type: regex, target: greeting, value: '('}"), "never closed"),
    ("T10", one("{type: not_contains, regex: true, target: greeting, value: '('}"), "never closed"),
    ("T12", one(f"{{type: regex, target: greeting, value: '{LONG}'}}"), "10000 characters"),
    (
        "T14",
        one("{type: contains, target: greeting, value: x, case_sensitive: 'no'}"),
        "must be true or false, not text",
    ),
    ("T14", one("{type: contains, target: greeting, value: x, case_sensitive: no}"), "not text"),
    ("T15", one("{type: state_reached, value: gret}"), "did you mean 'greet'?"),
    ("T16", one(ANY, more="inputs: [{state: greet, value: x}], "), "asks for no input"),
    ("T16", one(ANY, more="inputs: [{state: aks, value: x}], "), "did you mean 'ask'?"),
    (
        "T16",
        one(ANY, more="inputs: [{state: ask, value: x}, {state: ask, value: y}], "),
        "gets its input twice",
    ),
    ("T16", one(ANY, more="inputs: [{state: ask, value: [x]}], "), "must be text, not a list"),
    ("T16", one(ANY, more="inputs: [{state: ask}], "), "'value' is missing"),
    ("T18", one(ANY, more="repeat: 0, "), "must be >= 1"),
    ("T18", one(ANY, more="repeat: -1, "), "must be >= 1"),
    ("T18", one(ANY, more="repeat: 1000000000, "), "must be <= 1000"),
    ("T18", one(ANY, more="repeat: '3', "), "must be a whole number, not text"),
    ("T19", one(ANY, more="repeat: 2, pass_rate: 1.5, "), "must be <= 1"),
    ("T19", one(ANY, more="repeat: 2, pass_rate: 80, "), "must be <= 1"),
    ("T19", one(ANY, more="repeat: 2, pass_rate: -0.1, "), "must be > 0"),
    ("T20", one("{type: llm_rubric, target: greeting}"), "'value' is missing"),
    ("T20", one("{type: llm_rubrik, target: greeting, value: x}"), "did you mean 'llm_rubric'?"),
    ("T21", one("{type: is_json, target: greeting, value: '{}'}"), "'value' is not for this type"),
    ("T21", one("{type: is_json, target: short, schema: {type: objekt}}"), "no JSON Schema"),
    ("T21", one("{type: is_json, target: short, schema: {$ref: 'http://x/y'}}"), "leads nowhere"),
    ("T21", one("{type: is_json, target: short, schema: {$ref: '#/$defs/x'}}"), "leads nowhere"),
    ("T21", one("{type: is_json, target: short, schema: {pattern: '('}}"), "never closed"),
    ("T21", one("{type: is_json, target: short, schema: {patternProperties: {}}}"), "supported"),
    ("", one("{type: starts_with, target: short}"), "'value' is missing"),
    ("", one("{type: start_with, target: short, value: x}"), "did you mean 'starts_with'?"),
    ("", one("{type: ends_with, target: short, value: ' '}"), "must not be empty"),
    ("", one("{type: one_of, target: short, value: x}"), "'values' is missing"),
    ("", one("{type: one_of, target: short, values: []}"), "needs at least 1"),
    ("", one("{type: one_of, target: short, values: [5]}"), 'put it in quotes: "5"'),
    ("", one("{type: contains_any, target: short, values: ['']}"), "must not be empty"),
    ("", one("{type: length, target: short}"), "'min' or 'max' is missing"),
    ("", one("{type: length, target: short, min: 3, max: 2}"), "nothing is at least 3"),
    ("", one("{type: length, target: short, min: 1.5}"), "must be a whole number"),
    ("", one("{type: length, target: short, min: 1, unit: word}"), "did you mean 'words'?"),
    ("", one("{type: numeric, target: short, value: '5'}"), "must be a number, not text"),
    ("", one("{type: numeric, target: short, value: 5, tolerance: -1}"), "must be >= 0"),
    ("", one("{type: json_path, target: short, value: 5}"), "'path' is missing"),
    ("", one("{type: json_path, target: short, path: 'a..b'}"), "is no path into JSON"),
    ("", one("{type: json_path, target: short, path: '$.a[*]'}"), "is no path into JSON"),
    ("", one("{type: state_not_reached, value: gret}"), "did you mean 'greet'?"),
    ("", one("{type: state_not_reached, target: x, value: greet}"), "'target' is not for this"),
    ("", one("{type: path, states: [ask, gret]}"), "did you mean 'greet'?"),
    ("", one("{type: path, states: ask}"), "must be a list, not text"),
    ("", one("{type: visits, state: gret, max: 1}"), "did you mean 'greet'?"),
    ("", one("{type: visits, state: greet}"), "'min' or 'max' is missing"),
    ("", one("{type: tokens}"), "'max' is missing"),
    ("", one("{type: llm_calls, max: -1}"), "must be >= 0"),
    ("", one("{type: latency, max: 0}"), "must be > 0"),
    ("", one("{type: similarity, target: short, value: x, threshold: 2}"), "must be <= 1"),
    ("", one("{type: equals, target: short, value: x, min: 1}"), "'min' is not for this type"),
    ("", one("{type: equals, target: short, value: x, not: 'yes'}"), "must be true or false"),
    ("", one("{type: equals, target: short, value: x, weight: 0}"), "must be >= 0.001"),
    ("", one(ANY, more="pass_score: 80, "), "must be <= 1"),
    ("", one(ANY, more="pass_score: 0, "), "must be > 0"),
    ("T23 W1", "", "must be a mapping"),
    ("T23 W2", "# comment", "must be a mapping"),
    ("T23 W3", "hello", "must be a mapping, not text"),
    ("T23 W4", "- a", "must be a mapping, not a list"),
    ("T23 W5", "null", "must be a mapping"),
    ("T23 W6", "a: 1\n---\nb: 2", "second document"),
    ("T23 W7", "workflow: x\n\ttest: y", "tab"),
    ("T23 W8", "workflow: 'x", ""),
    ("T23 W9", "```yaml\nworkflow: x\n```", ""),
    ("T23 W10", VALID + "```\n", "fence"),
    ("T23 W11", "\udcff\udcfea\0", "UTF-16"),
    ("T23 W12", "name: caf\udce9", "not UTF-8"),
    ("T23 W13", "name: a\0b", "NUL"),
    ("T23 W14", "name: a\x1bb", "U+001B"),
    ("T23 W15", 'workflow: "\\ud800"', "surrogate"),
    (
        "T23 W19",
        "a0: &a0 {k: v}\n"
        + "".join(f"a{i}: &a{i}\n  <<: [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 26)),
        "more than",
    ),
    (
        "T23 W18",
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n"
            for p, c in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "more than",
    ),
    ("T23 W20", "a: &a [*a]", "part of"),
    ("T23 W21", "[" * 100_000, "inside each other"),
    ("T23 W24", "workflow: x\nworkflow: y", "twice"),
    ("T23 W25", body(f"{{name: A, name: B, assertions: [{ANY}]}}"), "twice"),
    ("T23 W27", "!!python/object/apply:os.system ['true']", "tag"),
    ("T23 W28", one("{type: contains, target: greeting, value: !important x}"), "quotes"),
    ("T23 W29", one("{type: contains, target: greeting, value: !!binary aGk=}"), "not allowed"),
    ("T23 W31", VALID + "      - type: contains\n        value: Question: x\n", "quotes"),
    ("T23 W33", VALID + "      - type: contains\n        value: *bold*\n", "quotes"),
    ("T23 W30", "workflow: {{name}}", "plain text"),
    ("T23 W34", "x" * 9_000_000, "larger than"),
]


# What works, but hardly as meant; an existing file may hold it.
WARNINGS = [
    ("T23 W26", body(f"{{name: A, true: y, assertions: [{ANY}]}}"), "unknown key 'true'"),
    (
        "T23 W32",
        VALID + "      - type: contains\n        target: short\n        value: say so #1 thing\n",
        "#1 thing",
    ),
    ("T8", one("{type: contains, target: greting, value: x}"), "did you mean 'greeting'?"),
    ("T22", both("type: equals, value: abc", "type: not_contains, value: b"), "contradicts"),
    ("T22", both("type: equals, value: a", "type: equals, value: b"), "contradicts"),
    (
        "T22",
        both("type: not_contains, value: A, case_sensitive: false", "type: contains, value: xa"),
        "contradicts",
    ),
    ("", one("{type: regex, target: short, value: /a/i}"), "slashes are part"),
    ("", one("{type: contains, target: short, value: ' '}"), "always holds"),
    ("", one("{type: equals, target: short, value: a, case_sensitive: false}"), "changes nothing"),
    ("", one("{type: state_reached, target: short, value: end}"), "changes nothing"),
    ("T19", one(ANY, more="pass_rate: 0.5, "), "changes nothing for a single run"),
    ("", one(ANY, more="llm_input_generation: {enabled: true}, "), "unknown key"),
    (
        "",
        one("{type: contains, target: short, value: a, casesensitive: no}"),
        "did you mean 'case_sensitive'?",
    ),
]


# What is right, though it may look odd.
ACCEPTED = [
    ("T23 W22", one(f"{{type: contains, target: greeting, value: {'9' * 5000}}}")),
    ("T23 W23", one("{type: contains, target: greeting, value: .nan}")),
    ("T4", body(f"{{name: Says yes/no, assertions: [{ANY}]}}")),
    ("T11", one("{type: regex, target: greeting, value: '(a+)+$'}")),
    ("T13", one("{type: regex, target: greeting, value: '(?<n>x)'}")),
    ("T22", both("type: contains, value: a", "type: not_contains, value: A")),
    (
        "T22",
        both("type: contains, value: a, case_sensitive: false", "type: not_contains, value: a"),
    ),
    ("T23 W16", "\ufeff" + VALID),
    ("T23 W17", VALID.replace("\n", "\r\n")),
    ("", one("{type: state_reached, value: greet_step_1}")),
    ("", one("{type: equals, target: error, value: ''}")),
    ("", one(ANY, more="inputs: , description: , generated: true, ")),
    ("", one("{type: contains, target: greeting, value: no}")),
    ("", one("{type: is_json, target: greeting, schema: {$ref: '#', pattern: a}}")),
    ("", one("{type: is_json, target: greeting, schema: {const: {$ref: x}}}")),
    ("", one("{type: json_path, target: greeting, path: \"$['a b'][-1].c\", value: }")),
    ("", both("type: equals, value: a", "type: equals, value: b, not: true")),
]
