"""The runtime as processes: Ray actors, and the sockets between them.

The only package that imports ``ray``. Holds no rules: it carries calls and bytes to the core.
"""
