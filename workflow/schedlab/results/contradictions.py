"""What a trial's record says that cannot be true, whoever wrote it and whatever its digests are.

A record in the right form may still hold what no machine has. Only what a trial can never have
recorded is named here: a trial that was measured badly is sound, and invalid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.outside.names import inside
from schedlab.results.conditions_form import unmeasured
from schedlab.results.form_checks import shown
from schedlab.results.parentage import parent_contradiction
from schedlab.results.records import load_record, was_stopped

TRACE = "trace.json"
TRANSLATIONS = "translations.json"
SAMPLES = "samples.json.gz"
OUTPUTS = {
    "base": "its disk",
    "image": "its disk",
    "provision": "its snapshot",
    "configure": "its snapshot",
    "trace": "the trace",
    "tables": "the tables",
    "figure": "the figure",
    "report": "the report",
}
"""Stages that always have outputs -> what these are. Trials have those of `_lacking`."""
_DECIDED = ("trial", "configure")
"""Stages that do not run where a decision says that they are not needed."""
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
"""Before the first release of the project, so that nothing is older."""
_AHEAD = timedelta(days=366)
"""The clock of the machine that made a record may be so far ahead of the one that reads it."""
SET = 60.0
"""s. A clock may be set so far before a trial looks whether it was set."""
_CORRECTED = timedelta(days=2)
"""A wrong clock may be corrected so far between the start of a run and a trial."""
_SLACK, _TICKS = 1.05, 1.0
"""Part, and s, by which counters of the host may run over the workload: they are read around it."""


def record_contradiction(record: Mapping[str, Any]) -> str | None:
    """Return what a record of any stage says that cannot be true by itself, or None.

    Parameters
    ----------
    record : mapping
        In the form of a record.
    """
    if problem := _in_the_future(record) or parent_contradiction(record):
        return problem
    stage = record["stage"]
    if was_stopped(record):
        return _not_run(record)
    if stage in OUTPUTS and not record["outputs"]:
        return f"outputs is {{}}, but a stage {stage} always has {OUTPUTS[stage]}"
    if stage != "trial":
        return None
    return next((found for check in _CHECKS if (found := check(record)) is not None), None)


def _not_run(record: Mapping[str, Any]) -> str | None:
    """Return how a stage that did not run cannot have been left out, or None."""
    told = f"not_run is {shown(record['not_run'])}, but"
    if record["stage"] not in _DECIDED:
        return f"{told} a stage {record['stage']} always runs"
    if record["stage"] == "configure" and record["outputs"]:
        return f"{told} outputs is {shown(sorted(record['outputs']))}"
    return None


def chain_contradiction(record: Mapping[str, Any], results: Path) -> str | None:
    """Return what a trial's record says that the records of its cluster contradict, or None.

    Records that are not there, or were made anew with another outcome, contradict nothing.

    Parameters
    ----------
    record : mapping
        That of a trial which ran.
    results : pathlib.Path
        The results folder, or the folder of the import, with the trial.
    """
    if problem := _other_trace(record, results):
        return problem
    configured = _parent(results, record, "configured")
    if configured is None:
        return None
    path = record["parents"]["configured"]["path"]
    if was_stopped(configured):
        return f"the trial ran, but {path} has not_run {shown(configured['not_run'])}"
    return (
        _other_scheduler(record, configured, path)
        or _other_nodes(record, configured, path)
        or _other_machines(record, configured, path)
        or _other_accelerator(record, configured, results)
    )


def _other_trace(record: Mapping[str, Any], results: Path) -> str | None:
    """Return how a trial ran other jobs than those of the trace that it names, or None."""
    made = _parent(results, record, "trace")
    # A trial of a search has the jobs at the rate that its decision gives.
    if made is None or "decision" in record["parents"]:
        return None
    name = f"{made['id']}.json"
    ran, wanted = record["outputs"].get(TRACE), made["outputs"].get(name)
    if ran == wanted:
        return None
    path = record["parents"]["trace"]["path"]
    return f"outputs.{TRACE} is {shown(ran)}, but {path} has outputs.{name} {shown(wanted)}"


def _other_scheduler(
    record: Mapping[str, Any], configured: Mapping[str, Any], path: str
) -> str | None:
    settings = configured.get("settings") or {}
    for key in ("scheduler", "variant"):
        made, ran = settings.get(key), record["trial"].get(key)
        if isinstance(made, str) and ran is not None and ran != made:
            return f"trial.{key} is {shown(ran)}, but {path} has settings.{key} {shown(made)}"
    return None


def _other_nodes(record: Mapping[str, Any], configured: Mapping[str, Any], path: str) -> str | None:
    """Return how a trial has another kind or number of nodes than its cluster, or None.

    A trial on virtual nodes that passes for one on real nodes would be compared with itself.
    """
    settings, facts = configured.get("settings") or {}, record["trial"]
    virtual = settings.get("virtual")
    if "node" in settings and ("carriers" in facts) != (virtual is not None):
        found = "no trial.carriers" if virtual is not None else "trial.carriers"
        has = "settings.virtual" if virtual is not None else "no settings.virtual"
        return f"the record has {found}, but {path} has {has}"
    nodes = virtual.get("nodes") if isinstance(virtual, Mapping) else None
    if isinstance(nodes, int) and facts["nodes"] != nodes:
        return f"trial.nodes is {facts['nodes']}, but {path} has settings.virtual.nodes {nodes}"
    return None


def _other_machines(
    record: Mapping[str, Any], configured: Mapping[str, Any], path: str
) -> str | None:
    declared = record["conditions"].get("declared")
    if declared is None:
        return None
    for key, name, part, value in _sizes(configured, declared):
        found = declared.get(name, {}).get(part)
        if found != value:
            return f"conditions.declared.{name}.{part} is {found}, but {path} has {key} {value}"
    made = configured.get("cluster", {}).get("nodes")
    others = sorted(declared.keys() - {node["name"] for node in made or ()})
    if made and others:
        return f"conditions.declared has {shown(others[0])}, but {path} has no such machine"
    facts = record["trial"]
    beside = facts.get("carriers", facts["nodes"])
    if made and beside != len(made) - 1:
        key = "carriers" if "carriers" in facts else "nodes"
        return f"trial.{key} is {beside}, but {path} has {len(made) - 1} machines beside the head"
    return None


def _sizes(
    configured: Mapping[str, Any], declared: Mapping[str, Any]
) -> Iterator[tuple[str, str, str, int]]:
    """Yield key, machine, part and value of each size that a cluster's record states."""
    for node in configured.get("cluster", {}).get("nodes", ()):
        for key, part in (("vcpus", "cpus"), ("memory_mib", "memory_mib")):
            if key in node:
                yield f"cluster.nodes.{node['name']}.{key}", node["name"], part, node[key]
    settings = configured.get("settings") or {}
    for name in declared:
        role = "head" if name == "head" else "node"
        guest = settings.get(role)
        if isinstance(guest, Mapping) and isinstance(guest.get("vcpus"), int):
            yield f"settings.{role}.vcpus", name, "cpus", guest["vcpus"]


