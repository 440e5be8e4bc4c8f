"""The workflow language: YAML text in, frozen `Workflow` out, and edits that keep the layout.

From outside, five doors: `load` (a file or a text, checked), `model` (what comes out), `graph`
(what can be reached, and its picture), `edits` with `splice` (small changes), `relocate`.

Behind them, in the order in which a text passes::

    text -> nodes tree syntax          characters to a tree that knows its places, within bounds
         -> scalars reader             the tree to plain data, by YAML 1.2
         -> validate                   schema, then outline rules references files doubts
         -> build -> model             plain data to a `Workflow`
    splice -> seams incision layout    an edit as surgery on the text
"""
