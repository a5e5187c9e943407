"""Rules of `legalize`, by operator family."""
