"""The command ``schedlab``, with one subcommand for each stage and others for people."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schedlab import processes
from schedlab.cli import bundle as bundle_commands
from schedlab.cli import lineage
from schedlab.cli.analyse import analyse
from schedlab.cli.bisect import bisect
from schedlab.cli.calibrate import calibrate
from schedlab.cli.clean import clean
from schedlab.cli.conformance import conformance
from schedlab.cli.dashboard import dashboard
from schedlab.cli.diff import diff
from schedlab.cli.disk import disk
from schedlab.cli.export import export
from schedlab.cli.lock import lock
from schedlab.cli.options import Output, known_or_refused
from schedlab.cli.options import with_paths as _paths
from schedlab.cli.output import echo
from schedlab.cli.trials import trials
from schedlab.cli.watch import watch
from schedlab.errors import Interrupted, SchedlabError
from schedlab.outside import permission

if TYPE_CHECKING:
    from schedlab.stages.context import Context


class _Group(click.Group):
    """Shows errors and signals as messages without a traceback.

    Exit status 1: a :class:`SchedlabError`, or a program that took too long. 2: a folder that is
    not what the command reads, or an error of the operating system, for example a missing
    permission. 128 plus the number of a signal: a signal stopped the command.
    """

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Run as a program, apart from the settings of the user's environment."""
        processes.settle(again=True)
        return super().__call__(*arguments, **options)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except SchedlabError as error:
            echo(f"schedlab: {error}", err=True)
            sys.exit(error.status)
        except (Interrupted, KeyboardInterrupt) as stop:
            stopped = stop if isinstance(stop, Interrupted) else Interrupted(signal.SIGINT)
            echo(f"schedlab: {stopped}", err=True)
            sys.exit(stopped.status)
        except subprocess.TimeoutExpired as error:
            program = error.cmd if isinstance(error.cmd, str) else error.cmd[0]
            echo(f"schedlab: {program} did not end within {error.timeout:.3g} s", err=True)
            sys.exit(1)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            echo(f"schedlab: {error}{_remedy(error)}", err=True)
            sys.exit(2)


def _remedy(error: OSError) -> str:
    """Return a line with the remedy for an error of the operating system, or nothing."""
    known = {
        errno.EROFS: "use a folder on a file system that is not read-only",
        errno.ENOSPC: "free space on that disk",
    }
    remedy = permission.remedy(error) or known.get(error.errno or 0)
    return f"\n  remedy: {remedy}" if remedy else ""


def _load(
    experiments: Path, results: Path, output: Path | None = None, **given: str | int
) -> Context:
    """Load the context of a stage, and check the options that name something in it.

    A stage may be started without a run, on a new folder. It leaves the mark of results there, as
    a run does, unless its output is elsewhere.
    """
    from schedlab.stages.context import Context
    from schedlab.storage.marks import mark
    from schedlab.testbed.supervisor import end_with_workflow

    end_with_workflow()
    context = Context.load(experiments, results)
    known_or_refused(experiments, context.experiment, **given)
    if output is None or output.resolve().is_relative_to(results.resolve()):
        mark(results)
    return context


def _enter(experiments: Path, results: Path, name: str, **given: str | int) -> Context:
    """Load the context, check the options, and enter a testbed."""
    context = _load(experiments, results, None, **given)
    _enter_testbed(context, name)
    return context


def _enter_testbed(context: Context, name: str) -> None:
    """Enter a testbed.

    A job that needs a testbed of its own runs in a child process. The process then ends here.
    """
    from schedlab.testbed.supervisor import in_testbed

    status = in_testbed(
        sys.argv[1:],
        uri=context.experiment.libvirt.uri,
        results=context.results,
        name=name,
    )
    if status is not None:
        sys.exit(status)


@click.group(cls=_Group)
@click.version_option(package_name="schedlab")
def main() -> None:
    """Benchmark HPC schedulers on virtual clusters built from code."""


