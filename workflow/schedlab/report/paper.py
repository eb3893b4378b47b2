"""Text for papers about a report: a methods section and a BibTeX entry, as plain text to copy.

Both are made from the configuration and the records. Facts that were not recorded are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schedlab.citation import author_names
from schedlab.metrics.difference import ERROR_RATE, MARGIN
from schedlab.metrics.statistics import CONFIDENCE, MINIMUM

Facts = Mapping[str, Any]

_LATEX = {letter: f"\\{letter}" for letter in "&%#_${}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


def methods(content: Facts) -> str:
    """Return the methods section of a paper; empty lines separate its paragraphs.

    Parameters
    ----------
    content : mapping
        What the report's templates show: `factors`, `facts`, `clusters`, `probe`, `checks`,
        `again`, `differences`, `chain`, `blocks`.
    """
    parts = (_design, _machines, _software, _clocks, _statistics, _validity)
    return "\n\n".join(text for part in parts if (text := part(content)))


def _design(content: Facts) -> str:
    factors, facts, again = content["factors"], content["facts"], content["again"]
    workloads = "; ".join(
        f"{workload['name']} ({workload['kind']}"
        + (f", {workload['parameters']}" if workload["parameters"] else "")
        + ")"
        for workload in factors["workloads"]
    )
    times = f"{factors['repetitions']} times"
    if rule := factors["rounds"]:
        times = (
            f"{rule['min']} to {rule['max']} times, in rounds over all, until the half-width of the"
            f" interval of its main quantity was at most {rule['until']} of the estimate"
        )
    if factors["clusters"] > 1:
        times += f" on each of {factors['clusters']} clusters, provisioned and configured anew"
    text = (
        f"Design. Factors: scheduler ({', '.join(factors['schedulers'])}), compute nodes"
        f" ({', '.join(factors['nodes'])}) and workload ({workloads}). Each combination was"
        f" planned {times}. Trials were ordered at random over all combinations (seed"
        f" {factors['seed']}); the traces are seeded, and the same for every scheduler. Each"
        " trial started from a snapshot of its cluster."
    )
    if len(own := [one for one in content["blocks"] if not one["source"]]) > 1:
        text += (
            f" The trials are of {len(own)} runs of the workflow; two sides were compared by trials"
            " of runs in which both took part."
        )
    for pair in again:
        if pair["rows"]:
            text += f" {pair['first']} ran a second time as {pair['second']}, for the noise floor."
    return (
        f"{text} Of {facts['trials']} trials, {facts['valid']} passed the checks of the"
        f" measurement; {len(facts['absent'])} planned trials are missing."
    )


def _machines(content: Facts) -> str:
    facts = content["facts"]
    hosts = [
        f"{host['cpu'] or 'processor not recorded'}, {host['cores'] or '?'} cores,"
        f" {host['memory_mib'] or '?'} MiB of memory, Linux {host['kernel'] or '?'},"
        f" {host['system'] or '?'}"
        for host in facts["hosts"]
    ]
    accelerators = ", ".join(facts["accelerators"]) or "not recorded"
    qemu = content["probe"]["qemu_version"]
    guests = _together((_sizes(one["machines"]), one["id"]) for one in content["clusters"])
    virtual = [f"{one['id']}: {one['virtual']}" for one in content["clusters"] if one["virtual"]]
    emulated = " (software emulation, not the speed of hardware)" if content["emulated"] else ""
    return (
        f"Machines. Clusters of virtual machines. Host: {'; or: '.join(hosts) or 'not recorded'}."
        f" Accelerator: {accelerators}{emulated}{f'; QEMU {qemu}' if qemu else ''}."
        f" Virtual processors for each core of the host: {facts['oversubscription']}."
        f" Guests: {'; '.join(f'{ids}: {sizes}' for sizes, ids in guests)}."
        + (f" Not every node is a guest: {'; '.join(virtual)}." if virtual else "")
    )


def _sizes(machines: Sequence[Facts]) -> str:
    return ", ".join(f"{m['name']} {m['vcpus']} vCPU and {m['memory']} MiB" for m in machines)


def _software(content: Facts) -> str:
    """Versions of schedulers, guests' kernels and tools, as recorded."""
    told = []
    packages = _together(
        (", ".join(_of_scheduler(one)) or "version not recorded", one["scheduler"])
        for one in content["clusters"]
    )
    told += [f"{names}: {versions}" for versions, names in packages]
    distributions = sorted(
        {guest["os"] for one in content["clusters"] for guest in one["guests"] if guest["os"]}
    )
    if distributions:
        told.append(f"distribution in the guests: {', '.join(distributions)}")
    kernels = sorted({guest["kernel"] for one in content["clusters"] for guest in one["guests"]})
    if kernels:
        told.append(f"Linux in the guests: {', '.join(kernels)}")
    tools = sorted(
        {
            f"{tool['name']} {tool['version']}"
            for one in content["clusters"]
            for tool in one["tools"]
        }
    )
    if tools:
        told.append(f"tools: {', '.join(tools)}")
    return f"Software. {'; '.join(told)}."


