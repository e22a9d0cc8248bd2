"""Measures that are no load curve: what a session costs, how soon it is back, whether it grows dear.

One file is one measure, with a function that others call and a command line of its own.
"""