main.add_command(analyse)
main.add_command(bisect)
main.add_command(calibrate)
main.add_command(clean)
main.add_command(conformance)
main.add_command(dashboard)
main.add_command(diff)
main.add_command(disk)
main.add_command(export)
main.add_command(lock)
main.add_command(trials)
main.add_command(watch)
lineage.register(main)


@main.command()
@click.option("--output", type=Output(), required=True)
def toolchain(output: Path) -> None:
    """Find or build the tools that the stages call."""
    from schedlab.storage.marks import mark
    from schedlab.testbed.supervisor import end_with_workflow
    from schedlab.toolchain import prepare_toolchain

    end_with_workflow()
    # The links to the tools are beside the record.
    mark(output.parent)
    prepare_toolchain(output)


@main.command()
@_paths
def doctor(experiments: Path, results: Path) -> None:
    """Check that this machine can run the experiment. Nothing is started."""
    from schedlab.design import load_experiment, notices
    from schedlab.doctor.findings import report_problems

    experiment = load_experiment(experiments)
    for told in notices(experiment):
        echo(f"schedlab: {told}")
    sys.exit(report_problems(experiment, results))


@main.command()
@_paths
@click.option("--image", required=True)
def base(experiments: Path, results: Path, image: str) -> None:
    """Build an image's base disk."""
    from schedlab.stages.base_disk import build_base_disk

    build_base_disk(_load(experiments, results, image=image), image)


@main.command()
@_paths
def accelerator(experiments: Path, results: Path) -> None:
    """Probe the accelerator by booting a kernel."""
    from schedlab.stages.accelerator import probe

    probe(_load(experiments, results))


@main.command()
@_paths
@click.option("--image", required=True)
def programs(experiments: Path, results: Path, image: str) -> None:
    """Build the programs of an image that no distribution offers as packages."""
    from schedlab.stages.programs import build_programs

    build_programs(_load(experiments, results, image=image), image)


@main.command()
@_paths
@click.option("--image", "name", required=True)
def image(experiments: Path, results: Path, name: str) -> None:
    """Build an image with Packer."""
    context = _enter(experiments, results, f"image-{name}", image=name)
    from schedlab.stages.image import build_image

    build_image(context, name)


@main.command()
@_paths
@click.option("--machines", required=True)
def provision(experiments: Path, results: Path, machines: str) -> None:
    """Create machines with Terraform and snapshot them."""
    context = _enter(experiments, results, f"provision-{machines}", machines=machines)
    from schedlab.stages.provision import provision as run

    run(context, machines)


@main.command()
@_paths
@click.option("--cluster", required=True)
@click.option(
    "--check-again", is_flag=True, help="Only run the playbook again; fail if it changes something."
)
def configure(experiments: Path, results: Path, cluster: str, check_again: bool) -> None:
    """Configure a provisioned cluster with Ansible and snapshot it, unless no search needs it."""
    from schedlab.stages.stopped import leave_out_if_decided, require_configured

    context = _load(experiments, results, cluster=cluster)
    if check_again:
        require_configured(context, cluster)
    elif leave_out_if_decided(context, cluster):
        return
    _enter_testbed(context, f"configure-{cluster}")
    from schedlab.stages.configure import configure as run
    from schedlab.stages.configure import rerun_changes

    if not check_again:
        run(context, cluster)
        return
    changes = rerun_changes(context, cluster)
    for row in changes:
        echo(f"changed on {row['host']}: {row['role']} : {row['task']}", err=True)
    sys.exit(1 if changes else 0)


@main.command("trace-workload")
@_paths
@click.option("--workload", required=True)
@click.option("--nodes", required=True, help="Compute nodes; 2x4: two of four processors.")
@click.option("--repetition", type=int, required=True)
@click.option("--output", type=Output(), required=True)
def trace_workload(
    experiments: Path, results: Path, workload: str, nodes: str, repetition: int, output: Path
) -> None:
    """Write the neutral trace of a workload."""
    from schedlab.stages.trace import write_trace

    context = _load(
        experiments, results, output, workload=workload, nodes=nodes, repetition=repetition
    )
    write_trace(context, workload, nodes, repetition, output)


