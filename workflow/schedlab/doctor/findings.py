"""Checks that this machine can run an experiment, before the first virtual machine starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from schedlab.doctor.host_checks import (
    HostNeeds,
    Problem,
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
    """Read the needs off an experiment, and off whether a system libvirt answers."""
    from schedlab.testbed.supervisor import resolve_uri

    largest = max(experiment.clusters(), key=lambda cluster: cluster.memory_total_mib)
    return HostNeeds(
        results=results,
        cache=Cache.default().root,
        disk_mib=experiment.limits.disk_mib,
        memory_mib=largest.memory_total_mib,
        guests=largest.nodes + 1,
        cidr=experiment.network.cidr,
        embedded=resolve_uri(experiment.libvirt.uri) == "embedded",
    )


def check_host(needs: HostNeeds) -> list[Problem]:
    """Find everything about this machine that stands in an experiment's way.

    Starts no virtual machine and changes nothing; takes about a second.

    Parameters
    ----------
    needs : HostNeeds
        What the experiment asks for.

    Returns
    -------
    list of Problem
        The fatal ones first.
    """
    checks: tuple[Callable[[HostNeeds], Iterator[Problem]], ...] = (
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
    """Refuse to start where the machine cannot run the experiment.

    Raises
    ------
    SchedlabError
        With every fatal problem.
    """
    fatal = [p for p in check_host(host_needs(experiment, results)) if p.fatal]
    if fatal:
        raise SchedlabError(
            "this machine cannot run the experiment as it is:\n" + "\n".join(map(str, fatal)),
            remedy="`make doctor` repeats these checks",
        )


def report_problems(experiment: Experiment, results: Path) -> int:
    """Print every problem; return the exit status (1 where one is fatal)."""
    found = check_host(host_needs(experiment, results))
    for problem in found:
        print(problem)
    fatal = sum(problem.fatal for problem in found)
    print(f"schedlab doctor: {fatal} problems, {len(found) - fatal} notes")
    return 1 if fatal else 0
