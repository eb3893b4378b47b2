"""Snakemake's plug-in "schedlab" for a run's output; Snakemake finds it by this package's name."""

from schedlab.cli.run_log import LogHandler

__all__ = ["LogHandler"]
