"""Test files, their assertions, and the evaluation of a workflow on all of them."""
