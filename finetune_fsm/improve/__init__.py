"""How a workflow becomes a better one: blame, repairs, proposals, the policy, the comparison."""
