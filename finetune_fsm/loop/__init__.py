"""The improvement loop: a table of rules, a fold, and one handler per state. Read `table` first."""
