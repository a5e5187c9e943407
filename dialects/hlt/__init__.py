"""hlt: the high-level tensor dialect (values, no memory, no loops)."""
