"""Render the report from tables, figures and records."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from schedlab.citation import read_citation
from schedlab.config.model import Experiment, plain_sorted
from schedlab.config.variants import VIRTUAL
from schedlab.design import variant_facts
from schedlab.figures import FIGURES, LEVELS, SEARCHES, TASK_SETS
from schedlab.formatting import number, seconds, short
from schedlab.lineage.chain import anchor
from schedlab.metrics.ceiling import with_payload
from schedlab.metrics.quantities import BEHAVIOUR, BREAKING
from schedlab.metrics.searches import without_searches
from schedlab.metrics.statistics import MINIMUM
from schedlab.metrics.task_sets import task_sets
from schedlab.outside.output import write_output
from schedlab.paths import CITATION, REPORT_TEMPLATES, figure_record
from schedlab.privacy.places import without_places
from schedlab.report import blocks_section, comparison, method, paper, parts, verdicts
from schedlab.report import cost_section as cost
from schedlab.report import results_section as summary
from schedlab.report import rounds_section as rounds
from schedlab.report import virtual_section as virtual
from schedlab.report.embedded import embedded, script_text
from schedlab.report.esp_section import esp_scales, esp_section
from schedlab.report.lifting import liftings
from schedlab.report.overhead_section import overhead_rows
from schedlab.report.records_section import Records, moment, systems
from schedlab.report.saturation_section import saturation
from schedlab.report.svg import inline
from schedlab.report.trace_cuts import trace_cuts
from schedlab.results.imports import Origin, origins
from schedlab.results.records import digest
from schedlab.results.store import below, record_of_trial
from schedlab.schedulers.base import TIMESTAMPS
from schedlab.tables.build import count_samples, load_left_out, load_stopped, load_tables

_JOBS = ("trial", "job", "nodes", *TIMESTAMPS, *(f"{name}_source" for name in TIMESTAMPS))
"""Columns of the jobs table that the report reads."""


def render_report(
    tables: Path, figures: Path, results: Path, experiment: Experiment, output: Path
) -> None:
    """Write the report, the same bytes for the same inputs.

    Parameters
    ----------
    tables, figures : pathlib.Path
        Folders of the tables and of the SVG files.
    results : pathlib.Path
        Results folder; records that are missing there are named in the report.
    experiment : Experiment
        The experiment that the results are of.
    output : pathlib.Path
        HTML file to write.
    """
    drawn = [name for name in FIGURES if _file(figures, name).exists()]
    shown = _content(tables, results, experiment, drawn)
    shown["paper"] = _paper(shown)
    data, told = shown.pop("data"), shown.pop("told")
    content = without_places(shown)
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            **content,
            figures=[_figure(figures, name) for name in FIGURES if told.get(name, True)],
            style=_kept("uplot/uPlot.min.css", "style.css"),
            data=script_text(data),
            script=_kept("uplot/uPlot.iife.min.js", "interactive.js"),
        )
    )
    write_output(output, text)


def _kept(*names: str) -> Markup:
    """Return files of the report's folder as they are, one after another."""
    texts = [(REPORT_TEMPLATES / name).read_text(encoding="utf-8") for name in names]
    return Markup("\n".join(texts))  # noqa: S704


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(REPORT_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "seconds": seconds, "short": short}
    return environment


