"""Reads files in Standard Workload Format, version 2.2: the header, and the fields of a line.

Definition: D. Feitelson et al., "The Standard Workload Format", Parallel Workloads Archive;
S. Chapin et al., "Benchmarks and standards for the evaluation of parallel job schedulers",
JSSPP 1999. Lines that start with `;` are comments, of which the ones like `; MaxProcs: 128`
at the top are the header; every other line is one job of 18 numbers, -1 meaning unknown.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from schedlab.errors import SchedlabError
from schedlab.printing import brief

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

USED = (0, 1, 2, 3, 4, 7, 8, 10, 11, 16, 17)
"""Positions of the fields that are used; the contents of the others do not matter."""
_PRECEDING, _THINK = 16, 17
LOOSE = (2, _THINK)
"""Positions of the wait, which no replay uses, and of the think time, which few replays do
(`require_think_times`). Whatever they are, the line is sound."""
WHOLE = (0, 4, 7, 10, 11, 16)
"""Positions of fields that count or name something: whole numbers. Times may have fractions."""
AMOUNTS = (3, 4, 7, 8)
"""Positions of fields in which -1 is the only negative number that has a meaning."""
LARGEST = 2.0**53
"""Largest absolute value of a number: up to it, floating point holds whole numbers exactly."""

FAILED, COMPLETED, PARTIAL, PARTIAL_LAST, PARTIAL_LAST_FAILED, CANCELLED = range(6)
STATUSES = (-1, FAILED, COMPLETED, PARTIAL, PARTIAL_LAST, PARTIAL_LAST_FAILED, CANCELLED)

CHUNK = 2**20
"""Bytes that are read at once, and the largest length of a line. What is made of more would not
stay in a processor's cache."""
_UNPACKED = 2**33
"""Largest size of an unpacked trace, bytes; it holds a hundred million jobs."""
_HEADER = 2**20
_DIGITS = 9
"""Most digits of the processors of a machine."""

_NUMBER = re.compile(rb"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(rb"[-+]?(nan|inf|infinity)", re.IGNORECASE)

_REPACK = "unpack it and name the unpacked file (plain text and gzip are read)"
_FETCH = "fetch the trace itself from where it is published"
_NAME = "name a trace: a text file in the Standard Workload Format"
WITHOUT_LINE = "correct the line, remove it, or choose a slice without it"
SET_SIZE = "set machine_size to the processors of the traced machine, or correct the header"
"""Remedies for who writes an experiment; others are told `schedlab.analysis.recorded`'s own."""
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"BZh[1-9]", "bzip2", _REPACK),
    (rb"\xfd7zXZ\x00", "xz", _REPACK),
    (rb"PK(\x03\x04|\x05\x06)", "a zip archive", _REPACK),
    (rb"\x28\xb5\x2f\xfd", "zstd", _REPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _REPACK),
    (rb"\x1f[\x9d\xa0]", "compress (.Z)", _REPACK),
    (rb"\x1f\x8b", "gzip within gzip", _REPACK),
    (rb"\x04\x22\x4d\x18", "lz4", _REPACK),
    (rb"LZIP", "lzip", _REPACK),
    (rb".{257}ustar", "a tar archive", _REPACK),
    (rb"version https://git-lfs", "a Git LFS pointer", "fetch the file itself: git lfs pull"),
    (rb"(\.\./)*(\.git)?/annex/objects/", "a git-annex pointer", "git annex get"),
    (rb"(\xef\xbb\xbf)?\s*<", "HTML or XML, perhaps an error page", _FETCH),
    (rb"%PDF", "a PDF document", _FETCH),
    (rb"PAR1", "Parquet", _FETCH),
    (rb"SQLite format", "an SQLite database", _FETCH),
    (rb"\x7fELF", "a program", _FETCH),
    (rb"(\xef\xbb\xbf)?\s*[\[{]", "JSON, perhaps an error page", _FETCH),
    (rb"\x5d\x00\x00", "LZMA", _REPACK),
    (rb"([\t\n\r -~]\x00){4}|(\x00[\t\n\r -~]){4}", "UTF-16", "save it as plain ASCII"),
    (rb"\xff\xfe|\xfe\xff|\x00\x00\xfe\xff", "UTF-16 or UTF-32", "save it as plain ASCII"),
    # Control characters but those of lines, tabs and terminals; one may be a slip.
    (
        rb"(?!\s*[;0-9+-])([^\x00-\x08\x0e-\x1a\x1c-\x1f]*[\x00-\x08\x0e-\x1a\x1c-\x1f]){2}",
        "binary data",
        _NAME,
    ),
)
"""First bytes -> what the file is, and the remedy."""


