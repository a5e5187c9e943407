"""Fused groups of hlt operations to loop kernels, by operator family."""
