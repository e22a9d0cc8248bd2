"""Puts the casino together: settings, wiring, the processes of one machine, the command line.

The only place that names concrete adapters.
"""
