"""Knowledge bases: folders of documents, searched for what belongs to a prompt.

model      what a workflow says of a knowledge base, and what is found in one
documents  which files of a folder are documents, and their text
chunks     a document's text in pieces
store      the vectors of pieces that were embedded before, in a file
index      a folder, its pieces and their vectors together, brought up to date
search     the pieces nearest to a question
context    what is found, written into a prompt

The texts always come from the documents themselves, never from the store: a store that is old,
broken or somebody else's can cost time, but it cannot put a word into a prompt. (Of PDF and Word
files, which are slow to read, it keeps the text under the digest of the file's bytes.)
"""
