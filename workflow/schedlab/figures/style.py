"""The look of figures, and the forms that several figures share.

Ink, grid and series colours are sentinels (`VARIABLES`): the report turns them into CSS variables,
so that one SVG serves light and dark pages. Series differ in colour, lightness, line style and
marker at once, for readers and printers without colour.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn.objects as so
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from schedlab.metrics.cells import cells
from schedlab.metrics.quantities import QUANTITIES
from schedlab.outside.output import write_output

INK, MUTED, GRID = "#1b1b1f", "#5f5f6b", "#dcdce3"
COLOURS = ("#08519c", "#e08214", "#1b9e77", "#b2559b", "#56b4e9", "#8c6d31")
_LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), "-", (0, (7, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "P")

VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    **{colour: f"--series-{number}" for number, colour in enumerate(COLOURS, 1)},
}
"""Sentinel colour -> CSS variable of the report."""

WIDTH = 6.0
"""Width in inches: 432 pt, so that 10 pt text has 15 px on a page and 8 px on a phone."""
PANEL = 1.4
"""Height of a panel in inches, 150 px on a page."""
_ROOM = 100.0
"""Height in inches at which panels have room beside every legend, while `fit` measures it."""
SMALL = 9.0
_LETTERS = (28, 36)
"""Letters of a title, and of a note, that fit above a panel of half the width."""

_SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    # matplotlib contains this font, so the layout is the same everywhere. It is wider than the
    # fonts of browsers, so that text fits there too.
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "schedlab",
    **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
    **dict.fromkeys((f"{part}.facecolor" for part in ("axes", "figure", "savefig")), "none"),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED),
    **dict.fromkeys(("axes.labelcolor", "axes.titlecolor", "text.color"), INK),
    **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor", "legend.labelcolor"), INK),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL),
}


class Look(NamedTuple):
    """Colour, line style and marker of a series."""

    colour: str
    line: Any
    marker: str


@contextmanager
def applied() -> Iterator[None]:
    """Draw in this style; ignore the user's own matplotlib settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        for key, value in _SETTINGS.items():
            mpl.rcParams[key] = value  # type: ignore[index]
        yield


