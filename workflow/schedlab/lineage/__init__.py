"""Lineage: the records and sources behind a number, figure or trial, and which stages are stale."""
