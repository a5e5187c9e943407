"""Reference semantics: one NumPy meaning for every operation."""
