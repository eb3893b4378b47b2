"""The checks of the machine: each names what is wrong, why it matters and what to do."""

from __future__ import annotations

import ipaddress
import os
import resource
import subprocess
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from schedlab.design import load_experiment
from schedlab.doctor import findings as doctor
from schedlab.doctor import host_checks
from schedlab.doctor.host_checks import HostNeeds, HostProblem
from schedlab.errors import SchedlabError
from schedlab.toolchain.tools import Requirement

ROOT = Path(__file__).parents[2]


@pytest.fixture
def needs(tmp_path: Path) -> HostNeeds:
    return HostNeeds(
        results=tmp_path / "results",
        cache=tmp_path / "cache",
        disk_mib=10,
        memory_mib=64,
        guests=2,
        cidr="10.0.100.0/24",
        embedded=True,
    )


def only(problems) -> HostProblem:
    (problem,) = problems
    assert problem.what
    assert problem.why
    assert problem.remedy
    return problem


def test_memory(needs: HostNeeds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_checks, "available_memory_mib", lambda: 364)
    assert list(host_checks.check_memory(needs)) == []  # 64 MiB + 2 x 150 MiB
    monkeypatch.setattr(host_checks, "available_memory_mib", lambda: 363)
    problem = only(host_checks.check_memory(needs))
    assert problem.fatal
    assert "363 MiB of memory are free, the largest cluster needs 364 MiB" in problem.what


def test_memory_of_a_container(tmp_path: Path) -> None:
    assert host_checks.available_memory_mib(tmp_path) > 0
    (tmp_path / "memory.current").write_text(f"{2**20}\n")
    (tmp_path / "memory.max").write_text("max\n")
    unlimited = host_checks.available_memory_mib(tmp_path)
    (tmp_path / "memory.max").write_text(f"{3 * 2**20}\n")
    assert host_checks.available_memory_mib(tmp_path) == 2
    assert unlimited > 2


def test_disk_counts_what_is_there(needs: HostNeeds, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(host_checks.shutil, "disk_usage", lambda _: usage(0, 0, 7 * 2**20))
    problem = only(host_checks.check_disk(needs))
    assert "7 MiB of disk are free" in problem.what
    assert "results and cache need 10 MiB more" in problem.what
    needs.results.mkdir()
    (needs.results / "data").write_bytes(os.urandom(4 * 2**20))
    os.sync()
    assert list(host_checks.check_disk(needs)) == []


def test_used_disk_counts_links_once_and_holes_not(tmp_path: Path) -> None:
    with (tmp_path / "hole").open("wb") as handle:
        handle.truncate(2**30)
    (tmp_path / "data").write_bytes(os.urandom(2**20))
    (tmp_path / "link").hardlink_to(tmp_path / "data")
    os.sync()
    assert host_checks.used_mib(tmp_path) == 1


def test_network_of_a_system_libvirt_must_be_free(
    needs: HostNeeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [
        ("interface eth0", ipaddress.IPv4Network("10.0.0.0/16")),
        ("interface lo", ipaddress.IPv4Network("127.0.0.0/8")),
    ]
    default = [("route through eth0", ipaddress.IPv4Network("0.0.0.0/0"))]
    monkeypatch.setattr(host_checks, "interface_networks", lambda: iter(taken))
    monkeypatch.setattr(host_checks, "routed_networks", lambda: iter(default))
    assert list(host_checks.check_network(needs)) == []  # a namespace is empty
    problem = only(host_checks.check_network(replace(needs, embedded=False)))
    assert "10.0.100.0/24 is taken: interface eth0 has 10.0.0.0/16" in problem.what
    assert "network.cidr" in problem.remedy
    free = replace(needs, embedded=False, cidr="10.9.0.0/24")
    assert list(host_checks.check_network(free)) == []


def test_routes_are_read(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "virbr0\t0064000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert list(host_checks.routed_networks(table)) == [
        ("route through eth0", ipaddress.IPv4Network("0.0.0.0/0")),
        ("route through virbr0", ipaddress.IPv4Network("10.0.100.0/24")),
    ]
    assert list(host_checks.routed_networks(tmp_path / "none")) == []


def test_missing_tools(needs: HostNeeds, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = {Requirement("libvirtd", "libvirt-daemon", "manages the guests"): "is not installed"}
    monkeypatch.setattr(host_checks, "missing", lambda: lacking)
    problem = only(host_checks.check_tools(needs))
    assert problem.what == "libvirtd is not installed"
    assert "apt-get install libvirt-daemon" in problem.remedy


def test_ordinary_user_is_told_to_be_root(
    needs: HostNeeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_checks.os, "geteuid", lambda: 1000)
    assert "sudo" in only(host_checks.check_privileges(needs)).remedy


@pytest.mark.parametrize(
    ("status", "what"),
    [(0, None), (1, "unshare"), (13, "bridge"), (14, "tap device")],
)
def test_namespace_probe_tells_the_step(
    monkeypatch: pytest.MonkeyPatch, status: int, what: str | None
) -> None:
    def run(*arguments: object, **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], status, "", "not permitted")

    monkeypatch.setattr(host_checks.processes, "run", run)
    problem = host_checks.probe_namespaces()
    if what is None:
        assert problem is None
    else:
        assert problem is not None
        assert what in problem.what
        assert "not permitted" in problem.what


def test_open_files(needs: HostNeeds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_checks.resource, "getrlimit", lambda _: (256, 256))
    assert "256" in next(iter(host_checks.check_limits(needs))).what
    infinity = resource.RLIM_INFINITY
    monkeypatch.setattr(host_checks.resource, "getrlimit", lambda _: (infinity, infinity))
    assert all("files" not in problem.what for problem in host_checks.check_limits(needs))


def test_kvm_is_only_a_note(needs: HostNeeds) -> None:
    assert not only(host_checks.check_kvm(needs)).fatal


@pytest.fixture
def two_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tools", "privileges", "tap", "network", "disk", "limits"):
        monkeypatch.setattr(doctor, f"check_{name}", lambda _: iter(()))
    note, fatal = HostProblem("n", "why", "do", fatal=False), HostProblem("f", "why", "do")
    monkeypatch.setattr(doctor, "check_kvm", lambda _: iter((note,)))
    monkeypatch.setattr(doctor, "check_memory", lambda _: iter((fatal,)))


def test_all_findings_are_reported_fatal_ones_first(
    two_findings: None, needs: HostNeeds, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert [problem.fatal for problem in doctor.check_host(needs)] == [True, False]
    experiment = load_experiment(ROOT / "config/experiments.yaml")
    assert doctor.report_problems(experiment, tmp_path) == 1
    assert "1 problems, 1 notes" in capsys.readouterr().out
    with pytest.raises(SchedlabError, match="problem: f"):
        doctor.require_host(experiment, tmp_path)


def test_needs_are_those_of_the_largest_cluster(tmp_path: Path) -> None:
    experiment = load_experiment(ROOT / "config/experiments.yaml")
    needs = doctor.host_needs(experiment, tmp_path)
    largest = max(experiment.clusters(), key=lambda cluster: cluster.nodes)
    assert needs.guests == largest.nodes + 1
    assert needs.memory_mib == largest.memory_total_mib
    assert needs.cidr == experiment.network.cidr
