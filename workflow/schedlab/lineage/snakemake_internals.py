"""Reads private structures of Snakemake: what it would run, and why.

It makes a dry run through Snakemake's API, with the settings that the command line takes from
``profiles/default``, and reads the graph of jobs. The files in which Snakemake stores how each
output was made are read in :mod:`schedlab.lineage.snakemake_metadata`.

Snakemake may change both at any time. `tests/unit/test_snakemake_internals.py` therefore fails for
a version of Snakemake that was not checked, and a structure that is missing is a named error.
"""

from __future__ import annotations

import ast
import difflib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from schedlab.errors import SchedlabError
from schedlab.results.digests import file_digest
from schedlab.sources.stages import PREFIX

TESTED = ("9.27", "9.28")
"""Versions of Snakemake that were checked: from the first one on, before the second one."""


@dataclass
class PlannedJob:
    """A job that would run, with everything that makes it stale.

    Attributes
    ----------
    rule : str
        Rule of the Snakefile.
    wildcards : dict of str to str
        Values of the rule's wildcards, for example of ``cluster``.
    outputs : list of str
        Files that the job makes.
    inputs : list of str
        Files that the job reads, as the rule names them.
    missing : list of str
        Outputs that do not exist.
    incomplete : list of str
        Outputs that an interrupted job left.
    forced : bool
        The user asked for the job by name.
    upstream : dict of str to str
        Inputs that another job makes first, with the first output of that job.
    files : dict of str to tuple
        Changed inputs with their former and present SHA-256; None for one that is not known.
    added, removed : list of str
        Inputs that are new since the last run, and inputs that are no longer read.
    params : dict of str to tuple
        Changed parameters with their former and present value as canonical JSON; None for a value
        that does not exist.
    code : tuple of str or None
        Former and present command of the rule; None if it did not change.
    reason : str
        Snakemake's own explanation.
    """

    rule: str
    wildcards: dict[str, str]
    outputs: list[str]
    inputs: list[str] = field(default_factory=list)
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
    jobs : list of PlannedJob
        Jobs in an order in which they could run.
    unknown : list of str
        Outputs that exist, but of which Snakemake knows only the modification times.
    """

    jobs: list[PlannedJob]
    unknown: list[str]


def plan(root: Path, experiments: Path, results: Path, targets: tuple[str, ...]) -> Plan:
    """Ask Snakemake what it would run.

    Parameters
    ----------
    root : pathlib.Path
        The checkout.
    experiments, results : pathlib.Path
        Configuration and results folder, as Snakemake would receive them.
    targets : tuple of str
        Files or rules to bring up to date; if empty, everything.

    Raises
    ------
    SchedlabError
        Snakemake cannot plan (its message is on standard error), or the working directory is not
        the checkout.
    """
    if Path.cwd() != root:
        raise SchedlabError(
            f"{Path.cwd()} is not the checkout: Snakemake runs in the checkout",
            remedy=f"cd {root}",
        )
    with _planned(root, experiments, results, targets) as workflow, structure_errors():
        return _read(workflow)


@contextmanager
def structure_errors() -> Iterator[None]:
    """Turn errors from a changed structure of Snakemake into one that names the version.

    Raises
    ------
    SchedlabError
        A private structure of Snakemake differs from that of the versions that were tested.
    """
    try:
        yield
    except (AttributeError, ImportError, KeyError, TypeError) as error:
        raise SchedlabError(
            f"Snakemake {version('snakemake')} is built differently from the versions that this"
            f" command was tested with (from {TESTED[0]}, before {TESTED[1]}): {error}",
            remedy="install the version of uv.lock (make setup)",
        ) from error


@contextmanager
def write_protection_ignored() -> Iterator[None]:
    """Let Snakemake plan jobs whose outputs the user may not write: a plan writes none of them.

    Otherwise nobody could ask about results that are only to be read.
    """
    with structure_errors():
        from snakemake.jobs import Job

        kept = Job.check_protected_output

    async def accepted(_job: Any) -> None:
        return None

    Job.check_protected_output = accepted
    try:
        yield
    finally:
        Job.check_protected_output = kept


@contextmanager
def _planned(
    root: Path, experiments: Path, results: Path, targets: tuple[str, ...]
) -> Iterator[Any]:
    """Yield Snakemake's workflow after a dry run."""
    with structure_errors():
        from snakemake.api import SnakemakeApi
        from snakemake.cli import parse_args
        from snakemake.settings import types

    snakefile = root / "Snakefile"
    # Snakemake's parser of the command line also reads the profile.
    with redirect_stderr(io.StringIO()):
        _, arguments = parse_args(["--snakefile", str(snakefile), "--dry-run", "--", *targets])
    quiet = types.OutputSettings(dryrun=True, nocolor=True, log_level_override=logging.ERROR)
    with write_protection_ignored(), SnakemakeApi(quiet) as api:
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
            # Also a dry run writes to the checkout and the home folder. The command line tells
            # the user which file cannot be written.
            raise
        except Exception as error:
            api.print_exception(error)
            raise SchedlabError(
                f"Snakemake cannot plan: {error}", remedy="see its message above"
            ) from error
        yield workflow._workflow


def _read(workflow: Any) -> Plan:
    dag, known = workflow.dag, workflow.persistence
    jobs: list[PlannedJob] = []
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


def _job(dag: Any, known: Any, job: Any) -> PlannedJob:
    reason = dag.reason(job)
    makers = {
        str(file): str(maker.output[0])
        for maker, files in dag.dependencies[job].items()
        if dag.needrun(maker)
        for file in files
    }
    found = PlannedJob(
        rule=str(job.rule.name),
        wildcards={name: str(value) for name, value in job.wildcards_dict.items()},
        outputs=[str(file) for file in job.output],
        inputs=[str(file) for file in job.input],
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
            # Snakemake does not compare the inputs of a job that runs for another reason.
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
    """Return the digest of an input at the job's last run, or None if no single one is known."""
    found = known.input_checksums(job, file)
    text = next(iter(found)) if len(found) == 1 else None
    return text.partition(":")[2] if text else None


def _present(file: Any, largest: int) -> str | None:
    """Return the digest of a file, or None if it is too large for Snakemake to compare it."""
    path = Path(file)
    return file_digest(path) if path.is_file() and path.stat().st_size <= largest else None


def _params(change: Any, job: Any) -> dict[str, tuple[str | None, str | None]]:
    """Return the changed parameters by name.

    Snakemake stores former parameters without their names. Each changed parameter is paired with
    the former one that is most similar.
    """
    before = sorted(change.only_old) if change else []
    changed: dict[str, tuple[str | None, str | None]] = {}
    for name, value in job.params.items() if change else ():
        if repr(value) in change.only_new:
            # A digest of sources is paired only with another digest of sources.
            alike = [text for text in before if (PREFIX in text) == (PREFIX in repr(value))]
            likest = difflib.get_close_matches(repr(value), alike, n=1, cutoff=0.0)
            if likest:
                before.remove(likest[0])
            changed[name] = (_plain(likest[0]) if likest else None, str(value))
    return changed | {f"former {n}": (_plain(text), None) for n, text in enumerate(before, 1)}


def _plain(text: str) -> str:
    """Return a parameter without the quotes with which Snakemake stores it."""
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text
