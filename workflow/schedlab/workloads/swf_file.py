"""Reader of the Standard Workload Format, version 2.2.

Definition: D. Feitelson et al., "The Standard Workload Format", Parallel Workloads Archive;
S. Chapin et al., "Benchmarks and standards for the evaluation of parallel job schedulers",
JSSPP 1999. Lines that start with `;` are comments, of which the ones like `; MaxProcs: 128`
at the top are the header; every other line is one job of 18 numbers, -1 meaning unknown.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schedlab.errors import SchedlabError

FIELDS = (
    "job number",
    "submit time",
    "wait time",
    "run time",
    "allocated processors",
    "average CPU time used",
    "used memory",
    "requested processors",
    "requested time",
    "requested memory",
    "status",
    "user",
    "group",
    "executable",
    "queue",
    "partition",
    "preceding job",
    "think time",
)

FAILED, COMPLETED, PARTIAL, PARTIAL_LAST, PARTIAL_LAST_FAILED, CANCELLED = range(6)

_STATUSES = {-1, FAILED, COMPLETED, PARTIAL, PARTIAL_LAST, PARTIAL_LAST_FAILED, CANCELLED}
# Times, and memory in kilobytes, may have fractions; everything else counts or names something.
_REAL = {1, 2, 3, 5, 6, 8, 9, 17}
# Fields of which a replay depends: here -1 is the only negative number that has a meaning.
_USED = {3, 4, 7, 8}


@dataclass(frozen=True)
class Record:
    """The fields of one job that a replay uses.

    Parameters
    ----------
    line : int
        Line in the file, from 1.
    number : int
        Job number in the file.
    submit : float
        s since the log's start.
    runtime : float
        s; -1 unknown.
    processors : int
        Allocated, or requested where the allocation is unknown; -1 unknown.
    requested_time : float
        User's estimate or limit, s; -1 unknown.
    status : int
        0 failed, 1 completed, 2 to 4 parts of an interrupted job, 5 cancelled, -1 unknown.
    user : int
        -1 unknown.
    preceding : int
        Job number that it waited for; -1 none.
    """

    line: int
    number: int
    submit: float
    runtime: float
    processors: int
    requested_time: float
    status: int
    user: int
    preceding: int

    @property
    def unusable(self) -> str | None:
        """Why the record cannot be replayed; None when it can.

        The archive's rules: lines of status 2, 3 and 4 are the parts of a job that also has a
        line of its own with status 0 or 1; a cancelled job that never ran has no runtime or no
        processors, one that was cancelled while running has both and counts.
        """
        if self.status in (PARTIAL, PARTIAL_LAST, PARTIAL_LAST_FAILED):
            return "part of an interrupted job"
        if self.status == CANCELLED and (self.runtime <= 0 or self.processors <= 0):
            return "cancelled before it started"
        if self.runtime < 0:
            return "no runtime"
        if self.processors <= 0:
            return "no processors"
        return None


def _refuse(path: Path, line: int, what: str, remedy: str | None = None) -> SchedlabError:
    return SchedlabError(
        f"{path}:{line}: {what}",
        remedy=remedy
        or "correct or remove the line; every job has 18 numbers, -1 for unknown "
        "(Standard Workload Format 2.2)",
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a plain or gzip file, told apart by content."""
    number = 0
    try:
        with path.open("rb") as probe:
            zipped = probe.read(2) == b"\x1f\x8b"
        opener = gzip.open if zipped else open
        with opener(path, "rt", encoding="utf-8", errors="replace") as stream:
            for number, line in enumerate(stream, start=1):  # noqa: B007  (used in the errors)
                yield number, line
    except FileNotFoundError as error:
        raise SchedlabError(
            f"{path}: no such trace", remedy="put the trace there, or correct `file`"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise _refuse(
            path, number + 1, f"cannot be read: {error}", "fetch the trace again; it is damaged"
        ) from error


def _record(path: Path, line: int, text: str) -> Record:
    words = text.split()
    if len(words) != len(FIELDS):
        raise _refuse(path, line, f"{len(words)} fields instead of {len(FIELDS)}: {text.strip()!r}")
    values: list[float] = []
    for index, (name, word) in enumerate(zip(FIELDS, words, strict=True)):
        try:
            value: float = float(word) if index in _REAL else int(word)
        except ValueError:
            kind = "number" if index in _REAL else "whole number"
            raise _refuse(path, line, f"field {index + 1} ({name}) = {word!r}: no {kind}") from None
        if not math.isfinite(value) or (index in _USED and value < 0 and value != -1):
            raise _refuse(path, line, f"field {index + 1} ({name}) = {word!r}: out of range")
        values.append(value)
    if values[1] < 0:
        raise _refuse(path, line, f"field 2 (submit time) = {words[1]!r}: out of range")
    if int(values[10]) not in _STATUSES:
        raise _refuse(path, line, f"field 11 (status) = {words[10]!r}: not -1 or 0 to 5")
    return Record(
        line=line,
        number=int(values[0]),
        submit=values[1],
        runtime=values[3],
        processors=int(values[4] if values[4] > 0 else values[7]),
        requested_time=values[8],
        status=int(values[10]),
        user=int(values[11]),
        preceding=int(values[16]),
    )


def records(path: Path) -> Iterator[Record]:
    """Job lines of a trace in the order of the file, read as they are asked for.

    Parameters
    ----------
    path : pathlib.Path
        Plain or gzip file.

    Raises
    ------
    SchedlabError
        At the first malformed line, with its number.
    """
    for number, line in _lines(path):
        if line.strip() and not line.lstrip().startswith(";"):
            yield _record(path, number, line)


def header(path: Path) -> dict[str, str]:
    """Header comments: what stands before the first job as `; Key: value`.

    Keys that are repeated (`Note`, `Queue`) keep their first value.
    """
    found: dict[str, str] = {}
    for _, line in _lines(path):
        if not line.strip():
            continue
        if not line.lstrip().startswith(";"):
            break
        key, colon, value = line.lstrip(" \t;").partition(":")
        if colon and key.strip() and " " not in key.strip():
            found.setdefault(key.strip(), value.strip())
    return found


def machine_size(path: Path) -> int | None:
    """Processors of the traced machine from the header, MaxProcs before MaxNodes.

    Returns
    -------
    int or None
        None when the header names neither, or not as a positive whole number.
    """
    comments = header(path)
    for key in ("MaxProcs", "MaxNodes"):
        words = comments.get(key, "").split()
        if words and words[0].isdigit() and int(words[0]) > 0:
            return int(words[0])
    return None
