"""From tensors to explicit loops."""
