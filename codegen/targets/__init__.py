"""Facts about machines: features, registers, caches, instruction rows."""
