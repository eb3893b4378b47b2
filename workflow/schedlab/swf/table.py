"""All jobs of a trace as one array, which is read once.

Blocks in which every line is sound are read fast: by numpy if all numbers that are used are whole,
else by pandas; other blocks line by line. A malformed line is noted. It becomes an error only when
the replayed jobs include it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np

from schedlab.errors import SchedlabError
from schedlab.swf import kept
from schedlab.swf.file import (
    AMOUNTS,
    CANCELLED,
    FIELDS,
    LARGEST,
    PARTIAL,
    PARTIAL_LAST_FAILED,
    STATUSES,
    USED,
    WHOLE,
    SwfJob,
    chunks,
    number,
    parse_line,
)
from schedlab.swf.words import Words

_KEPT = 2**22
"""Smallest size of a trace, bytes, whose array is kept in the cache for the next command."""
_SMALL = 2**16
"""Size of a block, bytes, below which reading by line takes less time than importing pandas."""
_TOLERATED = 1000
"""A file with more malformed lines than this is refused: it is probably no trace."""

(
    LINE,
    NUMBER,
    SUBMIT,
    WAIT,
    RUNTIME,
    ALLOCATED,
    REQUESTED,
    REQUESTED_TIME,
    STATUS,
    USER,
    PRECEDING,
    THINK,
) = range(12)
"""Columns of the array: the line in the file, and the `USED` fields in their order."""
_COLUMN = {field: column for column, field in enumerate(USED, 1)}

_SUBMITTED = USED[SUBMIT - 1]
"""Position of the submit time in a line."""

REASONS = (
    "part of an interrupted job",
    "cancelled before it started",
    "no runtime",
    "no processors",
    "part of an interrupted job that has no line as a whole",
)
"""Why a job cannot be replayed, by the number in `Table.reasons` less 1."""
_PART, _PART_ALONE = 1, 5


@dataclass(frozen=True)
class Table:
    """The jobs of a trace in order of submission (then of number, then of line).

    Parameters
    ----------
    rows : numpy.ndarray
        One row per job, in memory by column; NaN where a malformed line has no number.
    reasons : numpy.ndarray
        For each job 0, or the number (from 1) in `REASONS` of why it is left out.
    malformed : dict
        The error for each malformed line.
    """

    rows: np.ndarray
    reasons: np.ndarray
    malformed: dict[int, SchedlabError]

    def usable(self, stop: int | None = None) -> np.ndarray:
        """Positions of the first `stop` jobs that can be replayed (default: of all).

        Raises
        ------
        SchedlabError
            When a line among them is malformed.
        """
        return self._checked(np.flatnonzero(self.reasons == 0)[:stop])

    def within(self, first: float, end: float) -> tuple[np.ndarray, slice]:
        """Positions of the jobs submitted from an instant to before another that can be replayed.

        Returns
        -------
        tuple
            The positions, and the range of positions of all jobs submitted then.

        Raises
        ------
        SchedlabError
            When a line among them is malformed, or one whose submission is unknown would be used.
        """
        submit = np.nan_to_num(self.rows[:, SUBMIT], nan=-np.inf)
        # Whether a job of unknown submission is among them cannot be told.
        unknown = int(np.searchsorted(submit, -np.inf, side="right"))
        self._checked(np.flatnonzero(self.reasons[:unknown] == 0))
        start, stop = (int(place) for place in np.searchsorted(submit, [first, end]))
        found = start + np.flatnonzero(self.reasons[start:stop] == 0)
        return self._checked(found), slice(start, stop)

    def _checked(self, found: np.ndarray) -> np.ndarray:
        if self.malformed:
            for line in self.rows[found, LINE]:
                if int(line) in self.malformed:
                    raise self.malformed[int(line)]
        return found

    def dropped(self, place: slice) -> Counter[str]:
        """How many of the jobs in a range of positions are left out, by reason."""
        counts = np.bincount(self.reasons[place], minlength=1).tolist()
        return Counter({reason: n for reason, n in zip(REASONS, counts[1:], strict=False) if n})

    def record(self, position: int) -> SwfJob:
        """Job at a position."""
        line, *values = self.rows[position].tolist()
        job, submit, _, runtime, allocated, requested, requested_time, *rest = values
        status, user, preceding, think = rest
        return SwfJob(
            number=int(job),
            submit=submit,
            runtime=runtime,
            processors=int(allocated if allocated > 0 else requested),
            requested_time=requested_time,
            status=int(status),
            user=int(user),
            preceding=int(preceding),
            think=-1.0 if think < 0 else think,
            line=int(line),
        )


def read_table(path: Path) -> Table:
    """Jobs of a trace; the file is read again only when it has changed.

    Parameters
    ----------
    path : pathlib.Path
        Plain or gzip file.

    Raises
    ------
    SchedlabError
        When the file cannot be read, or is no trace.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return _read(path)  # raises an error that says what is wrong
    if not kept.settled(status):
        return _read(path)
    return _table(path.absolute(), kept.version_of(status))


@lru_cache(maxsize=8)
def _table(path: Path, version: kept.Version) -> Table:
    large = kept.size_of(version) >= _KEPT
    rows = kept.find(path, version) if large else None
    if rows is not None and rows.shape[1] == 1 + len(USED):
        return Table(rows, _reasons(rows), {})
    table = _read(path)
    if large and not table.malformed:
        kept.keep(table.rows, path, version)
    return table


