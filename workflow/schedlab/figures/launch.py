"""Distribution of launch latency, with the resolution of its instants."""

from __future__ import annotations

import textwrap

from matplotlib.figure import Figure

from schedlab.figures.distribution import ecdf
from schedlab.tables.build import Tables

JOBS = ("trial", "allocated", "allocated_source", "started")


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    # The source's text ends with the resolution of the instant, for example "(1 ms)".
    sources = sorted({str(text) for text in tables.jobs["allocated_source"].dropna()})
    note = textwrap.fill("allocated: " + "; ".join(sources), 62) if sources else ""
    return ecdf(tables, "allocated", "started", "launch latency", note, measure="launch_median_s")
