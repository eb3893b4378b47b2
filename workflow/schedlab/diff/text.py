"""A comparison as text for people: side by side, in 100 columns, without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest

from schedlab.diff.infrastructure import FILES, TITLES, Change, Infrastructure, TextChange
from schedlab.diff.outcomes import SAME, Cell, Outcome, Outcomes, cell_name
from schedlab.diff.result import Difference
from schedlab.formatting import NONE, number
from schedlab.metrics.difference import ERROR_RATE, NO_DIFFERENCE
from schedlab.metrics.quantities import COMPARED
from schedlab.metrics.statistics import CONFIDENCE, TOO_SMALL, Interval

WIDTH = 100
SHORT = 20
"""Largest number of lines shown of a topic or of a file. Of the rest only the number is shown."""

_VALUES = (36, 29, 29)
_OUTCOME = (23, 18, 18, 18, 13)


def render(difference: Difference, *, full: bool = False) -> str:
    """Write a comparison as text.

    Parameters
    ----------
    difference : Difference
        The comparison.
    full : bool
        Show every line of long topics and files.
    """
    lines = [*_paragraph(f"A: {difference.a}"), *_paragraph(f"B: {difference.b}")]
    if difference.infrastructure:
        lines += ["", *_infrastructure(difference.infrastructure, full=full)]
    if difference.outcomes:
        lines += ["", *_outcomes(difference.outcomes)]
    lines += ["", *_paragraph(_conclusion(difference))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _paragraph(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _row(cells: Sequence[str], widths: Sequence[int], indent: int = 2) -> Iterator[str]:
    """Yield the lines of cells side by side, each wrapped to its width. Line ends are kept."""
    columns = [
        [part for line in cell.split("\n") for part in _wrapped(line, width)]
        for cell, width in zip(cells, widths, strict=True)
    ]
    for parts in zip_longest(*columns, fillvalue=""):
        padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
        yield " " * indent + "  ".join(padded)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _cut(lines: Sequence[str], indent: str, *, full: bool) -> Iterator[str]:
    """Yield all lines, or the first ones and the number of the others."""
    shown = lines if full or len(lines) <= SHORT else lines[:SHORT]
    yield from shown
    if len(shown) < len(lines):
        yield f"{indent}... and {len(lines) - len(shown)} more lines (--full shows them)"


def _infrastructure(found: Infrastructure, *, full: bool) -> Iterator[str]:
    if not found.differs:
        yield "INFRASTRUCTURE: no difference"
    else:
        count = sum(map(len, found.changes.values())) + len(found.texts)
        yield f"INFRASTRUCTURE: {_plural(count, 'difference')}"
    for note in found.notes:
        yield from _paragraph(f"note: {note}", "  ")
    for topic, title in TITLES.items():
        if changes := found.changes.get(topic):
            yield from ("", title)
            yield from _cut(list(_changes(changes)), "  ", full=full)
        if topic == FILES and found.texts:
            yield from ("", title)
            yield from _texts(found.texts, full=full)


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    for places, group in groupby(changes, key=lambda change: change.places):
        if places:
            yield from _paragraph(f"in {', '.join(places)}:", "  ")
        yield from _row(("", "A", "B"), _VALUES)
        for change in group:
            yield from _row((change.key, change.a or NONE, change.b or NONE), _VALUES)


def _texts(texts: Sequence[TextChange], *, full: bool) -> Iterator[str]:
    for text in texts:
        yield from _paragraph(f"{text.name} in {', '.join(text.places)}:", "  ")
        # Lines are not wrapped, so that they are those of the file.
        yield from _cut([f"    {line}" for line in text.lines], "    ", full=full)


def _outcomes(found: Outcomes) -> Iterator[str]:
    yield f"OUTCOMES: B against A, {CONFIDENCE:.0%} intervals over trials, or searches"
    for side, names in (("A", found.only_a), ("B", found.only_b)):
        for name in names:
            yield f"  only in {side}: {name}"
    for cell in found.cells:
        yield from ("", *_cell(cell))
    if not found.cells:
        yield "  no cell is in both"
    if found.compared:
        yield ""
        yield from _paragraph(
            f"{_plural(found.compared, 'quantity', 'quantities')} tested as one table: without any"
            f" true difference, one or more would show one in at most {ERROR_RATE:.0%} of such"
            " tables (docs/statistics.md). A and B ran at different times: a difference may be one"
            " of the host's load.",
            "  ",
        )


def _cell(cell: Cell) -> Iterator[str]:
    name = cell_name(cell.scheduler, cell.cluster, cell.workload, cell.nodes)
    valid = ", ".join(
        f"{side} {valid} of {trials}"
        for side, valid, trials in zip("AB", cell.valid, cell.trials, strict=True)
    )
    counted = "valid trials"
    if cell.searches:
        counted = f"searches: A {cell.searches[0]}, B {cell.searches[1]}; valid steps"
    shared = f"; {cell.shared} in both" if cell.shared else ""
    yield from _paragraph(f"{name} ({counted}: {valid}{shared})")
    if not cell.as_complete:
        jobs = zip("AB", cell.completed, cell.jobs, strict=True)
        counts = ", ".join(f"{side} {done} of {total}" for side, done, total in jobs)
        yield f"  jobs completed: {counts}"
    if all(outcome.verdict == SAME for outcome in cell.outcomes):
        yield f"  {SAME}"
        return
    yield from _row(("", "A", "B", "B / A, or B - A", ""), _OUTCOME)
    for outcome in cell.outcomes:
        yield from _row(_outcome(outcome), _OUTCOME)


def _outcome(outcome: Outcome) -> tuple[str, ...]:
    quantity = COMPARED[outcome.quantity]
    title = quantity.title if quantity.unit == "1" else f"{quantity.title}, {quantity.unit}"
    return (
        title,
        _interval(outcome.a),
        _interval(outcome.b),
        _effect(outcome),
        f"B is {outcome.verdict}" if outcome.differs else outcome.verdict,
    )


def _interval(interval: Interval, prefix: str = "") -> str:
    if interval.estimate is None:
        return NONE
    bounds = f"[{number(interval.low)}, {number(interval.high)}]"
    return (
        f"{prefix}{number(interval.estimate)}\n{bounds if interval.known else f'(n={interval.n})'}"
    )


def _effect(outcome: Outcome) -> str:
    """Return an effect as text: a ratio with a cross in front, or a difference with its sign."""
    if outcome.found is None:
        return NONE
    positive = (outcome.found.effect.estimate or 0) > 0
    prefix = "×" if outcome.found.kind == "ratio" else "+" if positive else ""
    return _interval(outcome.found.effect, prefix)


def _conclusion(difference: Difference) -> str:
    if difference.same:
        return "no difference"
    parts = []
    if difference.infrastructure:
        parts.append(f"infrastructure {_differs(difference.infrastructure.differs)}")
    if outcomes := difference.outcomes:
        shown = sum(outcome.differs for cell in outcomes.cells for outcome in cell.outcomes)
        findings = [f"{shown} differ" if shown else NO_DIFFERENCE]
        if uneven := sum(cell.uneven for cell in outcomes.cells):
            findings.append(f"{_plural(uneven, 'cell')} with other numbers of invalid trials")
        if single := len(outcomes.only_a) + len(outcomes.only_b):
            findings.append(f"{_plural(single, 'cell')} in one result only")
        if small := outcomes.count(TOO_SMALL):
            findings.append(f"{small} with {TOO_SMALL}")
        findings += [f"{count} {reason}" for reason, count in outcomes.not_comparable.items()]
        parts.append(f"outcomes: {', '.join(findings)}")
    return "; ".join(parts)


def _differs(differs: bool) -> str:
    return "differs" if differs else "does not differ"


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
