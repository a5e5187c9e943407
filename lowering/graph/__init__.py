"""Graph passes: hlt to hlt."""
