"""Local rewrites of hlt, grouped by what they are about. Each is exact unless its docstring says otherwise."""
