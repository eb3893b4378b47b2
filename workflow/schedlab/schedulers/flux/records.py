"""Parsers of what Flux leaves: event logs (RFC 18, 21), resource sets (RFC 20), the facts.

Instants of a job's own events are of rank 0's clock, which is the head's. Those of its shells
(`shell.init`, `shell.start`) are of the clock of the node that the shell ran on.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schedlab.outside.json_text import parse_json
from schedlab.ranges import parse_ranges
from schedlab.schedulers.base import COMPLETED, FAILED, LOST, REJECTED, UNFINISHED
from schedlab.schedulers.hosts import MOST_NODES, hosts_of
from schedlab.schedulers.rows import NativeJob
from schedlab.workloads.fault import RESTART

ENDED = r'^\{"id": (\d+), "timestamp": [0-9.]+, "name": "clean"'
"""Line of the journal's file that ends a job, however it ended."""

MOST_CORES = 4096
"""Most processors of a node in a resource set."""

_LATEST = 1 << 33
"""Largest instant (s since 1970): the year 2242."""
_LONGEST = 1 << 26
"""Longest time (s) for which Flux plays a job: two years."""

_CAUSES = {"cancel": "CANCELLED", "timeout": "TIMEOUT"}
"""States after a fatal exception, by its type; see `_after` for the others."""

_REFUSALS = ("unsatisfiable", "cannot parse jobspec", "does not support")
"""Words by which a scheduler says that it can never give what a job asks for.

Fluxion: `alloc denied due to type="unsatisfiable"`, where `type="match error"` is its own failure.
sched-simple: `unsatisfiable request: ...`, or a form of jobspec that it does not have.
"""

_Event = Mapping[str, Any]


def sources(record: str) -> dict[str, str]:
    """Sources of the instants, with their resolution, of a record of events."""
    return {
        "accepted": f"{record}: submit (1 us)",
        "allocated": f"{record}: alloc (1 us)",
        "completed": f"{record}: clean (1 us)",
        "interrupted": f"{record}: exception because of a lost node (1 us)",
        "stopped": f"{record}: exception cancel of the instance that stops (1 us)",
        "played": f"{record}: start of mock execution and its delay, finish less that of the"
        " completion (1 us); no payload ran",
    }


def objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects of a file with one a line; other lines, such as a torn one, are left out."""
    for line in text.split("\n"):
        with contextlib.suppress(ValueError):
            row = parse_json(line)
            if isinstance(row, dict):
                yield row


def stop_of(conditions: Any) -> tuple[int, int] | None:
    """When a restart of the broker began to stop it, and had stopped it; None of another fault.

    Parameters
    ----------
    conditions : mapping
        As the trial's record has them. The fault's instants are of the controller's clock, from
        which the head's may be many seconds away after a restore.

    Returns
    -------
    tuple of int or None
        Instants, ns of the head's clock, which is that of the event logs.
    """
    if within(conditions, "fault", "kind") != RESTART:
        return None
    begun, ended = (within(conditions, "fault", "begin", name) for name in ("start_ns", "end_ns"))
    ahead = within(conditions, "clock", "head", "start", "offset_ns")
    if not all(isinstance(value, int) for value in (begun, ended, ahead)):
        return None
    return begun + ahead, ended + ahead


def jobs(journal: str, logs: str, stop: tuple[int, int] | None = None) -> dict[str, NativeJob]:
    """What Flux knows of every job, by native id.

    Parameters
    ----------
    journal : str
        The submitter's file of all events: a line each. After a restart of the broker an event
        may stand there twice.
    logs : str
        Each job's own event log, as Flux kept it: a line a job, then one with their number. Empty
        where Flux did not answer.
    stop : tuple of int, optional
        When the trial stopped the broker, as of `stop_of`.

    Returns
    -------
    dict
        A job whose events do not end is UNFINISHED. It is LOST where the logs are whole and do not
        have it: a broker that was killed forgets what it had not yet written down. Logs of trials
        from before the line with the number do not tell whether they are whole, so that none of
        their jobs is LOST.
    """
    found: dict[str, NativeJob] = {}
    heard: dict[str, list[_Event]] = {}
    for row in objects(journal):
        if (number := _number(row.get("id"))) is not None:
            heard.setdefault(number, []).append(row)
    for number, events in heard.items():
        resources, played = (
            next((row[key] for row in events if row.get(key)), None) for key in ("R", "played")
        )
        found[number] = _job(events, resources, played, sources("journal.jsonl"), stop)
    kept: set[str] = set()
    told: int | None = None
    for row in objects(logs):
        if "id" not in row and _number(row.get("jobs")) is not None:
            told = row["jobs"]
        number, log = _number(row.get("id")), row.get("eventlog")
        if number is None or not isinstance(log, list):
            continue
        job = _job(log, row.get("R"), row.get("played"), sources("eventlogs.jsonl"), stop)
        kept.add(number)
        # A log that was read before its last events were kept says less than the journal.
        if job.completed is not None or number not in found:
            found[number] = job
    for number, job in found.items():
        if told == len(kept) and job.completed is None and number not in kept:
            job.state = LOST
    return found


def _number(value: Any) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _job(
    events: Sequence[Any],
    resources: Any,
    played: Any,
    source: Mapping[str, str],
    stop: tuple[int, int] | None,
) -> NativeJob:
    job = NativeJob(state=UNFINISHED, native_state="no event")
    cause: str | None = None
    note = ""
    lost = False
    owner: Any = None
    for event in events:
        name, now = _name_and_instant(event)
        if name is None:
            continue
        context = event.get("context")
        context = context if isinstance(context, dict) else {}
        if name == "submit":
            job.accepted, job.accepted_source = now, source["accepted"]
            owner = context.get("userid")
        elif name == "alloc":
            job.allocated, job.allocated_source = now, source["allocated"]
        elif name == "finish":
            job.exit_code = _exit_code(context.get("status"))
        elif name == "exception" and context.get("severity") == 0 and cause is None:
            cause = str(context.get("type"))[:80]
            # The broker that lost a node says so in words alone: node failure on NAME (rank 2).
            note = str(context.get("note"))
            lost = note.startswith("node failure")
            if lost:
                node = re.match(r"node failure on (\S+)", note)
                job.gave_up(now, source["interrupted"], node and node[1])
            elif cause == "cancel" and job.allocated and _cleanup(context, now, owner, stop):
                job.gave_up(now, source["stopped"])
        elif name == "clean":
            job.completed, job.completed_source = now, source["completed"]
        # Where a job stands that has not ended.
        job.native_state = name
    if job.completed is not None:
        if cause is not None:
            job.state = "NODE_FAIL" if lost else _after(cause, note)
            job.native_state = f"exception: {cause}"
        else:
            job.state = job.native_state = COMPLETED if job.exit_code == 0 else FAILED
    job.placement, job.cpus = placement(resources)
    job.nodes = len(job.placement) or None
    if isinstance(played, dict):
        times = _played(job, instants_of(events), played)
        job.ranks = dict.fromkeys(range(job.nodes or 0), times)
        job.ranks_source = source["played"]
    return job


def _cleanup(
    context: Mapping[str, Any], now: int, owner: Any, stop: tuple[int, int] | None
) -> bool:
    """Whether an exception `cancel` is of the instance, which cancels running jobs as it stops.

    It does so as the owner and without a note (rc1's cleanup: `flux cancel --user=all --states
    RUN`), as a user might; only that it came while the trial stopped the broker tells it apart.
    """
    if stop is None or context.get("note") or owner is None or context.get("userid") != owner:
        return False
    return stop[0] <= now <= stop[1]


def _after(cause: str, note: str) -> str:
    """State after a fatal exception, by its type and what it says.

    A scheduler that denies a job its resources says by words alone whether the job or the scheduler
    is why (exception `alloc`).
    """
    if cause == "alloc" and any(words in note for words in _REFUSALS):
        return REJECTED
    return _CAUSES.get(cause, FAILED)


def _played(
    job: NativeJob, instants: Mapping[str, int], played: Mapping[str, Any]
) -> tuple[int | None, int | None]:
    """Start and end (ns) of a job that Flux played, which all its ranks share.

    Flux sets its timer before it writes `start` down, by some 50 ms where it has much to do. So the
    mock execution of a job that came to its end began no later than its length before `finish`.
    What Flux played last of it is the delay of its completion, in which no payload would have run.
    """
    begun, finished = instants.get("start"), instants.get("finish")
    late, length = (_nanoseconds(played.get(key)) for key in ("start", "duration"))
    if begun is None or late is None or length is None:
        return None, finished
    if finished is not None and job.state == COMPLETED:
        begun = min(begun, max(instants.get("alloc", begun), finished - length))
        finished = max(begun + late, finished - (_nanoseconds(played.get("completion")) or 0))
    begun += late
    # One that was ended before its payload would have started has no start.
    return (begun if finished is None or begun <= finished else None), finished


def _nanoseconds(seconds: Any) -> int | None:
    """Nanoseconds, to the microsecond, of a time in s; None of what is none."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return round(seconds * 1e6) * 1000 if 0 <= seconds < _LONGEST else None


def instants_of(log: Any) -> dict[str, int]:
    """Instants (ns since 1970) of an event log by event; of what is no event log none."""
    named = map(_name_and_instant, log if isinstance(log, list) else [])
    return {name: instant for name, instant in named if name is not None}


def _name_and_instant(event: Any) -> tuple[str | None, int]:
    """Name and ns since 1970 of an event; no name where it is none."""
    if not isinstance(event, dict):
        return None, 0
    name, seconds = event.get("name"), event.get("timestamp")
    if not isinstance(name, str) or isinstance(seconds, bool):
        return None, 0
    if not isinstance(seconds, int | float) or not 0 < seconds < _LATEST:
        return None, 0
    # A double has 0.24 us at this size: what is beyond the microsecond is noise.
    return name[:80], round(seconds * 1e6) * 1000


def _exit_code(status: Any) -> int | None:
    """Exit code from a wait status: 128 + n after signal n."""
    if not isinstance(status, int) or isinstance(status, bool) or not 0 <= status <= 0xFFFF:
        return None
    return 128 + (status & 0x7F) if status & 0x7F else status >> 8


def placement(resources: Any) -> tuple[list[str], int | None]:
    """Nodes and processors of a resource set (R, RFC 20 version 1); none of one that is none."""
    try:
        execution = resources["execution"]
        # Names in order of rank, those of the job's nodes only.
        names = hosts_of(",".join(execution["nodelist"]))
        cpus = 0
        for entry in execution["R_lite"]:
            ranks = parse_ranges(entry["rank"], MOST_NODES)
            cpus += len(ranks) * len(parse_ranges(entry["children"]["core"], MOST_CORES))
    except (AttributeError, KeyError, TypeError, ValueError):
        return [], None
    return names, cpus if names else None


PHASES = {
    "eventlog": (("submit", "alloc"), ("alloc", "start"), ("start", "finish"), ("finish", "clean")),
    "exec": (("shell.init", "shell.start"),),
}
"""Parts of a job's life whose two ends one clock has, by event log."""


def phases(logs: str) -> dict[str, float]:
    """Mean length of each part of the jobs' lives, s: `phase.<from>_to_<to>`.

    A part counts for the jobs that have both of its ends; one that no job has is left out.
    """
    lengths: dict[str, list[float]] = {}
    for row in objects(logs):
        for log, parts in PHASES.items():
            instants = instants_of(row.get(log))
            for first, last in parts:
                if first in instants and last in instants:
                    seconds = (instants[last] - instants[first]) / 1e9
                    lengths.setdefault(f"phase.{first}_to_{last}", []).append(seconds)
    return {name: sum(found) / len(found) for name, found in lengths.items()}


def facts(text: str) -> dict[str, Any]:
    """The facts: versions, configuration, parameters, statistics; each empty where missing."""
    try:
        read = parse_json(text)
    except ValueError:
        read = {}
    read = read if isinstance(read, dict) else {}
    names = ("versions", "configuration", "parameters", "statistics")
    return {name: found if isinstance(found := read.get(name), dict) else {} for name in names}


def within(value: Any, *keys: str) -> Any:
    """What nested mappings have at a path of keys; None where they have nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def counters(statistics: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of the broker's modules, `<module>.<names>`; none of single jobs."""
    return dict(_leaves(statistics, ()))


def _leaves(value: Any, names: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            # The KVS counts for each job that runs; names with ids of jobs compare with nothing.
            if names[-1:] == ("namespace",) and str(key).startswith("job-"):
                continue
            name = re.sub(r"[^A-Za-z0-9-]+", "_", str(key))[:80].strip("_").lower()
            yield from _leaves(inner, (*names, name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield ".".join(names), float(value)
