"""Checks whether this machine can run an experiment: what is missing, why, and what to do."""
