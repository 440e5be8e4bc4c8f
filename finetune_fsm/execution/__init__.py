"""One workflow, run once: from a `Workflow`, its inputs and a model to a `Rollout`."""
