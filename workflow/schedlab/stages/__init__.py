"""One module a stage of the workflow that touches guests or ties packages together."""