def _content(
    tables: Path, results: Path, experiment: Experiment, drawn: list[str]
) -> dict[str, Any]:
    """Everything that the templates show, as plain data."""
    loaded = load_tables(tables, jobs=_JOBS, metrics=())
    trials = loaded.trials
    sources, left_out = _sources(tables, results, experiment)
    books = {
        origin.name: Records(origin.results, origin.experiment, below=below(origin.name))
        for origin in sources
    }
    records = Records(results, experiment, map(str, trials["trial"]))
    stopped = load_stopped(tables)
    facts = summary.conditions(loaded, experiment, stopped, count_samples(tables))
    ended = rounds.cells(trials, sources, stopped)
    rows = summary.trial_rows(trials)
    # A scheduler that runs no payload only gives the ceiling, and is not compared.
    repeated = without_searches(trials)
    compared = with_payload(repeated)
    pairs = _again(experiment)
    again = {virtual: comparison.again(compared, pair) for virtual, pair in pairs.items()}
    floors = {virtual: one["floors"] for virtual, one in again.items()}
    labels = {
        origin.label(second)
        for origin in sources
        for _, second in _again(origin.experiment).values()
    }
    differences = comparison.differences(compared, floors, labels)
    clusters = [
        books[origin.name].cluster(cluster)
        | {"id": origin.label(cluster.id), "scheduler": origin.label(cluster.variant)}
        for origin in sources
        for cluster in origin.experiment.clusters()
    ]
    for row in rows:
        row["anchor"] = anchor(record_of_trial(row["trial"]))
    for cluster in clusters:
        own = [row["trial"].partition(".")[0] == cluster["id"] for row in rows]
        cluster["trials"] = list(compress(rows, own))
        cluster["in_force"] = summary.settings_of(trials, "scheduler", cluster["scheduler"])
    judged = [value for row in differences["rows"] for value in row["values"]]
    arising = parts.arising(compared, differences, pairs)
    results_table = summary.main_table(compared)
    blocks = blocks_section.blocks(trials)
    of_blocks = blocks_section.of_cells(trials, blocks)
    fidelity = virtual.certificates(with_payload(trials), loaded.jobs, sources)
    of_virtual = virtual.of_cells(trials, fidelity)
    for row in results_table["rows"]:
        row["blocks"] = of_blocks.get((row["workload"], row["cluster"]), "")
        row["virtual"] = of_virtual.get((row["workload"], row["cluster"]), "")
    probe = (records.accelerator or {}).get("accelerator", {})
    sought = saturation(
        trials,
        liftings(sources),
        {
            workload.name
            for origin in sources
            for workload in origin.experiment.workloads
            if workload.confirms
        },
    )
    constant = overhead_rows(task_sets(compared))
    levels = bool(compared["background_level_of"].notna().any())
    return {
        "data": embedded(trials, loaded.jobs),
        # Figures of what not every experiment has.
        "told": {SEARCHES: bool(sought["rows"]), LEVELS: levels, TASK_SETS: bool(constant)},
        "name": experiment.name,
        "date": records.newest,
        "lineage": digest(sorted(row["lineage"] for row in rows)),
        "emulated": "tcg" in facts["accelerators"],
        "facts": facts,
        "probe": {key: str(probe.get(key, "")) for key in ("reason", "qemu_version")},
        "chain": records.chain(),
        "cells": summary.cell_trials(trials),
        "anchors": {row["trial"]: row["anchor"] for row in rows},
        "results": results_table,
        "verdicts": _sentences(
            compared,
            results_table,
            differences,
            list(again.values()),
            arising,
            (facts["absent"], left_out, experiment.left_out),
            [
                *rounds.sentences(ended),
                *blocks_section.sentences(blocks),
                *virtual.sentences(fidelity),
            ],
        ),
        "blocks": blocks,
        "rounds": ended,
        "differences": differences,
        "again": list(again.values()),
        "parts": {"titles": parts.TITLES, "rows": arising},
        "spread": comparison.spread(compared),
        "virtual": virtual.section(fidelity),
        "ceilings": cost.ceiling_rows(repeated),
        "saturation": sought,
        "overhead": constant,
        "esp": esp_section(compared, esp_scales(sources)),
        "behaviour": summary.table_where_told(compared, BEHAVIOUR),
        "faults": summary.table_where_told(compared, BREAKING),
        "agreement": cost.agreement_rows(trials),
        "parity": comparison.parity(trials, _declared(sources), clusters),
        "fates": summary.fates(trials),
        "invalid": summary.invalid_trials(trials),
        "outcomes": summary.outcomes(trials),
        "withheld": summary.withheld(trials),
        "checks": summary.check_rows(trials),
        "trials": rows,
        "instants": summary.instants(loaded.jobs),
        "definitions": [definition._asdict() for definition in method.DEFINITIONS],
        "quantities": method.quantities(),
        "rules": method.rules(
            trials,
            [value["verdict"] for value in judged],
            again=[
                value["verdict"]
                for one in again.values()
                for row in one["rows"]
                for value in row["values"]
            ],
            uncovered=sum(not value["floor"] for value in judged),
            clockless=sum(_clockless(cluster) for cluster in clusters),
            drawn=drawn,
            pooled=facts["pooled"],
            absent=bool(facts["absent"]),
        ),
        "factors": _factors(experiment),
        "cuts": trace_cuts((origin.results, origin.experiment) for origin in sources),
        "steps": _steps(loaded.trials),
        "clusters": clusters,
        "systems": systems(clusters),
        "imported": [
            {
                "name": origin.name,
                **origin.description,
                "created": moment(str(origin.description["created"])),
            }
            for origin in sources[1:]
        ],
        "left_out": [{"name": name, "why": why} for name, why in sorted(left_out.items())],
        "without_cells": [
            {"name": name, "why": why} for name, why in sorted(experiment.left_out.items())
        ],
    }


def _paper(content: dict[str, Any]) -> dict[str, str]:
    """Text about the report for a paper."""
    citation = read_citation(CITATION.read_bytes())
    commits = content["chain"]["commits"]
    entry = paper.bibtex(citation, content["name"], content["date"], commits, content["lineage"])
    return {"methods": paper.methods(content), "bibtex": entry}


