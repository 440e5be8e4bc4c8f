"""Pieces of text that broke YAML readers, validators or terminals somewhere, as values and keys."""

from __future__ import annotations

NASTY = (
    "", "~", "null", "[]", "{}", "''", '""', "' '", "yes", "no", "on", "off", "true", "0", "-1",
    "010", "1:30", "1_000", "0x1F", "0o17", ".5", "1e400", "-0.0", ".nan", ".inf", "-.INF",
    "9" * 5000, "0x" + "f" * 5000, "1" + "0" * 18, "1e-9999", "2024-01-01", "2024-13-45",
    "2001-12-14t21:59:43.10-05:00", "!!binary aGk=", "!!set {a, b}", "!!int 'x'",
    "!!timestamp 2024-99-99", "!important", "!<tag:x> y", "!!python/object/apply:os.system [ls]",
    "&a x", "*a", "&a [*a]", "*bold*", "<<", "{<<: {a: b}}", "{{name}}", "'{{name}}'",
    "'{{ name }}'", "'{{name'", "'{{a{{b}}}}'", "{a: {b: {c: d}}}", "[a, [b, [c]]]", "a: b",
    "say #1", "@x", "`x`", "%x", "|", ">", "|9", ">-\n", "? x", "- x", "--- x", "...", "\t",
    "'x", '"x', '"\\ud800"', '"\\x00"', '"\\e[2J"', '"\\U0001F388"', "\N{BALLOON}", "\u202ex",
    "\x1b[2J", "\x00", "\x07", "\x85", "\u2028", "\ufeff", "\ufffe", "end", "END", "states",
    "name", "prompt", "input", "workflow_ref", "transition", "run_directory", "error", "../x",
    "/etc/passwd", "/dev/zero", "/dev/stdin", "~/x", ".", "..", "a/../../b", "__class__",
    "'a\\0b'", "os.system", "(", "'('", "'(a+)+$'", "'[a-'", "'(?<n>x)'", "'\\1'", "'(?P<n>'",
    "'" + "(" * 300 + "'", "'" + "a" * 10_000 + "'", "x" * 210_000, "[" * 40, "{" * 40,
    "[" * 5000, "[" * 900 + "]" * 900, "{a: " * 900, "- " * 500, "? " * 500,
    "[" + "x," * 60_000 + "]", "=cmd()", "::error::x", "[/INST]", "<script>", "%s%n{0}{x}",
)  # fmt: skip
"""Written as YAML; many are broken on purpose."""