def _of_scheduler(cluster: Facts) -> list[str]:
    """Versions among the settings that the scheduler reported."""
    settings = sorted(cluster["in_force"].items())
    return [str(value) for key, value in settings if "version" in key.lower()]


def _clocks(content: Facts) -> str:
    facts = content["facts"]
    sources = sorted(
        {guest["clocksource"] or "not recorded" for one in content["clusters"]
         for guest in one["guests"]}
    )  # fmt: skip
    return (
        "Clocks. The offset of each guest's clock to the host's was measured before and"
        " after each workload, and taken to change linearly in between; largest uncertainty"
        f" {facts['uncertainty']}, largest change {facts['drift']}. Clock sources of the guests:"
        f" {', '.join(sources) or 'not recorded'}. Metrics were sampled every {facts['scrape']} s."
    )


def _statistics(content: Facts) -> str:
    text = (
        f"Statistics. The replicate is the trial. Estimates are geometric means (launch latency:"
        f" arithmetic means) with {100 * CONFIDENCE:g} % intervals by Student's t, on the logarithm"
        f" of times and rates, from {MINIMUM} trials on."
    )
    if content["differences"]["rows"]:
        text += (
            " Trials that ran the same trace were compared in pairs, else by Welch's test. All"
            " comparisons were judged as one table with Holm's correction and a step-down"
            f" permutation test; the rate of tables with a false verdict is at most"
            f" {100 * ERROR_RATE:g} %. Equivalence is within {100 * MARGIN:g} %, by two one-sided"
            " tests."
        )
        if any(pair["rows"] for pair in content["again"]):
            text += " No difference within the noise floor is claimed."
    return text


def _validity(content: Facts) -> str:
    limits = [
        f"{check['name']} {check['limit']}{' ' + check['unit'] if check['unit'] else ''}"
        for check in content["checks"]
    ]
    return f"Validity. Limits of the checks: {'; '.join(limits)}." if limits else ""


def _together(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join with commas the names that have the same text; return text and names."""
    names: dict[str, list[str]] = {}
    for value, name in found:
        names.setdefault(value, []).append(name)
    return [(value, ", ".join(dict.fromkeys(group))) for value, group in names.items()]


def bibtex(
    citation: Mapping[str, Any], name: str, date: str, commits: Sequence[Facts], lineage: str
) -> str:
    """BibTeX entry of a report.

    Parameters
    ----------
    citation : mapping
        Content of CITATION.cff.
    name : str
        Name of the experiment.
    date : str
        Date of the newest trial, ISO 8601; empty without one.
    commits : sequence of mapping
        States of the sources: `commit` (None if none was recorded) and `dirty`.
    lineage : str
        Digest over the lineages of all trials.
    """
    told = [
        f"commit {state['commit']}{' with changes' if state['dirty'] else ''}"
        for state in commits
        if state["commit"]
    ]
    note = "; ".join([*dict.fromkeys(told), f"lineage {lineage}"])
    fields = {
        "title": f"{{{_latex(f'Report of the experiment {name}')}}}",
        "author": " and ".join(f"{{{_latex(author)}}}" if "," not in author else _latex(author)
                               for author in author_names(dict(citation))),
        "howpublished": _latex(f"Made with {citation['title']}"),
        "version": _latex(str(citation["version"])),
        "note": _latex(note),
    }  # fmt: skip
    if date:
        fields["year"] = date[:4]
    if "repository-code" in citation:
        fields["url"] = str(citation["repository-code"])
    key = re.sub(r"[^A-Za-z0-9-]", "-", f"schedlab-{name}")
    body = "".join(f"  {field} = {{{value}}},\n" for field, value in fields.items())
    return f"@misc{{{key},\n{body}}}"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
