"""Canaries: what was counted of a new ensemble beside the former one, and whether it goes on by that."""
