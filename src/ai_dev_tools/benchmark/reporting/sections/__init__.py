"""The parts of a report, in the order in which they are read.

A section is a function of the run's data.
"""
