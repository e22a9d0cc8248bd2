"""The commands of ``casino``, one file per thing an operator wants to do."""
