"""Crash: a table's rounds as one actor, and the feature that lets a session bet at it.

Sessions and tables are actors of their own, so gold is never in two hands: a session holds a stake
back, the table takes the bet, the session pays it into the round's escrow, and what the table
decides is settled out of there.
"""
