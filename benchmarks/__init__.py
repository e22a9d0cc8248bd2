"""Load on the casino, made the way players make it: over the wire, through the clients' protocol.

Knows the server only from outside. Nothing here imports the server's packages.
"""
