"""The collector of daemons' costs, on a made-up proc file system and real sdiag output."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from schedlab.schedulers import get_scheduler

PROGRAM = Path(__file__).resolve().parents[2] / "workflow/infrastructure/guest/schedlab_exporter.py"


def parsed(text: str) -> list[Sample]:
    return [s for family in text_string_to_metric_families(text) for s in family.samples]


SDIAG = """\
*******************************************************
sdiag output at Tue Nov 24 02:00:00 2026 (1795485600)
Data since      Tue Nov 24 00:00:00 2026 (1795478400)
*******************************************************
Server thread count:  1
Agent queue size:     0

Jobs submitted: 30
Jobs started:   30

Main schedule statistics (microseconds):
\tLast cycle:   120
\tMax cycle:    900
\tTotal cycles: 12
\tMean cycle:   180

Backfilling stats
\tTotal backfilled jobs (since last slurm start): 2
\tLast cycle when: N/A
\tLast cycle: 77

Remote Procedure Call statistics by message type
\tREQUEST_SUBMIT_BATCH_JOB                ( 4003) count:30     ave_time:800    total_time:24000
"""


@pytest.fixture(scope="module")
def exporter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("schedlab_exporter", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def process(
    proc: Path, pid: int, name: str, *, user: int, system: int, resident: int, start: int = 1000
) -> None:
    """A process as proc(5) shows it: times in ticks, memory in kB."""
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    fields = ["S", *["0"] * 10, str(user), str(system), *["0"] * 6, str(start), "0"]
    fields.append(str(resident // 4))  # pages
    (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (folder / "status").write_text(f"Name:\t{name}\nVmHWM:\t{resident * 2} kB\n")
    (folder / "cmdline").write_bytes(f"/usr/sbin/{name}\0-D\0".encode())


def test_an_idle_daemon_is_not_asked_for_its_peak_again(
    exporter: ModuleType, tmp_path: Path
) -> None:
    # 512 idle daemons on a carrier made a scrape take a quarter of an emulated processor.
    process(tmp_path, 1, "slurmd", user=100, system=0, resident=4000)
    process(tmp_path, 2, "slurmd", user=100, system=0, resident=4000)
    processes = exporter.Processes(["slurmd"], tmp_path)
    first = processes.read()
    (tmp_path / "1" / "status").unlink()
    assert processes.read() == first
    # One that has run may have grown, even if only for a moment; one may have grown within a tick.
    process(tmp_path, 1, "slurmd", user=101, system=0, resident=4000)
    (tmp_path / "1" / "status").write_text("VmHWM:\t9000 kB\n")
    assert processes.read()["slurmd"] == (2.01, 8000 * 1024, 9000 * 1024, 2, 2)
    process(tmp_path, 2, "slurmd", user=100, system=0, resident=5000)
    assert processes.read()["slurmd"] == (2.01, 9000 * 1024, 10_000 * 1024, 2, 2)


def test_of_many_daemons_those_that_ran_longest_are_asked_for_their_peaks(
    exporter: ModuleType, tmp_path: Path
) -> None:
    daemons = range(1, exporter.PEAKS + 11)
    for pid in daemons:
        process(tmp_path, pid, "slurmd", user=pid, system=0, resident=4000 - 4 * pid)
    processes = exporter.Processes(["slurmd"], tmp_path)
    memory = sum(4000 - 4 * pid for pid in daemons) * 1024
    _, resident, peak, count, _ = processes.read()["slurmd"]
    # The ten that ran shortest have the highest peaks, and their turn comes at the next scrape.
    assert (resident, peak, count) == (memory, (4000 - 4 * 11) * 2 * 1024, len(daemons))
    assert processes.read()["slurmd"][1:3] == (memory, (4000 - 4) * 2 * 1024)
    # A daemon that ended is forgotten, and its peak is not.
    for pid in daemons:
        (tmp_path / str(pid) / "stat").unlink()
    assert processes.read()["slurmd"][1:4] == (0, (4000 - 4) * 2 * 1024, 0)
    assert not processes.asked


def test_command_lines_are_read_only_where_they_may_tell_of_a_daemon(
    exporter: ModuleType, tmp_path: Path
) -> None:
    ticks = exporter.TICKS
    names = ["kube-apiserver", "kube-controller-manager", "flux-broker"]
    (tmp_path / "uptime").write_text("100.00 50.00\n")
    # A shell that has just started, and daemons: by its name, by the begin of it, by more than it.
    young = {5: "sh", 6: "kube-apiserver", 7: "kube-controller", 8: "flux-broker-0"}
    for pid, thread in young.items():
        process(tmp_path, pid, thread, user=ticks, system=0, resident=4, start=99 * ticks)
    process(tmp_path, 9, "renamed", user=ticks, system=0, resident=4, start=ticks)
    (tmp_path / "7" / "cmdline").write_bytes(b"")  # in the middle of its start
    (tmp_path / "8" / "cmdline").write_bytes(b"/usr/libexec/flux/cmd/flux-broker\0")
    (tmp_path / "9" / "cmdline").write_bytes(b"/usr/bin/kube-apiserver\0")
    for pid in (5, 6):
        (tmp_path / str(pid) / "cmdline").unlink()
    processes = exporter.Processes(names, tmp_path)
    assert [row[0] for row in processes.read().values()] == [2.0, 0.0, 1.0]
    # What a daemon executes is known from then on.
    (tmp_path / "7" / "cmdline").write_bytes(b"/usr/bin/kube-controller-manager\0")
    for pid in (8, 9):
        (tmp_path / str(pid) / "cmdline").unlink()
    assert [row[0] for row in processes.read().values()] == [2.0, 1.0, 1.0]


def test_costs_are_summed_by_name(exporter: ModuleType, tmp_path: Path) -> None:
    ticks = exporter.TICKS
    process(tmp_path, 10, "slurmctld", user=2 * ticks, system=ticks, resident=1000)
    process(tmp_path, 11, "slurmstepd", user=ticks, system=0, resident=20)
    process(tmp_path, 12, "slurmstepd", user=ticks, system=0, resident=20)
    process(tmp_path, 13, "bash", user=99 * ticks, system=0, resident=5000)
    (tmp_path / "self").mkdir()
    found = exporter.Processes(["slurmctld", "slurmstepd", "slurmd"], tmp_path).read()
    assert found["slurmctld"] == (3.0, 1000 * 1024, 2000 * 1024, 1, 1)
    assert found["slurmstepd"][0] == 2.0
    assert found["slurmstepd"][1] == 40 * 1024
    assert found["slurmstepd"][3] == 2
    assert found["slurmd"] == (0.0, 0, 0, 0, 0)
    assert "bash" not in found


def test_time_of_ended_processes_stays_in_the_sum(exporter: ModuleType, tmp_path: Path) -> None:
    ticks = exporter.TICKS
    reader = exporter.Processes(["slurmstepd"], tmp_path)
    process(tmp_path, 11, "slurmstepd", user=3 * ticks, system=0, resident=20)
    assert reader.read()["slurmstepd"][0] == 3.0
    # The same id, used again by a younger process.
    process(tmp_path, 11, "slurmstepd", user=ticks, system=0, resident=20, start=2000)
    assert reader.read()["slurmstepd"][0] == 4.0
    for file in (tmp_path / "11").iterdir():
        file.unlink()
    (tmp_path / "11").rmdir()
    found = reader.read()["slurmstepd"]
    assert found == (4.0, 0, 40 * 1024, 0, 2)


def test_names_with_brackets_and_spaces_do_not_confuse(
    exporter: ModuleType, tmp_path: Path
) -> None:
    process(tmp_path, 5, "a) S (b", user=1, system=1, resident=4)
    process(tmp_path, 6, "slurmd", user=exporter.TICKS, system=0, resident=4)
    assert exporter.Processes(["slurmd"], tmp_path).read()["slurmd"][0] == 1.0


def test_names_longer_than_the_kernel_keeps_are_found_by_the_command(
    exporter: ModuleType, tmp_path: Path
) -> None:
    ticks = exporter.TICKS
    names = ["kube-controller-manager", "vc-controller-manager", "containerd-shim-runc-v2"]
    for pid, name in enumerate([*names, "containerd", "kube-apiserver"], 20):
        process(tmp_path, pid, name, user=pid * ticks, system=0, resident=4)
        stat = (tmp_path / str(pid) / "stat").read_text()
        (tmp_path / str(pid) / "stat").write_text(stat.replace(name, name[:15]))
    found = exporter.Processes([*names, "containerd", "kube-apiserver"], tmp_path).read()
    assert [row[0] for row in found.values()] == [20, 21, 22, 23, 24]
    text = exporter.render(exporter.Processes(names, tmp_path), None)
    cost = get_scheduler("volcano").daemon_cost(parsed(text))
    assert {name: cost[name]["cpu_seconds"] for name in names} == dict(
        zip(names, [20.0, 21.0, 22.0], strict=True)
    )


def test_only_what_may_become_a_daemon_is_looked_at_again(
    exporter: ModuleType, tmp_path: Path
) -> None:
    ticks = exporter.TICKS
    (tmp_path / "uptime").write_text("100.00 50.00\n")
    reader = exporter.Processes(["slurmd"], tmp_path)
    process(tmp_path, 2, "kthreadd", user=0, system=0, resident=0, start=0)
    process(tmp_path, 3, "slurmd", user=ticks, system=0, resident=4, start=0)
    process(tmp_path, 4, "systemd", user=0, system=0, resident=4, start=99 * ticks)
    assert reader.read()["slurmd"][0] == 1.0
    assert reader.strangers == {"2"}
    # A process executes the daemon's program after its start. Daemons of any age are read.
    process(tmp_path, 4, "slurmd", user=2 * ticks, system=0, resident=4, start=99 * ticks)
    process(tmp_path, 3, "slurmd", user=3 * ticks, system=0, resident=4, start=0)
    assert reader.read()["slurmd"] == (5.0, 8192, 8192, 2, 2)
    # The id is free, and used again.
    for file in (tmp_path / "2").iterdir():
        file.unlink()
    (tmp_path / "2").rmdir()
    reader.read()
    process(tmp_path, 2, "slurmd", user=ticks, system=0, resident=4, start=100 * ticks)
    assert reader.read()["slurmd"][0] == 6.0


def test_a_process_that_ends_while_it_is_read_is_left_out(
    exporter: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "7").mkdir()
    assert exporter.Processes(["slurmd"], tmp_path).read()["slurmd"] == (0.0, 0, 0, 0, 0)


def test_counters_of_a_command(exporter: ModuleType) -> None:
    counters = exporter.parse_counters(SDIAG)
    assert counters["jobs_submitted"] == 30
    assert counters["server_thread_count"] == 1
    assert counters["last_cycle"] == 120
    assert counters["total_cycles"] == 12
    assert exporter.parse_counters("") == {}


def test_counters_are_served_under_the_metric_that_was_asked_for(
    exporter: ModuleType, tmp_path: Path
) -> None:
    counters = exporter.Counters("schedlab_slurm_sdiag", "sdiag", 5.0)
    processes = exporter.Processes([], tmp_path)
    assert "sdiag" not in exporter.render(processes, counters)
    counters.counters = exporter.parse_counters(SDIAG)
    text = exporter.render(processes, counters)
    assert "# TYPE schedlab_slurm_sdiag gauge\n" in text
    assert 'schedlab_slurm_sdiag{counter="jobs_submitted"} 30\n' in text


def test_the_adapter_reads_what_the_collector_serves(exporter: ModuleType, tmp_path: Path) -> None:
    process(tmp_path, 10, "slurmctld", user=exporter.TICKS, system=0, resident=1000)
    text = exporter.render(exporter.Processes(["slurmctld", "munged"], tmp_path), None)
    assert all(list(sample.labels) == ["process"] for sample in parsed(text))
    cost = get_scheduler("slurm").daemon_cost(parsed(text))
    assert cost["slurmctld"] == {
        "cpu_seconds": 1.0,
        "rss_bytes": 1000 * 1024,
        "peak_rss_bytes": 2000 * 1024,
        "processes": 1.0,
        "starts": 1.0,
    }


def unit(
    root: Path,
    name: str,
    usage: int,
    memory: int = 0,
    peak: int = 0,
    quota: tuple[int, int, int] | None = None,
) -> Path:
    """Control group of a service as the kernel shows it: microseconds and bytes."""
    folder = root / "system.slice" / f"{name}.service"
    folder.mkdir(parents=True, exist_ok=True)
    lines = f"usage_usec {usage}\nuser_usec {usage}\nsystem_usec 0\ncore_sched.force_idle_usec 0\n"
    if quota:
        names = ("nr_periods", "nr_throttled", "throttled_usec")
        lines += "".join(f"{key} {value}\n" for key, value in zip(names, quota, strict=True))
    (folder / "cpu.stat").write_text(lines)
    if memory:
        (folder / "memory.current").write_text(f"{memory}\n")
        (folder / "memory.peak").write_text(f"{peak}\n")
    return folder


def test_costs_of_units_come_from_their_control_groups(
    exporter: ModuleType, tmp_path: Path
) -> None:
    unit(tmp_path, "slurmctld", 1_500_000, 4096, 8192, (300, 270, 2_500_000))
    unit(tmp_path, "munge", 250_000)
    unit(tmp_path, "ssh", 99_000_000, 1, 1)
    units = exporter.Units(["slurmctld", "munge", "slurmrestd"], tmp_path)
    assert units.read() == {
        "slurmctld": (1.5, 4096, 8192, 300, 270, 2.5),
        "munge": (0.25, None, None, None, None, None),
    }
    text = exporter.render(exporter.Processes([], tmp_path), None, units)
    cost = get_scheduler("slurm").unit_cost(parsed(text))
    assert cost == {
        "slurmctld": {
            "cpu_seconds": 1.5,
            "memory_bytes": 4096,
            "peak_memory_bytes": 8192,
            "periods": 300.0,
            "throttled_periods": 270.0,
            "throttled_seconds": 2.5,
        },
        "munge": {"cpu_seconds": 0.25},
    }
    assert "ssh" not in text
    # Figures of units and of processes stay apart.
    assert not get_scheduler("slurm").daemon_cost(parsed(text))


def test_a_unit_that_ends_while_it_is_read_is_left_out(
    exporter: ModuleType, tmp_path: Path
) -> None:
    folder = unit(tmp_path, "munge", 1, 1, 1)
    (folder / "memory.current").unlink()
    assert exporter.Units(["munge"], tmp_path).read() == {"munge": (1e-06, None, 1, *[None] * 3)}
    (folder / "cpu.stat").unlink()
    assert exporter.Units(["munge"], tmp_path).read() == {}


@pytest.mark.parametrize("address", ["", "127.0.0.2"])
def test_it_serves_over_http(address: str) -> None:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    where = f"{address or '127.0.0.1'}:{port}"
    words = [*(["--address", address] if address else []), "--port", str(port)]
    served = subprocess.Popen([sys.executable, PROGRAM, *words, "--processes", "none"])
    try:
        for _ in range(1000):
            try:
                answer = urllib.request.urlopen(f"http://{where}/metrics", timeout=60)
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        with answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            body = answer.read().decode()
        assert 'schedlab_process_cpu_seconds_total{process="none"} 0.0' in body
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{where}/else", timeout=60)
        if address:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=60)
    finally:
        served.terminate()
        served.wait()
