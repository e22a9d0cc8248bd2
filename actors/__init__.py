"""Game rules: pure functions of (state, command, context). No clock, no randomness, no I/O."""
