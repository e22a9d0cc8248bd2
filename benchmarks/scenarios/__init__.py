"""What is measured: a scenario is one file here, and one line in ``catalogue``."""
