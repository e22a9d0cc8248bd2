"""Load at a rate, from generators in processes of their own, and what it found: ``casino bench``.

What is done per arrival is a scenario's (``benchmarks.scenarios``); how the outcome looks is
``benchmarks.page``'s.
"""
