"""The meter between agents and the model: it enforces the plan, counts answers and keeps the account of each episode."""
