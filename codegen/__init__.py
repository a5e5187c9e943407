"""From explicit loops to machine code."""
