"""The command ``schedlab`` and its subcommands, one module for each subject."""