def _other_accelerator(
    record: Mapping[str, Any], configured: Mapping[str, Any], results: Path
) -> str | None:
    used = record["conditions"].get("accelerator")
    provisioned = _parent(results, configured, "provisioned")
    probed = provisioned and _parent(results, provisioned, "accelerator")
    found = (probed or {}).get("accelerator", {}).get("accelerator")
    if provisioned is None or None in (used, found) or used == found:
        return None
    path = provisioned["parents"]["accelerator"]["path"]
    return f"conditions.accelerator is {shown(used)}, but {path} has {shown(found)}"


def _parent(results: Path, record: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return a record on which another builds, if it is there and still the same."""
    named = record["parents"].get(name)
    if named is None:
        return None
    try:
        path = inside(results, named["path"])
        found = _read(path, _state(path))
    except SchedlabError:
        # Told where the chain is checked.
        return None
    return found if found["lineage"] == named["lineage"] else None


@lru_cache(maxsize=16)
def _read(path: Path, state: tuple[int, ...]) -> Mapping[str, Any]:
    """Return a cluster's record, which all of its trials name: read again only when it changed."""
    return load_record(path)


def _state(path: Path) -> tuple[int, ...]:
    """What changes with a file; empty where it cannot be told, which reading it tells."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _in_the_future(record: Mapping[str, Any]) -> str | None:
    """Return how a record is of a time that has not come, or of one before the project, or None."""
    last = datetime.now(UTC) + _AHEAD
    told = "the present time of this machine by more than a year"
    if problem := _of_another_time("created", record["created"], last, told):
        return problem
    if record["duration"] > (last - _moment(record["created"])).total_seconds():
        return f"duration is {record['duration']} s, which ends after {told}"
    return None


def _of_another_time(key: str, value: str, last: datetime, told: str) -> str | None:
    """Return how a date in a record is of a time in which it was not made, or None."""
    try:
        at = _moment(value)
    except ValueError:
        return f"{key} is {shown(value)}, not a date with a time"
    if at < _FIRST:
        return f"{key} is {shown(value)}, before {_FIRST.year}"
    return f"{key} is {shown(value)}, after {told}" if at > last else None


def _moment(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _times(record: Mapping[str, Any]) -> str | None:
    """Check that a trial was measured after its record and its run were begun."""
    conditions = record["conditions"]
    created = _moment(record["created"])
    told = f"created ({shown(record['created'])})"
    for key in ("campaign", "bridge"):
        if (value := conditions.get(key)) is not None:
            problem = _of_another_time(f"conditions.{key}", value, created + _CORRECTED, told)
            if problem:
                return problem
    start, begun = conditions.get("start_ns"), created.timestamp()
    if start is not None and start / 1e9 < begun - SET:
        return f"conditions.start_ns is {start}, before {told}"
    ended = begun + record["duration"]
    if record["verdict"]["reasons"]:
        # The clock may have been set, which is a reason; but not to any time.
        ended += _AHEAD.total_seconds()
    last = f"the end of the record (created and duration, {record['duration']} s)"
    for key in ("start_ns", "end_ns"):
        if conditions.get(key, 0) / 1e9 > ended + SET:
            return f"conditions.{key} is {conditions[key]}, after {last}"
    return _readings(conditions, begun, ended, last)


def _readings(conditions: Mapping[str, Any], begun: float, ended: float, last: str) -> str | None:
    """Check that guests' clocks were read while the trial ran, and showed a time of the project.

    A guest's clock goes on from its snapshot: it may be behind, but hardly ahead. One that was set
    between the readings makes a trial invalid, and may show any time.
    """
    for node, moments in conditions.get("clock", {}).items():
        offsets = [read["offset_ns"] for read in moments.values()]
        was_set = max(offsets, default=0) - min(offsets, default=0) > SET * 1e9
        for moment, read in moments.items():
            key = f"conditions.clock.{shown(node)[1:-1]}.{moment}"
            at = read.get("at_ns", conditions.get("start_ns"))
            if at is None:
                continue
            if "at_ns" in read and not begun - SET <= at / 1e9 <= ended + SET:
                return f"{key}.at_ns is {at}, not between created and {last}"
            guest = (at + read["offset_ns"]) / 1e9
            known = _FIRST.timestamp() <= guest <= ended + _CORRECTED.total_seconds()
            if not (known or was_set):
                return (
                    f"{key}.offset_ns is {read['offset_ns']}, by which the guest's clock showed a"
                    f" time before {_FIRST.year} or after {last}"
                )
    return None


def _host(record: Mapping[str, Any]) -> str | None:
    """Check that no counter of the host passed more time than there was."""
    conditions = record["conditions"]
    host = conditions.get("host", {})
    during, cores = host.get("during", {}), host.get("cores")
    if "start_ns" not in conditions or "end_ns" not in conditions:
        return None
    seconds = (conditions["end_ns"] - conditions["start_ns"]) / 1e9
    longest = _SLACK * seconds + _TICKS
    for kind, stalled in during.get("pressure", {}).items():
        if stalled > longest:
            return (
                f"conditions.host.during.pressure.{kind} is {stalled}, more than the {seconds:.1f}"
                " s of the workload"
            )
    processor = during.get("processor")
    if processor is None or cores is None:
        return None
    # A host whose processors are not all for this process counts the others too.
    counted = (processor["busy"] + max(0.0, processor.get("idle", 0.0))) / max(seconds, _TICKS)
    most = max(float(cores), counted)
    for key, stolen in (
        ("host.during.processor.steal", processor["steal"]),
        ("host.steal", host.get("steal")),
    ):
        if stolen is not None and stolen > most * longest:
            return (
                f"conditions.{key} is {stolen} s, more than {cores} processors have in"
                f" {seconds:.1f} s"
            )
    return None


def _lacking(record: Mapping[str, Any]) -> str | None:
    """Check that a trial has the outputs without which it cannot have come so far."""
    measured = not record["verdict"]["reasons"]
    wanted = {TRACE: True, TRANSLATIONS: measured}
    wanted[SAMPLES] = measured and "scraped" in record["conditions"]
    for name, always in wanted.items():
        if always and name not in record["outputs"]:
            told = shown(sorted(record["outputs"])) if record["outputs"] else "{}"
            return f"outputs is {told}, but a trial that came so far always has {name}"
    return None


def _verdict(record: Mapping[str, Any]) -> str | None:
    """Check that a trial which failed did not also pass its last step.

    The health after the workload is looked at only if nothing failed before, and then ends the
    measurement.
    """
    reasons, conditions = record["verdict"]["reasons"], record["conditions"]
    ended = all("end" in moments for moments in conditions.get("clock", {}).values())
    if reasons and conditions.get("health", {}).get("after") == [] and ended:
        return (
            f"verdict.reasons is {shown(reasons)}, but conditions.health.after is [], which only a"
            " trial without a failure has"
        )
    return None


_CHECKS = (unmeasured, _times, _host, _lacking, _verdict)
