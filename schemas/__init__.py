"""The JSON Schemas of workflows and test files (draft 2020-12)."""
