"""The meter between agents and the model: enforces the plan, counts answers, keeps accounts."""
