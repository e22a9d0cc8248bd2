"""The whole runtime under a seeded, virtual world. Start at ``run.py``; ``docs/decisions/0006``."""
