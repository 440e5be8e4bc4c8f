"""Tools for a workflow's states: what offers them, how they are called, what comes back."""
