"""What uses how much disk, what no current target needs, and the removal of that."""
