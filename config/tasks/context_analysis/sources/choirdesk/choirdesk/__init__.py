"""Rehearsals, voices and scores of a choir."""