@dataclass(frozen=True)
class SwfJob:
    """The fields of one job that a replay uses.

    Parameters
    ----------
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
    think : float
        s from the end of that job to this submission; -1 unknown; NaN where the file has no number.
    line : int
        Line in the file.
    """

    number: int
    submit: float
    runtime: float
    processors: int
    requested_time: float
    status: int
    user: int
    preceding: int
    think: float
    line: int

    @property
    def follows(self) -> int | None:
        """Number of the job that it waited for; None for none, also where jobs have number -1."""
        return self.preceding if self.preceding >= 0 else None


def line_error(path: Path, line: int, what: str, remedy: str | None = None) -> SchedlabError:
    """Error about a line of a trace, to be raised."""
    return SchedlabError(
        f"{brief(str(path), 1000)}:{line}: {what}",
        remedy=remedy or WITHOUT_LINE,
    )


@contextlib.contextmanager
def open_trace(path: Path) -> Iterator[IO[bytes]]:
    """Open a trace for reading, without compression and byte-order mark.

    Raises
    ------
    SchedlabError
        When the file is missing, unreadable, damaged, not a regular file or not a trace.
    """
    name = brief(str(path), 1000)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SchedlabError(f"{name}: is not a regular file", remedy=_NAME)
        with contextlib.ExitStack() as stack:
            stream: IO[bytes] = stack.enter_context(path.open("rb"))
            zipped = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            if zipped:
                stream = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=stream)))
            head = stream.read(512)
            if not head.strip():
                raise SchedlabError(f"{name}: this is empty, not a trace", remedy=_FETCH)
            for pattern, kind, remedy in _KINDS:
                if re.match(pattern, head, re.DOTALL):
                    raise SchedlabError(f"{name}: this is {kind}, not a trace", remedy=remedy)
            stream.seek(3 if head.startswith(b"\xef\xbb\xbf") else 0)
            yield stream
    except FileNotFoundError as error:
        raise SchedlabError(
            f"{name}: no such trace", remedy="put the trace there, or correct the name"
        ) from error
    except (OSError, ValueError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SchedlabError(
            f"{name}: cannot be read: {why}",
            remedy="fetch the trace again, if it is damaged; name a file that you may read",
        ) from error


def chunks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines of a trace, about `CHUNK` bytes at a time, with the first line's number.

    Raises
    ------
    SchedlabError
        As `open_trace`; and for a line longer than a chunk, or more than `_UNPACKED` bytes.
    """
    line, total, rest = 1, 0, b""
    with open_trace(path) as stream:
        while block := _block(stream, path, line):
            total += len(block)
            block = rest + block
            # A return at the end may be the first half of an end of line.
            end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, -1)) + 1
            block, rest = block[:end], block[end:]
            if len(rest) > CHUNK:
                raise line_error(path, line, f"the line is longer than {CHUNK} bytes", _NAME)
            if total > _UNPACKED:
                what = f"the trace is larger than {_UNPACKED} bytes"
                raise line_error(path, line, what, "remove jobs that are not needed")
            if block:
                block = _lines_ended(block)
                yield line, block
                line += block.count(b"\n")
        if rest:
            yield line, _lines_ended(rest)


def _block(stream: IO[bytes], path: Path, line: int) -> bytes:
    try:
        return stream.read(CHUNK)
    except (OSError, EOFError, zlib.error) as error:
        raise line_error(
            path, line, f"cannot be read: {error}", "fetch the trace again; it is damaged"
        ) from error


def _lines_ended(block: bytes) -> bytes:
    """Make every line end as on Unix."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return block


def require_think_times(path: Path, records: Sequence[SwfJob]) -> None:
    """Refuse a think time that is no number, of a job whose preceding job is a record before it.

    Only who waits for the users' think times needs them; so `parse_line` takes any word.

    Raises
    ------
    SchedlabError
        With line, field and value.
    """
    before: set[int | None] = set()
    for record in records:
        if record.follows in before and not record.think <= LARGEST:
            word = _word(path, record.line, _THINK)
            shown = brief(word[:200].decode("utf-8", "backslashreplace"))
            raise line_error(
                path,
                record.line,
                f"field {_THINK + 1} ({FIELDS[_THINK]}) = '{shown}': not a number in range, and"
                " dependencies: users waits that long",
                "write -1 where it is unknown, or use dependencies: ignore or scheduler",
            )
        before.add(record.number)


def require_one_preceding(path: Path, records: Sequence[SwfJob]) -> None:
    """Refuse a preceding job of which two records before it have the number.

    Raises
    ------
    SchedlabError
        With line, field, value, and the lines of the two.
    """
    before: dict[int | None, list[int]] = {}
    for record in records:
        lines = before.get(record.follows, [])
        if len(lines) > 1:
            raise line_error(
                path,
                record.line,
                f"field {_PRECEDING + 1} ({FIELDS[_PRECEDING]}) = '{record.preceding}': lines"
                f" {lines[0]} and {lines[1]} have that number, and a job waits for one",
                "remove one of them, or use dependencies: ignore",
            )
        before.setdefault(record.number, []).append(record.line)


def _word(path: Path, line: int, field: int) -> bytes:
    for first, block in chunks(path):
        lines = block.split(b"\n")
        words = lines[line - first].split() if line < first + len(lines) else []
        if words:
            return words[field]
    return b"(the file has changed)"


def parse_line(path: Path, line: int, words: Sequence[bytes]) -> list[float]:
    """Parse the `USED` fields of a line.

    Raises
    ------
    SchedlabError
        When a replay could not use the line; the message names line and field.
    """
    if len(words) != len(FIELDS):
        text = brief(b" ".join(words[:20]).decode("utf-8", "backslashreplace"))
        raise line_error(path, line, f"{len(words)} fields instead of {len(FIELDS)}: {text!r}")
    values: list[float] = []
    for index in USED:
        word = words[index]
        shown = brief(word[:200].decode("utf-8", "backslashreplace"))
        place = f"field {index + 1} ({FIELDS[index]}) = '{shown}'"
        value = number(word)
        if index in LOOSE:
            values.append(value)
            continue
        if math.isnan(value) and not _NOT_FINITE.fullmatch(word):
            what = "whole number" if index in WHOLE else "number"
            raise line_error(path, line, f"{place}: not a {what}")
        if not abs(value) <= LARGEST or (index in AMOUNTS and value < 0 and value != -1):
            raise line_error(path, line, f"{place}: out of range")
        if index in WHOLE and not value.is_integer():
            raise line_error(path, line, f"{place}: not a whole number")
        if index == 1 and value < 0:
            raise line_error(path, line, f"{place}: out of range")
        if index == 10 and value not in STATUSES:
            raise line_error(path, line, f"{place}: not -1 or 0 to 5")
        values.append(value)
    return values


def number(word: bytes) -> float:
    """Parse a number in the format's notation; NaN for anything else."""
    return float(word) if _NUMBER.fullmatch(word) else math.nan


def header_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, key and value of each `; Key: value` comment before the first job.

    Raises
    ------
    SchedlabError
        As `open_trace`.
    """
    with open_trace(path) as stream:
        try:
            head = stream.read(_HEADER)
        except (OSError, EOFError, zlib.error) as error:
            raise line_error(
                path, 1, f"cannot be read: {error}", "fetch the trace again; it is damaged"
            ) from error
    for line, raw in enumerate(_lines_ended(head).split(b"\n"), 1):
        text = raw.decode("utf-8", "replace").strip()
        if text and not text.startswith(";"):
            return
        key, colon, value = text.lstrip(" \t;").partition(":")
        if colon and key.strip() and " " not in key.strip():
            yield line, key.strip(), value.strip()


def machine_size(path: Path) -> int | None:
    """Processors of the traced machine: the header's MaxProcs or, without it, MaxNodes.

    Returns
    -------
    int or None
        None when the header gives neither; -1 and 0 stand for unknown.

    Raises
    ------
    SchedlabError
        When the header's value is not a number, or there are two of it; the message names line and
        key.
    """
    comments: dict[str, tuple[int, str]] = {}
    for line, key, value in header_lines(path):
        _, before = comments.setdefault(key, (line, value))
        if key in ("MaxProcs", "MaxNodes") and value.split()[:1] != before.split()[:1]:
            what = f"{key} = {brief(value)!r}, and {brief(before)!r} in a line before"
            raise line_error(path, line, what, SET_SIZE)
    for key in ("MaxProcs", "MaxNodes"):
        line, value = comments.get(key, (0, ""))
        word = (value.split() or ["-1"])[0]
        whole = re.fullmatch(r"-1|0*([0-9]+)(\.0*)?", word)
        if not whole or len(whole[1] or "") > _DIGITS:
            why = f"more than {10**_DIGITS - 1}" if whole else "not a whole number"
            raise line_error(path, line, f"{key} = {brief(word)!r}: {why}", SET_SIZE)
        if float(word) > 0:
            return int(float(word))
    return None
