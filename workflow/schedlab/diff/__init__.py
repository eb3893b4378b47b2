"""Comparison of two results: differences of the infrastructure, and differences of the outcomes."""
