"""Benchmarks of mlc: the model zoo and the timing harness. Not installed; run from the repository's root."""
