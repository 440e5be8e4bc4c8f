"""Runs on disk: what was asked, answered and decided, so that nothing of it is lost.

A run lives beside its workflow, in ``X.agentmech/<run>/journal.jsonl`` for ``X.yaml``. The journal
is the run: nothing else is read to go on with it::

    places    where runs are, how they are named and found
    records   what the journal's lines say
    history   a run rebuilt from its journal, by folding; no handler runs, nothing is decided again
    keeper    a run being written down

Write-ahead, in this order: a reply is on the disk before anything uses it, an outcome before the
loop moves. So a killed run goes on where it was, and asks no model again for what it had. The call
that was under way is the one that may be made twice.

Importing this package imports nothing else.
"""
