"""The actor runtime: virtual actors, their journal and their messages.

Owns the life of a command from delivery to durable reply. Imports nothing of ours, and
nothing of the outside world: no Ray (see ``runtime.cluster``), no database, no socket.
"""
