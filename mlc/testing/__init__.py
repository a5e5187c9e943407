"""Public test helpers: strategies, tolerances, differential harness."""
