"""A workflow from a description in words: a model chooses and words, we build.

template   a form with blanks
templates  the kinds of workflow that there are
words      what models write, made safe for a prompt: names, placeholders, limits
questions  what models are asked, as small requests with a schema each
plan       steps of the model's own, mended by rules until they are a sound workflow
maker      all of it in order, with a way out at each step
suites     tests for the result

No model writes YAML: whatever it answers, what comes out is valid, or nothing does.
"""
