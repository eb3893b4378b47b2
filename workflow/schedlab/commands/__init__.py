"""Subcommands of ``schedlab`` that are no stage of the workflow, one module a subject."""