@main.command()
@_paths
@click.option("--cluster", required=True)
@click.option("--workload", required=True)
@click.option("--repetition", type=int, required=True)
@click.option("--bridge", default="", help="Run of the workflow that it runs again in.")
def trial(
    experiments: Path, results: Path, cluster: str, workload: str, repetition: int, bridge: str
) -> None:
    """Run one trial on a restored cluster, unless its cell has ended."""
    from schedlab.config import TrialKey
    from schedlab.stages.decision import renew_decision
    from schedlab.stages.stopped import stop_if_decided

    key = TrialKey(cluster, workload, repetition)
    context = _load(experiments, results, cluster=cluster, workload=workload, repetition=repetition)
    if not bridge:
        renew_decision(context, key)
    if stop_if_decided(context, key):
        return
    _enter_testbed(context, key.id)
    from schedlab.stages.trial import run_trial

    run_trial(context, key, bridge)


@main.command()
@_paths
@click.option("--cluster", required=True)
@click.option("--workload", help="Of the trial; without a trial, about the cluster itself.")
@click.option("--repetition", type=int, help="Of the trial.")
def decision(
    experiments: Path, results: Path, cluster: str, workload: str | None, repetition: int | None
) -> None:
    """Decide whether a trial runs, by those of its cell before it, or whether a cluster is made."""
    from schedlab.stages.decision import write_cluster_decision, write_decision

    if (workload is None) != (repetition is None):
        raise click.UsageError("a trial has a --workload and a --repetition")
    if workload is None or repetition is None:
        write_cluster_decision(_load(experiments, results, cluster=cluster), cluster)
        return
    context = _load(experiments, results, cluster=cluster, workload=workload, repetition=repetition)
    write_decision(context, cluster, workload, repetition)


@main.command()
@_paths
def tables(experiments: Path, results: Path) -> None:
    """Build the Parquet tables from the trials."""
    from schedlab.stages.tables import write_tables

    for name, why in write_tables(_load(experiments, results)).items():
        echo(f"schedlab: left out the import {name}: {why}", err=True)


@main.command()
@_paths
@click.option("--figure", required=True)
def figure(experiments: Path, results: Path, figure: str) -> None:
    """Draw one figure from the tables."""
    from schedlab.stages.figure import draw_figure
    from schedlab.storage.marks import mark

    mark(results)
    draw_figure(results, figure)


@main.command()
@_paths
@click.option("--output", type=Output(), required=True)
def report(experiments: Path, results: Path, output: Path) -> None:
    """Render the report."""
    from schedlab.stages.report import write_report

    write_report(_load(experiments, results, output), output)


@main.command()
@_paths
def reap(experiments: Path, results: Path) -> None:
    """Remove what interrupted runs of this checkout left behind."""
    from schedlab.testbed.reap import reap as run

    run(results)


@main.command("exec", context_settings={"ignore_unknown_options": True})
@_paths
@click.option("--cluster", required=True)
@click.option("--state", type=click.Choice(["provisioned", "configured"]), default="configured")
@click.option("--timing", type=Output(), help="File to write the time of the restore to, s.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def execute(
    experiments: Path,
    results: Path,
    cluster: str,
    state: str,
    timing: Path | None,
    command: tuple[str, ...],
) -> None:
    """Restore a cluster, run COMMAND (default: a shell) on this machine, and discard the cluster.

    In COMMAND, ``virsh list`` shows the nodes, and ``ssh -F $SCHEDLAB_SSH_CONFIG head`` logs in to
    the head. Other clusters of this machine wait until it ends, as it waits for them.
    """
    from schedlab.stages.stopped import require_configured

    context = _load(experiments, results, cluster=cluster)
    if state == "configured":
        require_configured(context, cluster)
    _enter_testbed(context, f"exec-{cluster}")
    from schedlab.stages.shell import run_with_cluster

    sys.exit(run_with_cluster(context, cluster, state, list(command), timing))


for command_ in bundle_commands.COMMANDS:
    main.add_command(command_)
