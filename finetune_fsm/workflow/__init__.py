"""The workflow language: YAML text in, frozen `Workflow` out, and edits that keep the layout."""
