"""Explains a plan: which file, key or version makes a stage stale, and how long it will take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schedlab.config import Experiment
from schedlab.lineage.chain import versions
from schedlab.lineage.durations import STAGES, Durations, Estimate, duration
from schedlab.lineage.snakemake_internals import Plan, PlannedJob
from schedlab.outside.json_text import read_json
from schedlab.paths import RESULTS, TOOLCHAIN
from schedlab.printing import some
from schedlab.results.digests import file_digest
from schedlab.sources.stages import files, named, subject

SCHEMA = "schedlab.why/1"
_MANY = 6
"""Largest number of jobs or files in a line. Of further ones only the number is shown."""


@dataclass(frozen=True)
class Cause:
    """One thing that makes a job run.

    Attributes
    ----------
    kind : str
        ``missing``, ``incomplete``, ``forced``, ``file``, ``version``, ``key``, ``inputs``,
        ``command``, ``after`` (another stage runs before) or ``other``.
    name : str
        Name of the file, key, tool or stage.
    detail : str
        How it changed.
    """

    kind: str
    name: str
    detail: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.kind, self.name, self.detail) if part)


@dataclass(frozen=True)
class ExplainedJob:
    """A job that would run, and why.

    Attributes
    ----------
    rule : str
        Rule of the Snakefile.
    stage, id : str
        Stage and id as in the records.
    outputs : list of str
        Files that the job makes.
    causes : tuple of Cause
        Reasons to run it; never empty.
    estimate : Estimate
        Expected duration.
    """

    rule: str
    stage: str
    id: str
    outputs: list[str]
    causes: tuple[Cause, ...]
    estimate: Estimate

    @property
    def stale(self) -> bool:
        """Whether the job would run even if no job before it ran."""
        return any(cause.kind != "after" for cause in self.causes)


def explain(plan: Plan, results: Path, experiment: Experiment) -> list[ExplainedJob]:
    """Explain every job of a plan.

    Parameters
    ----------
    plan : Plan
        What Snakemake would run.
    results : pathlib.Path
        The results folder. Its records give durations and versions of tools.
    experiment : Experiment
        The configuration of the plan.
    """
    durations = Durations(results)
    names = {output: _stage(job) for job in plan.jobs for output in job.outputs}
    return [
        ExplainedJob(
            job.rule,
            _stage(job),
            _identifier(job),
            job.outputs,
            tuple(_causes(job, names, experiment)) or (Cause("other", "", job.reason),),
            durations.of(_stage(job), _identifier(job), job.outputs),
        )
        for job in plan.jobs
    ]


def _stage(job: PlannedJob) -> str:
    return STAGES.get(job.rule, job.rule)


def _identifier(job: PlannedJob) -> str:
    if job.rule == "trace":
        return "{workload}-n{nodes}-r{repetition}".format(**job.wildcards)
    return ".".join(job.wildcards.values())


def _causes(job: PlannedJob, names: dict[str, str], experiment: Experiment) -> Iterator[Cause]:
    if job.forced:
        yield Cause("forced", "", "it was asked for by name")
    for output in job.missing:
        yield Cause("missing", output, "does not exist")
    for output in job.incomplete:
        yield Cause("incomplete", output, "was left by an interrupted run")
    for path, (then, now) in job.files.items():
        yield from _file(job, path, then, now)
    for name, (before, after) in job.params.items():
        if name == "sources":
            yield from _sources(job, experiment)
        else:
            yield from _keys(job, name, before, after)
    # A new input that this run makes is already named by the cause "after".
    for path in job.added:
        if path not in job.upstream:
            yield Cause("inputs", path, "was not among its inputs")
    for path in job.removed:
        yield Cause("inputs", path, "is no longer among its inputs")
    if job.code:
        yield Cause("command", job.rule, f"was `{job.code[0]}`, is `{job.code[1]}`")
    for stage in sorted({names[maker] for maker in job.upstream.values()}):
        yield Cause("after", stage, "")


def _file(job: PlannedJob, path: str, then: str | None, now: str | None) -> Iterator[Cause]:
    if Path(path).name == TOOLCHAIN:
        yield from _versions(job, Path(path))
    if then and now and then != now:
        yield Cause("file", path, f"changed ({then[:12]} to {now[:12]})")
    elif then is None:
        yield Cause("file", path, "is newer than the result, and no digest of it was recorded")
    else:
        yield Cause("file", path, "is newer than the result, and too large to compare by digest")


def _sources(job: PlannedJob, experiment: Experiment) -> Iterator[Cause]:
    """Yield the source files that differ from those in the record of a job."""
    now = {
        name: file_digest(path)
        for name, path in named(files(subject(experiment, _stage(job), job.wildcards))).items()
    }
    recorded = next(
        (r["inputs"] for o in job.outputs if "inputs" in (r := _json_file(Path(o)))), None
    )
    if recorded is None:
        yield Cause("file", "", "sources changed, and the record that names them does not exist")
        return
    # All other inputs are results or files of the user. Snakemake itself compares them.
    before = {name: digest for name, digest in recorded.items() if not _is_input(name, job)}
    found = False
    for name in sorted(before.keys() | now.keys()):
        then, today = before.get(name), now.get(name)
        if then == today:
            continue
        found = True
        if then is None or today is None:
            detail = "is a source now" if then is None else "is no longer a source"
            yield Cause("file", name, detail)
        else:
            yield Cause("file", name, f"changed ({then[:12]} to {today[:12]})")
    if not found:
        yield Cause("file", "", "sources were changed while the stage ran")


def _is_input(name: str, job: PlannedJob) -> bool:
    path = Path(name)
    return path.is_relative_to(RESULTS) or any(
        path in (Path(file), Path(Path(file).name)) for file in job.inputs
    )


def _versions(job: PlannedJob, toolchain: Path) -> Iterator[Cause]:
    """Yield the tools in a job's record that have another version now."""
    now = versions(_json_file(toolchain))
    for output in job.outputs:
        for name, before in versions(_json_file(Path(output))).items():
            if name in now and now[name] != before:
                yield Cause("version", name, f"{before} to {now[name]}")


