"""Crash from a player's seat: bots that bet and keep their own books, and watchers that only listen.

Believes nothing it is told without checking it. The scheme of fairness is computed here anew.
"""
