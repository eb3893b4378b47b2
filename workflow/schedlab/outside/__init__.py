"""Checks of what comes from outside: names, JSON and content that others made."""
