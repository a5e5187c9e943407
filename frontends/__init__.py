"""Model formats that mlc reads."""