def save(figure: Figure, output: Path, title: str) -> None:
    """Write a figure as SVG; leave out everything that changes from run to run."""
    fit(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    text = re.sub(r"(&quot;|')?DejaVu Sans(&quot;|')?", "sans-serif", buffer.getvalue())
    write_output(output, text)


def fit(figure: Figure) -> None:
    """Make a figure higher, so that legend, headings and labels take no height from its panels.

    Their height depends on names, and is known only when they are laid out.

    Parameters
    ----------
    figure : Figure
        A finished figure of `blank_figure`, whose height is still that of its panels alone.
    """
    wanted = figure.get_figheight()
    figure.set_figheight(_ROOM)
    figure.get_layout_engine().execute(figure)  # type: ignore[union-attr]
    rows = {
        place.rowspan.start: axis.get_position().height * _ROOM
        for axis in figure.axes
        if (place := axis.get_subplotspec()) is not None
    }
    figure.set_figheight(wanted + _ROOM - sum(rows.values()))


def look(number: int) -> Look:
    """Look of series number 0, 1, 2, ...

    After six, colours come again with the line style and the marker of another series.
    """
    again, place = divmod(number, len(COLOURS))
    other = (place + again) % len(COLOURS)
    return Look(COLOURS[place], _LINES[other], _MARKERS[other])


_TRIAL, _ESTIMATE = ": one trial", ": estimate"
_NOTE: dict[str, Any] = {"fontsize": SMALL, "color": MUTED}


def valid(trials: pd.DataFrame) -> pd.DataFrame:
    """Valid trials in the order of their repetitions."""
    keep = trials["valid"].map(lambda v: bool(v) if pd.notna(v) else False).astype(bool)
    return trials[keep].sort_values(["cluster", "workload", "repetition"])


def clusters(trials: pd.DataFrame) -> list[str]:
    """Clusters by scheduler and node count."""
    return list(trials.sort_values(["scheduler", "nodes"])["cluster"].astype(str).unique())


def workloads(trials: pd.DataFrame) -> list[str]:
    """Workloads by name."""
    return sorted(str(name) for name in trials["workload"].unique())


def of_cell(trials: pd.DataFrame, workload: str, cluster: str) -> pd.DataFrame:
    """Rows of one cell."""
    return trials[(trials["workload"] == workload) & (trials["cluster"] == cluster)]


def invalid_note(trials: pd.DataFrame) -> str:
    """Say which trials are left out, for example ``alpha-n2: 1 of 3 trials invalid``."""
    notes = []
    for cluster in clusters(trials):
        rows = trials[trials["cluster"] == cluster]
        if missing := len(rows) - len(valid(rows)):
            notes.append(f"{cluster}: {missing} of {len(rows)} trials invalid")
    return "\n".join(notes)


def blank_figure(height: float) -> Figure:
    """Figure of the common width without panels.

    Parameters
    ----------
    height : float
        Height of all rows of panels together, inches. What is beside them is added by `save`.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    # Room between a panel's ticks and the title of the panel below it. Constrained layout would
    # add a part of the figure's height, which `fit` could not measure at another height.
    figure.get_layout_engine().set(h_pad=0.09, hspace=0.0, w_pad=0.05)  # type: ignore[union-attr,call-arg]
    return figure


def panels(count: int, *, wide: bool = False) -> tuple[Figure, list[Axes]]:
    """Figure with `count` panels, two side by side, or each as `wide` as the figure."""
    columns = 1 if wide else min(2, max(1, count))
    rows = -(-max(1, count) // columns)
    figure = blank_figure(rows * PANEL)
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(max(1, count))]
    return figure, axes


def blank(axis: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    axis.grid(False)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color=MUTED)


def nothing(text: str = "no trial in the tables") -> Figure:
    """Figure for empty tables."""
    figure, axes = panels(1)
    blank(axes[0], text)
    return figure


def _broken(text: str, letters: int) -> list[str]:
    """Lines of a text; names are broken, at hyphens, only if they fit on no line."""
    longest = max(map(len, text.split()), default=0)
    return textwrap.wrap(text, letters, break_on_hyphens=longest > letters)


def heading(axis: Axes, title: str, note: str = "") -> None:
    """Title of a panel with smaller lines below it, all broken to the width of the panel."""
    place = axis.get_subplotspec()
    part = len(place.colspan) / place.get_gridspec().ncols if place is not None else 1.0
    large, small = (int(2 * part * size) for size in _LETTERS)
    lines = [part for line in note.splitlines() for part in _broken(line, small)]
    axis.set_title("\n".join(_broken(title, large)), pad=5 + 11.5 * len(lines))
    if note:
        above: dict[str, Any] = {"xytext": (0, 4), "textcoords": "offset points", **_NOTE}
        axis.annotate("\n".join(lines), (0, 1), va="bottom", xycoords="axes fraction", **above)


def log_axes(axis: Axes, sizes: Iterable[float]) -> None:
    """Make both axes of a panel logarithmic, with ticks at the sizes that were drawn.

    The other axis gets a range that is not empty, and ticks also within one power of ten.
    """
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.xaxis.set_major_locator(FixedLocator(sorted(sizes)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axis.margins(x=0.12, y=0.15)
    low, high = axis.get_ylim()
    if high < 1.1 * low:
        middle = float(np.sqrt(low * high))
        low, high = axis.set_ylim(middle / 1.1, middle * 1.1)
    if high < 10 * low:
        axis.yaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def line_of(style: Look, width: float) -> dict[str, Any]:
    """Arguments of a line of this look."""
    return {"color": style.colour, "linestyle": style.line, "linewidth": width}


def line_handles(names: Sequence[str]) -> list[Line2D]:
    """Legend of series drawn as lines."""
    return [Line2D([], [], label=name, **line_of(look(i), 1.4)) for i, name in enumerate(names)]


def mark_handles(names: Sequence[str]) -> list[Line2D]:
    """Legend of series drawn as marks on a line."""
    return [
        Line2D([], [], label=name, marker=look(i).marker, **line_of(look(i), 1.2))
        for i, name in enumerate(names)
    ]


def legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Legend above all panels, with as many columns as its texts leave room for, at most three."""
    space: dict[str, Any] = {"columnspacing": 1.4, "handlelength": 2.4}
    for columns in (3, 2, 1):
        ncols = min(columns, len(handles))
        drawn = figure.legend(handles=list(handles), loc="outside upper left", ncols=ncols, **space)
        if columns == 1 or drawn.get_window_extent().width <= figure.bbox.width:
            return
        drawn.remove()


class _SideBySide(so.Move):
    """Moves marks at the same position apart, in their order, so that equal values are visible."""

    def __call__(self, data: pd.DataFrame, *_: Any) -> pd.DataFrame:
        places = data.groupby(["x", "color"], observed=True)["x"]
        share = (places.cumcount() + 0.5) / places.transform("size") - 0.5
        return data.assign(x=data["x"] + 0.6 * share * data["width"])


def crowded(trials: pd.DataFrame, place: str = "nodes") -> bool:
    """Whether `dots` need the whole width: half of it has room for some 12 estimates."""
    return int(trials["scheduler"].nunique() * trials[place].nunique()) > 12


def dot_looks(trials: pd.DataFrame) -> dict[str, Look]:
    """Looks of the schedulers in `dots`: of their trials, and of their estimates."""
    looks = {}
    for number, name in enumerate(sorted(str(name) for name in trials["scheduler"].unique())):
        looks[name + _TRIAL] = look(number)._replace(marker="o")
        looks[name + _ESTIMATE] = look(number)
    return looks


def dots(
    axis: Axes, trials: pd.DataFrame, summary: pd.DataFrame, column: str, place: str = "nodes"
) -> None:
    """Draw one workload's trials as points, and estimates with intervals, against node count.

    Parameters
    ----------
    axis : Axes
        Panel.
    trials : pandas.DataFrame
        Trials of the workload.
    summary : pandas.DataFrame
        Rows of `metrics.summary.cells` for these trials.
    column : str
        Column of `trials` to draw.
    place : str
        Column of both to draw it against, in ascending order.
    """
    good = valid(trials)
    if not summary["n"].sum():
        blank(axis, "no value in any trial" if len(good) else "no valid trial")
        return
    looks, levels = dot_looks(trials), sorted(trials[place].unique())
    good = good.assign(what=good["scheduler"].astype(str) + _TRIAL, value=good[column])
    good = good.dropna(subset="value")
    summary = summary.assign(what=summary["scheduler"].astype(str) + _ESTIMATE)
    notes = summary[summary["low"].isna()].fillna({"estimate": 0.0})
    notes = notes.assign(text="n=" + notes["n"].astype(str))
    beside = so.Dodge(by=["color"])
    every: dict[str, Any] = {"x": place, "color": "what", "legend": False}
    one = so.Dot(marker="o", fill=False, pointsize=5, stroke=1.1)
    cap = so.Dot(marker="_", pointsize=7, stroke=1.4)
    note = so.Text(color=MUTED, fontsize=SMALL, valign="bottom")
    (
        so.Plot()
        .add(one, beside, _SideBySide(), data=good, y="value", **every)
        .add(so.Dot(pointsize=7), beside, data=summary, y="estimate", marker="what", **every)
        # Use the interval from the tables, because seaborn would resample one at random.
        .add(so.Range(linewidth=1.4), beside, data=summary, ymin="low", ymax="high", **every)
        .add(cap, beside, data=summary, y="low", **every)
        .add(cap, beside, data=summary, y="high", **every)
        .add(note, beside, data=notes, y="estimate", text="text", **every)
        .scale(
            x=so.Nominal(order=levels),
            color=so.Nominal([style.colour for style in looks.values()], order=list(looks)),
            marker=so.Nominal([style.marker for style in looks.values()], order=list(looks)),
        )
        .label(x="", y="")
        .theme(_SETTINGS)
        .on(axis)
        .plot()
    )
    # Seaborn gives each mark its own path and size; with one for all marks, the file has a quarter
    # of the size.
    trial_marks: Any = axis.collections[0]
    trial_marks.set_paths(trial_marks.get_paths()[:1])
    trial_marks.set_sizes(trial_marks.get_sizes()[:1])
    axis.set_xlim(-0.6, len(levels) - 0.4)
    axis.set_ylim(0, 1.2 * axis.get_ylim()[1])
    axis.yaxis.set_major_locator(MaxNLocator(5))
    axis.grid(False, axis="x")


def dot_panels(axes: Sequence[Axes], trials: pd.DataFrame, quantity: str) -> None:
    """Draw `dots` of a quantity, one panel for each workload."""
    summary, column = cells(trials, quantity), QUANTITIES[quantity].column
    for axis, workload in zip(axes, workloads(trials), strict=True):
        rows = trials[trials["workload"] == workload]
        dots(axis, rows, summary[summary["workload"] == workload], column)
        heading(axis, workload, invalid_note(rows))


def dot_handles(trials: pd.DataFrame) -> list[Line2D]:
    """Legend of `dots`: each scheduler's mark, and the meaning of open and filled ones."""
    handles = [
        Line2D([], [], marker=marker, color=colour, ls="none", label=what.removesuffix(_ESTIMATE))
        for what, (colour, _, marker) in dot_looks(trials).items()
        if what.endswith(_ESTIMATE)
    ]
    one: dict[str, Any] = {"mfc": "none", "ls": "none", "marker": "o", "color": MUTED}
    return [
        *handles,
        Line2D([], [], label="open: one trial", **one),
        Line2D([], [], label="filled: estimate, 95 % interval", marker="o", color=MUTED),
    ]
