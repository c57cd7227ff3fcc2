"""The meter between agents and the model: what it forces on a request, reads of an answer, and keeps of an episode."""
