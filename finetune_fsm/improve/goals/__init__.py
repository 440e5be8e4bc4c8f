"""What a person wants beyond tests that pass: measured, proposed for, and never at a test's cost.

goal       the five that are measured, and any other in words
metric     a number of a workflow, and when another one is clearly better
measures   tokens, seconds, characters, clarity and robustness, from rollouts that there are
sentences  a prompt cut into sentences, and which of them are unclear
inputs     what of a scenario's input may change without its meaning; perturbed makes suites of it
drafts     what a goal proposes: sentences to leave out or to add, and prompts to ask a model about
"""
