"""Checks that this machine can run an experiment, before the first virtual machine starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from schedlab.doctor.host_checks import (
    HostNeeds,
    HostProblem,
    check_disk,
    check_kvm,
    check_limits,
    check_memory,
    check_network,
    check_privileges,
    check_tap,
    check_tools,
)
from schedlab.errors import SchedlabError
from schedlab.toolchain.cache import Cache

if TYPE_CHECKING:
    from schedlab.config import Experiment


def host_needs(experiment: Experiment, results: Path) -> HostNeeds:
    """Return what an experiment needs of the machine.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    results : pathlib.Path
        Results folder that it will use.
    """
    from schedlab.testbed.supervisor import resolve_uri

    largest = max(experiment.clusters(), key=lambda cluster: cluster.memory_total_mib)
    return HostNeeds(
        results=results,
        cache=Cache.default().root,
        disk_mib=experiment.limits.disk_mib,
        memory_mib=largest.memory_total_mib,
        guests=largest.machines_beside_head + 1,
        cidr=experiment.network.cidr,
        lower="virtual.carrier.memory, head.memory or virtual.carriers"
        if largest.virtual
        else HostNeeds.lower,
        embedded=resolve_uri(experiment.libvirt.uri) == "embedded",
    )


def check_host(needs: HostNeeds) -> list[HostProblem]:
    """Find everything about this machine that prevents an experiment from running.

    The checks take about a second. They start no virtual machine and change nothing.

    Parameters
    ----------
    needs : HostNeeds
        What the experiment needs.

    Returns
    -------
    list of HostProblem
        Fatal problems first.
    """
    checks: tuple[Callable[[HostNeeds], Iterator[HostProblem]], ...] = (
        check_tools,
        check_privileges,
        check_tap,
        check_network,
        check_memory,
        check_disk,
        check_limits,
        check_kvm,
    )
    found = [problem for check in checks for problem in check(needs)]
    return sorted(found, key=lambda problem: not problem.fatal)


def require_host(experiment: Experiment, results: Path) -> None:
    """Check that the machine can run an experiment.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    results : pathlib.Path
        Results folder that it will use.

    Raises
    ------
    SchedlabError
        There are fatal problems. The message contains all of them.
    """
    fatal = [p for p in check_host(host_needs(experiment, results)) if p.fatal]
    if fatal:
        raise SchedlabError(
            "this machine cannot run the experiment as it is:\n" + "\n".join(map(str, fatal)),
            remedy="`make doctor` repeats these checks",
        )


def report_problems(experiment: Experiment, results: Path) -> int:
    """Print every problem, and return the exit status: 1 if one is fatal, else 0."""
    found = check_host(host_needs(experiment, results))
    for problem in found:
        print(problem)
    fatal = sum(problem.fatal for problem in found)
    print(f"schedlab doctor: {fatal} problems, {len(found) - fatal} notes")
    return 1 if fatal else 0
