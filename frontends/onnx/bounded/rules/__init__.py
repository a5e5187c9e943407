"""What each hlt operation does with bounded dims: one function per operation."""
