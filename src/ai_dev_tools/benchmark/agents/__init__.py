"""The built-in agent: what it can do in a workspace, how its turns go, and the result of an episode.

An episode is one sample. `actions` has the interface of everything that offers actions, `episode` plays one.
"""
