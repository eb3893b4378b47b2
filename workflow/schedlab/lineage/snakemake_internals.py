"""What is read of Snakemake beyond its documented interface: the only module that reaches into it.

Two things: what it would run and its reasons (a dry run through its API, with the settings that its
command line would take from ``profiles/default``, and then a reading of the graph that it made),
and the files in which it remembers how each output was made. Neither is promised to stay:
`tests/unit/test_snakemake_internals.py` fails for a version that nobody looked at, and what is not
found where it was is an error that says so.
"""

from __future__ import annotations

import ast
import base64
import difflib
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.errors import SchedlabError
from schedlab.results.digests import file_digest
from schedlab.results.records import write_json
from schedlab.sources.stages import PREFIX

TESTED = ("9.27", "9.28")
"""Versions of Snakemake whose private parts were looked at: from the first, before the second."""
FOLDER = Path(".snakemake")
"""Snakemake's folder, in the folder that it works in."""


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
    inputs : list of str
        Files that it is made from, as the rule names them.
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
    with _planned(root, experiments, results, targets) as workflow, as_it_was():
        return _read(workflow)


@contextmanager
def as_it_was() -> Iterator[None]:
    """Say which Snakemake this is and which were tested, where a private part is not as it was.

    Raises
    ------
    SchedlabError
        In place of the errors that reading a changed structure ends with.
    """
    try:
        yield
    except (AttributeError, ImportError, KeyError, TypeError) as error:
        raise SchedlabError(
            f"Snakemake {version('snakemake')} is built differently from the versions that this"
            f" command was tested with ({TESTED[0]} to before {TESTED[1]}): {error}",
            remedy="install the version of uv.lock (make setup)",
        ) from error


@contextmanager
def _planned(
    root: Path, experiments: Path, results: Path, targets: tuple[str, ...]
) -> Iterator[Any]:
    """Snakemake's workflow after a dry run."""
    with as_it_was():
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
            # A digest of sources is like any other digest, and like nothing else.
            alike = [text for text in before if (PREFIX in text) == (PREFIX in repr(value))]
            likest = difflib.get_close_matches(repr(value), alike, n=1, cutoff=0.0)
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


class Memory(NamedTuple):
    """What Snakemake remembers of an output.

    Parameters
    ----------
    name : str
        Name of its file of memory, relative to the folder of all.
    output : pathlib.Path
        The output.
    content : dict
        What it remembers; empty where that cannot be read.
    unfinished : bool
        Whether the job that makes it was interrupted.
    """

    name: str
    output: Path
    content: dict[str, Any]
    unfinished: bool

    def fits(self) -> bool:
        """Whether the output is the one that is remembered: it has the time of the job's end."""
        ended = self.content.get("endtime")
        if self.unfinished or ended is None:
            return False
        return abs(float(ended) - self.output.stat().st_mtime) <= _CLOSE


_CLOSE = 0.001
"""Seconds by which the time of a file may differ from the same time read back from JSON."""


def memories(below: Path) -> Iterator[Memory]:
    """What Snakemake remembers of the outputs in a folder that are there."""
    folder = FOLDER / "metadata"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        output = output_of(name) if path.is_file() else None
        if output is not None and output.is_relative_to(below) and output.is_file():
            # A job that was killed leaves an output with the memory of the one before.
            yield Memory(name, output, _content(path), (FOLDER / "incomplete" / name).exists())


def remembers(name: str) -> bool:
    """Whether Snakemake has a file of memory of this name."""
    return (FOLDER / "metadata" / name).exists()


def remind(name: str, content: dict[str, Any]) -> None:
    """Give Snakemake a file of memory, from :func:`memories` of another checkout."""
    write_json(FOLDER / "metadata" / name, content)


def _content(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError:
        return {}
    return content


def output_of(name: str) -> Path | None:
    """Output that a file of memory is about: its name is the path in base64, in parts."""
    encoded = "".join(part.removeprefix("@") for part in Path(name).parts)
    try:
        return Path(base64.urlsafe_b64decode(encoded).decode())
    except ValueError:
        return None