def _read(path: Path) -> Table:
    malformed: dict[int, SchedlabError] = {}
    parts: list[np.ndarray] = []
    for line, block in chunks(path):
        start = 0
        while block[start : start + 1] in (b";", b"\n"):  # the header
            line, start = line + 1, (block.find(b"\n", start) + 1) or len(block)
        block = block[start:]
        fast = _fast(line, block) if len(block) >= _SMALL else None
        parts.append(_slow(path, line, block, malformed) if fast is None else fast)
        if len(malformed) > _TOLERATED:
            raise malformed[min(malformed)]
    # By column, because all that is done with many jobs goes over columns.
    rows = np.empty((sum(map(len, parts)), 1 + len(USED)), order="F")
    np.concatenate([rows[:0], *parts], out=rows)
    parts.clear()
    # A job of unknown submission comes first, so that every slice includes it and reports it.
    if not (_in_order(rows[:, SUBMIT]) and _in_order(rows[:, NUMBER])):
        submit = np.where(np.isnan(rows[:, SUBMIT]), -np.inf, rows[:, SUBMIT])
        order = np.lexsort((rows[:, LINE], rows[:, NUMBER], submit))
        rows = np.take(rows.T, order, axis=1).T
    return Table(rows, _reasons(rows), malformed)


def _in_order(values: np.ndarray) -> bool:
    """Whether no value is missing or smaller than the one before it."""
    return bool((values[1:] >= values[:-1]).all()) and not np.isnan(values[:1]).any()


def _reasons(rows: np.ndarray) -> np.ndarray:
    """Why the archive's rules leave out each job, as in `Table.reasons`.

    Lines of status 2, 3 and 4 are the parts of a job that also has a line of its own with status
    0 or 1; where that is missing, a job is lost, which is told apart. A cancelled job that never
    ran has no runtime or no processors, one that was cancelled while running has both and counts.
    """
    found = np.zeros(len(rows), dtype=np.int8)
    # Nearly all jobs ran and ended, on known processors: no rule leaves these out.
    usual = (rows[:, ALLOCATED] > 0) & (rows[:, RUNTIME] > 0) & (rows[:, STATUS] < PARTIAL)
    others = np.flatnonzero(~usual)
    found[others] = _reasons_of(rows[others])
    parts = found == _PART
    if parts.any():
        # The format gives a job that was interrupted a line for the whole, under the same number.
        whole = np.isin(rows[parts, NUMBER], rows[~parts, NUMBER])
        found[parts] = np.where(whole, _PART, _PART_ALONE)
    return found


def _reasons_of(rows: np.ndarray) -> np.ndarray:
    status, runtime = rows[:, STATUS], rows[:, RUNTIME]
    allocated = rows[:, ALLOCATED]
    known = (allocated > 0) | np.isnan(allocated)
    processors = np.where(known, allocated, rows[:, REQUESTED])
    found = np.zeros(len(rows), dtype=np.int8)
    # If several reasons apply, the first of `REASONS` counts, so it is written last.
    found[(processors == 0) | (processors == -1)] = 4
    found[runtime == -1] = 3
    found[(status == CANCELLED) & ((runtime <= 0) | (processors <= 0))] = 2
    found[(status >= PARTIAL) & (status <= PARTIAL_LAST_FAILED)] = _PART
    return found


def _fast(line: int, block: bytes) -> np.ndarray | None:
    """Jobs of whole lines; None unless each line is one sound job."""
    words = Words(block, len(FIELDS))
    if not words.complete:
        return None
    rows = np.empty((words.lines, 1 + len(USED)), order="F")
    rows[:, LINE] = np.arange(line, line + words.lines)
    for field, place in _COLUMN.items():
        numbers = words.whole(field)
        if numbers is None:
            found = _real(block)
            if found is None or len(found) != words.lines:
                return None
            rows[:, 1:] = found
            break
        rows[:, place] = numbers
    return rows if _sound(rows) else None


def _real(block: bytes) -> np.ndarray | None:
    """`USED` fields of whole lines with fractions; None where one is no number."""
    import pandas as pd

    try:
        found: np.ndarray = pd.read_csv(
            BytesIO(block),
            sep=r"\s+",
            header=None,
            names=list(range(len(FIELDS))),
            usecols=list(USED),
            index_col=False,
            dtype="float64",
            quoting=3,
            keep_default_na=False,
            na_values=[""],
        ).to_numpy()
    except (ValueError, OverflowError):
        return None
    return found


def _sound(rows: np.ndarray) -> bool:
    """Whether `parse_line` would accept every row."""
    columns = rows.T
    whole = (columns[_COLUMN[field]] for field in WHOLE)
    amounts = (columns[_COLUMN[field]] for field in AMOUNTS)
    return bool(
        rows.min() >= -LARGEST
        and rows.max() <= LARGEST
        and all((numbers == np.floor(numbers)).all() for numbers in whole)
        and all(
            numbers.min() >= 0 or ((numbers >= 0) | (numbers == -1)).all() for numbers in amounts
        )
        and (columns[SUBMIT] >= 0).all()
        and np.isin(columns[STATUS], STATUSES).all()
    )


def _slow(path: Path, first: int, block: bytes, malformed: dict[int, SchedlabError]) -> np.ndarray:
    """Jobs of whole lines, comments and blank lines left out, malformed ones noted."""
    rows = []
    for line, raw in enumerate(block.split(b"\n") if block.strip() else (), first):
        words = raw.split()
        if not words or words[0].startswith(b";"):
            continue
        try:
            values = parse_line(path, line, words)
        except SchedlabError as error:
            malformed[line] = error
            if len(malformed) > _TOLERATED:
                break
            # The other fields of the line show whether a replay would use it.
            complete = len(words) == len(FIELDS)
            values = [
                number(words[field]) if complete or _SUBMITTED == field < len(words) else np.nan
                for field in USED
            ]
            if not 0 <= values[SUBMIT - 1] <= LARGEST:
                values[SUBMIT - 1] = np.nan  # it has no place in the order
        rows.append([float(line), *values])
    return np.array(rows, dtype=float).reshape(-1, 1 + len(USED))
