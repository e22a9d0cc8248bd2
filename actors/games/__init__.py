"""The games. One file each: its mathematics, and the feature that puts it into a session.

Nothing is registered here, so that a game's mathematics can be imported alone;
``actors.catalogue`` names the games that are played.
"""
