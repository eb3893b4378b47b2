"""What Snakemake would run, and its reasons: asked of Snakemake itself, never decided here.

The only module that reaches into Snakemake: a dry run through its API, with the settings that its
command line would take from ``profiles/default``, and then a reading of the graph that it made.
"""

from __future__ import annotations

import ast
import difflib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.results.digests import file_digest


@dataclass
class Job:
    """A job that would run, with everything that makes it stale.

    Attributes
    ----------
    rule : str
        Rule of the Snakefile.
    wildcards : dict of str to str
        Such as ``cluster``.
    outputs : list of str
        Files that it makes.
    missing, incomplete, forced : list of str or bool
        Outputs that are not there or were left by an interrupted job; asked for by the user.
    upstream : dict of str to str
        Inputs that another job makes before, with that job's first output.
    files : dict of str to tuple
        Changed inputs with their digests, then and now; None where unknown.
    added, removed : list of str
        Inputs that were not or are no longer among them.
    params : dict of str to tuple
        Changed parameters, then and now; None where there is none. Canonical JSON.
    code : tuple of str or None
        The rule's command, then and now, when it changed.
    reason : str
        Snakemake's own words.
    """

    rule: str
    wildcards: dict[str, str]
    outputs: list[str]
    missing: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    forced: bool = False
    upstream: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    params: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    code: tuple[str | None, str | None] | None = None
    reason: str = ""


@dataclass
class Plan:
    """What a run would do.

    Attributes
    ----------
    jobs : list of Job
        In an order in which they could run.
    unknown : list of str
        Outputs that are there but of which Snakemake knows nothing but their times.
    """

    jobs: list[Job]
    unknown: list[str]


def plan(root: Path, experiments: Path, results: Path, targets: tuple[str, ...]) -> Plan:
    """Ask Snakemake what it would run.

    Parameters
    ----------
    root : pathlib.Path
        The checkout.
    experiments, results : pathlib.Path
        Configuration and results folder, as they would be given to Snakemake.
    targets : tuple of str
        Files or rules to bring up to date; default: everything.

    Raises
    ------
    SchedlabError
        When Snakemake cannot tell (its message is on standard error), or would look elsewhere.
    """
    if Path.cwd() != root:
        raise SchedlabError(
            f"{Path.cwd()} is not the checkout, in which Snakemake runs", remedy=f"cd {root}"
        )
    with _planned(root, experiments, results, targets) as workflow:
        return _read(workflow)


@contextmanager
def _planned(
    root: Path, experiments: Path, results: Path, targets: tuple[str, ...]
) -> Iterator[Any]:
    """Snakemake's workflow after a dry run."""
    from snakemake.api import SnakemakeApi
    from snakemake.cli import parse_args
    from snakemake.settings import types

    snakefile = root / "Snakefile"
    # As the command line does: this is where the profile comes in.
    with redirect_stderr(io.StringIO()):
        _, arguments = parse_args(["--snakefile", str(snakefile), "--dry-run", "--", *targets])
    quiet = types.OutputSettings(dryrun=True, nocolor=True, log_level_override=logging.ERROR)
    with SnakemakeApi(quiet) as api:
        try:
            workflow = api.workflow(
                resource_settings=types.ResourceSettings(
                    cores=arguments.cores, resources=arguments.resources
                ),
                config_settings=types.ConfigSettings(
                    config={"experiments": str(experiments), "results": str(results)}
                ),
                workflow_settings=types.WorkflowSettings(),
                snakefile=snakefile,
            )
            workflow.dag(
                types.DAGSettings(
                    targets=arguments.targets or frozenset(),
                    rerun_triggers=arguments.rerun_triggers,
                    force_incomplete=arguments.rerun_incomplete,
                    max_checksum_file_size=arguments.max_checksum_file_size,
                )
            ).execute_workflow(
                pseudo_executor="dryrun",
                execution_settings=types.ExecutionSettings(
                    lock=not arguments.nolock, keep_going=arguments.keep_going
                ),
            )
        except PermissionError:
            # Snakemake keeps notes in the checkout and in the home folder, also of a dry run.
            raise
        except Exception as error:
            api.print_exception(error)
            raise SchedlabError(
                f"Snakemake cannot plan: {error}", remedy="see its message above"
            ) from error
        yield workflow._workflow


def _read(workflow: Any) -> Plan:
    dag, known = workflow.dag, workflow.persistence
    jobs: list[Job] = []
    for level in dag.toposorted():
        # Rules without outputs only collect targets.
        running = [job for job in level if job.output and dag.needrun(job)]
        jobs += [_job(dag, known, job) for job in sorted(running, key=_turn)]
    unknown = [
        str(file)
        for job in dag.jobs
        for file in job.output
        if Path(file).exists() and known.metadata(file) is None
    ]
    return Plan(jobs, sorted(unknown))


def _turn(job: Any) -> tuple[int, str]:
    return -job.priority, str(job.output[0])


def _job(dag: Any, known: Any, job: Any) -> Job:
    reason = dag.reason(job)
    makers = {
        str(file): str(maker.output[0])
        for maker, files in dag.dependencies[job].items()
        if dag.needrun(maker)
        for file in files
    }
    found = Job(
        rule=str(job.rule.name),
        wildcards={name: str(value) for name, value in job.wildcards_dict.items()},
        outputs=[str(file) for file in job.output],
        missing=[str(file) for file in job.output if not Path(file).exists()],
        incomplete=sorted(map(str, reason.incomplete_output)),
        forced=bool(reason.forced),
        upstream={str(file): makers[str(file)] for file in job.input if str(file) in makers},
        reason=str(reason).strip(),
    )
    for file in job.input:
        if str(file) not in makers and Path(file).exists():
            then = _recorded(known, job, file)
            now = _present(file, known.max_checksum_file_size)
            # Those that Snakemake names, and those of jobs that run anyway, where it does not ask.
            if file in reason.updated_input or (then and now and then != now):
                found.files[str(file)] = (then, now)
    metadata = next((m for file in job.output if (m := known.metadata(file))), None)
    if metadata is not None:
        before, after = set(metadata.input or ()), {str(file) for file in job.input}
        found.added, found.removed = sorted(after - before), sorted(before - after)
        found.params = _params(known.params_changed(job), job)
        if any(known.code_changed(job)):
            found.code = (metadata.code, job.rule.shellcmd)
    return found


def _recorded(known: Any, job: Any, file: Any) -> str | None:
    """Digest of an input when the job last ran; None where it was not, or is not one, recorded."""
    found = known.input_checksums(job, file)
    text = next(iter(found)) if len(found) == 1 else None
    return text.partition(":")[2] if text else None


def _present(file: Any, largest: int) -> str | None:
    """Digest of a file of the size that Snakemake compares by checksum."""
    path = Path(file)
    return file_digest(path) if path.is_file() and path.stat().st_size <= largest else None


def _params(change: Any, job: Any) -> dict[str, tuple[str | None, str | None]]:
    """Changed parameters by name; Snakemake keeps the former ones without it."""
    before = sorted(change.only_old) if change else []
    changed: dict[str, tuple[str | None, str | None]] = {}
    for name, value in job.params.items() if change else ():
        if repr(value) in change.only_new:
            likest = difflib.get_close_matches(repr(value), before, n=1, cutoff=0.0)
            if likest:
                before.remove(likest[0])
            changed[name] = (_plain(likest[0]) if likest else None, str(value))
    return changed | {f"former {n}": (_plain(text), None) for n, text in enumerate(before, 1)}


def _plain(text: str) -> str:
    """A parameter without the quotes that Snakemake keeps it with."""
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text
