"""Lineage: from any number, figure or trial back to the sources, and forward to what is stale."""
