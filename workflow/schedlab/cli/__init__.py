"""The command ``schedlab`` and its subcommands, one module a subject."""