def _json_file(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _keys(job: PlannedJob, name: str, before: str | None, after: str | None) -> Iterator[Cause]:
    """Yield the keys of the configuration that differ between two values of a parameter."""
    old, new = _flat(before, name), _flat(after, name)
    prefix = (
        f"workloads.{job.wildcards['workload']}." if (job.rule, name) == ("trace", "spec") else ""
    )
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            values = (old.get(key, "absent"), new.get(key, "absent"))
            yield Cause("key", prefix + key, f"{values[0]} to {values[1]}")


def _flat(text: str | None, name: str) -> dict[str, str]:
    """Return the JSON of a parameter as one text for each dotted key."""
    if text is None:
        return {}
    try:
        content = json.loads(text)
    except ValueError:
        return {name: text}

    def walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from walk(inner, f"{path}.{key}" if path else str(key))
        else:
            yield path or name, json.dumps(value)

    return dict(walk(content, ""))


def as_data(jobs: list[ExplainedJob], unknown: list[str]) -> dict[str, Any]:
    """Return the explanation as plain data for JSON.

    Parameters
    ----------
    jobs : list of ExplainedJob
        Jobs that would run.
    unknown : list of str
        Outputs of which Snakemake has no metadata.
    """
    rows = [
        {
            "rule": job.rule,
            "stage": job.stage,
            "id": job.id,
            "stale": job.stale,
            "outputs": job.outputs,
            "causes": [asdict(cause) for cause in job.causes],
            "seconds": job.estimate.seconds,
            "basis": job.estimate.basis,
        }
        for job in jobs
    ]
    known = _known(jobs)
    return {
        "schema": SCHEMA,
        "jobs": rows,
        "seconds": round(sum(known), 3),
        "unknown_durations": len(rows) - len(known),
        "unknown_outputs": unknown,
    }


def _known(jobs: Iterable[ExplainedJob]) -> list[float]:
    return [job.estimate.seconds for job in jobs if job.estimate.seconds is not None]


def as_text(jobs: list[ExplainedJob], unknown: list[str], command: str) -> str:
    """Return the explanation as text. Jobs of one stage with the same causes are shown together.

    Parameters
    ----------
    jobs : list of ExplainedJob
        Jobs that would run.
    unknown : list of str
        Outputs of which Snakemake has no metadata.
    command : str
        Command that makes them again.
    """
    data = as_data(jobs, unknown)
    lines = []
    if not jobs:
        lines.append("Nothing is stale: nothing would run.")
    else:
        stale = sorted({job.stage for job in jobs if job.stale})
        lines += [
            f"{len(jobs)} jobs would run; stale by themselves: {', '.join(stale)}.",
            f"About {duration(data['seconds'])} one after another"
            + (
                f", and {data['unknown_durations']} jobs without a recorded duration."
                if data["unknown_durations"]
                else "."
            ),
        ]
    groups: dict[tuple[str, tuple[str, ...]], list[ExplainedJob]] = {}
    for job in jobs:
        causes = tuple(str(cause) for cause in job.causes if cause.kind != "missing")
        if any(cause.kind == "missing" for cause in job.causes):
            causes = ("missing its results do not exist", *causes)
        groups.setdefault((job.stage, causes), []).append(job)
    for (stage, causes), members in groups.items():
        known = _known(members)
        time = f"about {duration(sum(known))}" if known else "duration unknown"
        ids = some([job.id for job in members], _MANY)
        lines += ["", f"{stage} {ids}".rstrip() + f": {time}"]
        lines += [f"  {cause}" for cause in causes]
    if unknown:
        lines += [
            "",
            f"Of {len(unknown)} files Snakemake knows only the modification times, so it does not"
            f" see changes of their sources and settings: {some(unknown, _MANY)}.",
            f"Make them again, with the names of their rules: {command}",
        ]
    return "\n".join(lines)
