"""Does it really improve workflows: ours against its peers, on cases whose truth is known.

cases     30 workflows with what is wrong with them, their scenarios and their references
calls     one layer through which every call of every way goes: counted, capped, written down
ways      what a way takes and gives; ours, rewrite, gepa_ways are the four of them
verdict   what a shipped workflow is worth
summary   rates, intervals, sign tests and the table
worker    a model that is right exactly when its prompt lets it be
truth     the same with a reflection side, for runs without a real model
models    the model of a run, opened once
jobs      one case, one way, one seed: done once, kept in one file
check     whether cases, scripts and references fit each other
measure   what a model makes of flawed workflows and references before anything is improved
run       the command
"""
