"""Distribution of the wait of jobs."""

from __future__ import annotations

from matplotlib.figure import Figure

from schedlab.figures.distribution import ecdf
from schedlab.tables.build import Tables

JOBS = ("trial", "intended", "released", "started")


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    return ecdf(tables, "intended", "started", "wait", measure="wait_median_s")
