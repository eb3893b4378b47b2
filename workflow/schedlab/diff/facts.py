"""Facts about machines and software from the records, by topic, place and key.

Digests of disks and snapshots are left out, because two builds from the same packages differ in
them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schedlab.diff.domain import domain_facts
from schedlab.diff.normalise import flatten, without_run_names
from schedlab.diff.side import cluster_of
from schedlab.results.records import was_stopped

TOPICS = {
    "packages": "Packages",
    "kernel": "Distribution, kernel and its settings",
    "processor": "Guests' processors (lscpu)",
    "domain": "Domain XML",
    "terraform": "Terraform outputs",
    "tools": "Tools",
    "host": "Accelerator and host",
    "experiment": "Experiment",
    "source": "Sources",
}
"""Topics and their titles. The rendered configuration is not among them: it is compared as text."""

_MEASURED = frozenset({"BogoMIPS", "CPU MHz", "CPU(s) scaling MHz"})
"""Fields of lscpu that come from a measurement at each boot."""

_SYSTEM = ("os", "selinux", "kernel", "cmdline", "clocksource")
_TREES = frozenset({"workflow", "envs", "resources"})
"""Folders of sources. Earlier stages made the other inputs of a stage."""

_HOST = ("cpu", "cores", "memory_mib", "kernel", "system")
_CONDITIONS = ("accelerator", "oversubscription", "reset", "scrape_interval")
_PROBED = ("accelerator", "requested", "qemu_version")

Values = dict[str, str]
Fact = tuple[str, str, Values]


def record_facts(name: str, record: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield the facts in a record of an image, a cluster, the accelerator or the toolchain.

    Parameters
    ----------
    name : str
        Path of the record's folder, for example ``clusters/alpha-n1/configured``.
    record : mapping
        Content of the record.

    Yields
    ------
    (topic, place, values)
        Topic as in `TOPICS`; place is `name`, followed by ``/node`` for facts of one node.
    """
    realised = record.get("realised") or {}
    if realised.get("packages"):
        yield "packages", name, packages(realised["packages"])
    for node, facts in (realised.get("nodes") or {}).items():
        place = f"{name}/{node}"
        system = {key: facts[key] for key in _SYSTEM if key in facts}
        system |= {row["key"]: _found(row, node) for row in realised.get("tuning") or ()}
        yield "kernel", place, {key: without_run_names(str(value)) for key, value in system.items()}
        processor = facts.get("lscpu") or {}
        yield "processor", place, {k: str(v) for k, v in processor.items() if k not in _MEASURED}
    for node, xml in (realised.get("domain_xml") or {}).items():
        yield "domain", f"{name}/{node}", domain_facts(xml, f"{name}/{node}")
    if realised.get("terraform_outputs"):
        yield "terraform", name, terraform(realised["terraform_outputs"])
    if realised.get("qemu"):
        yield "host", name, {"user of QEMU": str(realised["qemu"].get("user"))}
    yield "tools", name, tools(record)
    programs = realised.get("sha256") or {}
    yield "tools", name, {f"{program} (sha256)": value[:12] for program, value in programs.items()}
    if "accelerator" in record:
        probed = record["accelerator"]
        yield "host", name, {key: str(probed[key]) for key in _PROBED if key in probed}
    if name.startswith("clusters/"):
        # The settings of a cluster contain those of its image.
        yield "experiment", name, dict(flatten(record.get("settings") or {}))
        if was_stopped(record):
            yield "experiment", name, {"not_run": str(record["not_run"])}
    yield "source", name, sources(record)


def _found(setting: Mapping[str, Any], node: str) -> str:
    """Values of a setting of the kernel on a node; empty where its kernel does not offer it."""
    return ", ".join(dict.fromkeys((setting["found"].get(node) or {}).values()))


def trial_facts(records: Mapping[str, Mapping[str, Any]]) -> Iterator[Fact]:
    """Yield the facts of all trials of each cluster together, with every value that occurs."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name, record in records.items():
        groups[f"trials/{cluster_of(name)}"].append(record)
    for place, group in groups.items():
        yield "tools", place, _together(tools(record) for record in group)
        yield "host", place, _together(_conditions(record) for record in group)
        yield "experiment", place, _together(_trace(record) for record in group)
        yield "source", place, _together(sources(record) for record in group)


def packages(listed: Iterable[str]) -> Values:
    """Return the versions by package; for several architectures, each version once."""
    versions: dict[str, set[str]] = defaultdict(set)
    for item in listed:
        package, _, version = item.partition("=")
        versions[package].add(version)
    return {package: ", ".join(sorted(found)) for package, found in versions.items()}


def tools(record: Mapping[str, Any]) -> Values:
    """Return the versions of a stage's tools, with the program's name if it differs."""
    found = {}
    for name, tool in (record.get("tools") or {}).items():
        if isinstance(tool, Mapping):
            program = tool.get("program", name)
            found[name] = f"{program} " * (program != name) + str(tool["version"])
        else:
            found[name] = str(tool)
    return found


def terraform(outputs: Mapping[str, Any]) -> Values:
    """Return Terraform's outputs, without the values that Terraform marks as sensitive."""
    shown = {
        name: "[withheld]" if output.get("sensitive") else output.get("value")
        for name, output in outputs.items()
    }
    return {key: without_run_names(value) for key, value in flatten(shown)}


def sources(record: Mapping[str, Any]) -> Values:
    """Return digests of the source files that a stage read, and the commit if it was recorded."""
    found = {
        name: digest[:12]
        for name, digest in record["inputs"].items()
        if name.partition("/")[0] in _TREES
    }
    source = record.get("source") or {}
    if source.get("commit"):
        changes = f" with changes {str(source['diff'])[:12]}" if source.get("dirty") else ""
        found["commit"] = f"{source['commit'][:12]}{changes}"
    return found


def _conditions(record: Mapping[str, Any]) -> Values:
    conditions = record.get("conditions") or {}
    host = conditions.get("host") or {}
    return {
        **{f"host {key}": str(host[key]) for key in _HOST if key in host},
        **{key: str(conditions[key]) for key in _CONDITIONS if key in conditions},
    }


def _trace(record: Mapping[str, Any]) -> Values:
    trial, digest = record["trial"], (record.get("outputs") or {}).get("trace.json")
    key = f"trace of {trial['workload']}, repetition {trial['repetition']} (sha256)"
    return {key: digest[:12]} if digest else {}


def _together(rows: Iterable[Values]) -> Values:
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for key, value in row.items():
            found[key].add(value)
    return {key: "; ".join(sorted(values)) for key, values in found.items()}
