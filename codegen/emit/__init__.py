"""Loop nests to LLVM IR text."""
