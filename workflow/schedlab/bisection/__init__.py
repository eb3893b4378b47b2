"""Finds the first of a list of variants that is worse than one that is known to be good."""