def _sentences(
    trials: Any,
    results: dict[str, Any],
    differences: dict[str, Any],
    again: list[dict[str, Any]],
    arising: list[dict[str, Any]],
    missing: tuple[list[str], Mapping[str, str], Mapping[str, str]],
    others: list[verdicts.Sentence],
) -> list[dict[str, Any]]:
    """The first screen: reasons to doubt the rest, then who is ahead, then the rest as it comes."""
    if differences["rows"]:
        told = verdicts.of_comparisons(differences, floor=any(one["rows"] for one in again))
        told = [*told, *parts.sentences(arising)]
    else:
        told = verdicts.of_estimates(results, sorted({str(name) for name in trials["scheduler"]}))
    told += others
    absent, left_out, variants = missing
    told += [sentence for one in again for sentence in verdicts.of_noise(one)]
    invalid = int((~trials["valid"].astype(bool)).sum())
    told += verdicts.of_invalid(len(trials), invalid, summary.failed_checks(trials))
    told += verdicts.of_missing(results, absent, (sorted(left_out), sorted(variants)), MINIMUM)
    order = ("alarm", "ahead")
    told.sort(key=lambda s: order.index(s.kind) if s.kind in order else len(order))
    return [
        {"kind": sentence.kind, "pieces": [piece._asdict() for piece in sentence.pieces]}
        for sentence in told
    ]


def _sources(
    tables: Path, results: Path, experiment: Experiment
) -> tuple[list[Origin], dict[str, str]]:
    """Origins whose trials are in the tables, and the imports that are left out, with reasons."""
    found = origins(results, experiment)
    left_out = found.left_out | load_left_out(tables)
    return [origin for origin in found.sound if origin.name not in left_out], left_out


def _again(experiment: Experiment) -> dict[bool, tuple[str, str]]:
    """Names of the variant that runs a second time, and of its second series.

    By whether the nodes are virtual, for it may have both kinds.
    """
    again = experiment.again()
    if again is None:
        return {}
    names = {cluster.variant for cluster in experiment.clusters()}
    return {
        bool(kind): (again.name + kind, again.again().name + kind)
        for kind in ("", VIRTUAL)
        if again.name + kind in names
    }


def _declared(sources: list[Origin]) -> dict[str, dict[str, str]]:
    """What the experiments write for each series."""
    return {
        origin.label(cluster.variant): variant_facts(origin.experiment, cluster)
        for origin in sources
        for cluster in origin.experiment.clusters()
    }


def _factors(experiment: Experiment) -> dict[str, Any]:
    """Factors and levels."""
    return {
        "schedulers": [
            name + (f" ({adapter})" if name != adapter else "")
            for name, adapter in {c.variant: c.scheduler for c in experiment.clusters()}.items()
        ],
        "nodes": [str(nodes) for nodes in experiment.nodes],
        "repetitions": experiment.repetitions.trials,
        "clusters": experiment.repetitions.clusters,
        "rounds": experiment.rounds.model_dump() if experiment.rounds else {},
        "seed": experiment.seed,
        "workloads": [
            {
                "name": workload.name,
                "kind": workload.kind,
                "parameters": ", ".join(
                    f"{key} = {value}"
                    for key, value in plain_sorted(workload.model_dump()).items()
                    if key not in {"name", "kind"} and value is not None
                ),
            }
            for workload in experiment.workloads
        ],
    }


def _steps(trials: Any) -> list[dict[str, str]]:
    """Scheduling parameters in force of each scheduler, which set the steps of the waits."""
    names = sorted(str(scheduler) for scheduler in trials["scheduler"].unique())
    found = {name: summary.settings_of(trials, "scheduler", name) for name in names}
    return [
        {"scheduler": name, "parameters": str(settings["SchedulerParameters"])}
        for name, settings in found.items()
        if settings.get("SchedulerParameters")
    ]


def _clockless(cluster: dict[str, Any]) -> bool:
    """Whether any guest's clock source of a cluster is not recorded."""
    return not cluster["guests"] or not all(guest["clocksource"] for guest in cluster["guests"])


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.svg"


def _figure(folder: Path, name: str) -> dict[str, Any]:
    """A figure as the template uses it; without picture if its file is missing."""
    figure, path = FIGURES[name], _file(folder, name)
    picture = inline(path.read_text(encoding="utf-8"), name, figure.alt) if path.exists() else ""
    return {
        "name": name,
        "title": figure.title,
        "caption": figure.caption,
        "picture": picture,
        "anchor": anchor(figure_record(name)),
    }
