"""Matchers of composite operations: each is a rule that raises ``Mismatch`` where it almost fired."""
