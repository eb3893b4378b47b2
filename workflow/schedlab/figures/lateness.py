"""Distribution of the lateness of submissions."""

from __future__ import annotations

from matplotlib.figure import Figure

from schedlab.figures.distribution import ecdf
from schedlab.tables.build import Tables

JOBS = ("trial", "intended", "submit", "released")


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    return ecdf(tables, "intended", "submit", "lateness of the submission")
