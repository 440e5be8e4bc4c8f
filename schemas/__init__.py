"""The JSON Schemas of workflows, test files and model-made edits (draft 2020-12)."""
