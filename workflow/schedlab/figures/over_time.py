"""What the figures that draw samples over time share."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from schedlab.figures.style import Look, line_of, of_cell, valid

LOW = 1.1
"""Height of a panel in inches."""
HEAD = "head"
"""Instance of the samples of the head."""
MEMORY = "schedlab_process_resident_memory_bytes"
"""Metric of the resident memory of a daemon's processes."""


def first_valid(trials: pd.DataFrame, workload: str, order: Sequence[str]) -> dict[str, str]:
    """Cluster -> the first valid trial of a workload on it; clusters without one are left out."""
    return {
        cluster: str(good.iloc[0]["trial"])
        for cluster in order
        if len(good := valid(of_cell(trials, workload, cluster)))
    }


def labels(text: str) -> dict[str, str]:
    """Labels of a sample, as the samples table has them."""
    return {name: str(value) for name, value in json.loads(text).items()}


def of_daemons(samples: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Samples of some metrics of the daemons on the head, with a column `process`."""
    wanted = samples["metric"].isin(metrics) & (samples["instance"] == HEAD)
    rows = samples[wanted].copy()
    texts = rows["labels"].astype(str)
    known = {text: labels(text).get("process", "") for text in texts.unique()}
    rows["process"] = texts.map(known).astype(object)
    for name in ("trial", "metric"):
        rows[name] = rows[name].astype(str)
    return rows


def rate(t: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Rate of a counter between two samples; a counter that fell was a restart: unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.diff(value) / np.diff(t)
    return np.where(np.diff(value) < 0, np.nan, found)


def line(axis: Axes, t: np.ndarray, value: np.ndarray, look: Look, width: float) -> bool:
    """Draw one line, or a point where one value alone is known; return whether any is."""
    known = int(np.isfinite(value).sum())
    if known:
        marker = "o" if known == 1 else ""
        axis.plot(t, value, marker=marker, markersize=2 + width, **line_of(look, width))
    return known > 0


def from_zero(axis: Axes) -> None:
    """Let a panel of lines begin at zero, with few marks on its axes."""
    axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.yaxis.set_major_locator(MaxNLocator(4))
