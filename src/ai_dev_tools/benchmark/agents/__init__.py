"""Agents: the built-in one, third-party ones behind the meter, and the actions that tools give them.

An episode is one sample. `actions` has the interface of everything that offers actions, `episode` runs an episode of the built-in
agent, and `third_party` one of a third-party agent.
"""
