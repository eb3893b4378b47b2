from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import libvirt
import psutil
import pytest

from schedlab.errors import SchedlabError
from schedlab.stages.collect import fetch_script, parse_stamps, unpack
from schedlab.stages.guests import emulator_user
from schedlab.testbed import embedded, session, supervisor
from schedlab.testbed import host_load as host
from schedlab.testbed.prometheus import read_exporter, scrape_config
from schedlab.testbed.session import domain_pid, identity_of, open_testbed
from schedlab.testbed.snapshot import disk_files, redirect_devices
from schedlab.testbed.supervisor import remove_abandoned, scratch_folder

DOMAIN = """\
<domain type='qemu'><name>schedlab-0-c-head</name><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='/old/head.qcow2' index='2'/><backingStore type='file'><source file='/old/base'/>
</backingStore><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><source file='/old/seed.iso'/>
<target dev='vdb' bus='virtio'/></disk>
<serial type='pty'><source path='/dev/pts/3'/><log file='/old/head.log' append='off'/></serial>
</devices></domain>"""


def test_restored_domains_use_new_files_and_nothing_else_changes(tmp_path: Path) -> None:
    xml = redirect_devices(DOMAIN, tmp_path / "d", tmp_path / "s", tmp_path / "c")
    assert disk_files(xml) == {"vda": tmp_path / "d", "vdb": tmp_path / "s"}
    assert "/old/" not in xml and "backingStore" not in xml
    root = ElementTree.fromstring(xml)
    assert root.find("./devices/serial/source").attrib == {"path": "/dev/pts/3"}  # type: ignore[union-attr]
    assert root.findtext("name") == "schedlab-0-c-head"


def test_stamps_with_a_torn_last_line() -> None:
    text = "first 0 0 100 compute1 2\nlast 0 0 200 compute1 2\nfirst 1 0 3"
    rows = list(parse_stamps("compute1", text))
    assert [(r["event"], r["clock_ns"]) for r in rows] == [("first", 100), ("last", 200)]


@contextmanager
def served(status: int, text: str) -> Iterator[int]:
    """Serve one text on a port of the loopback address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_exporter_text_is_parsed() -> None:
    text = '# HELP x y\nx{a="b} c\\"",d="1,2"} 1.5\ny 2e3\n# TYPE z_total counter\nz_total 3\n'
    with served(200, text) as port:
        found = read_exporter("127.0.0.1", port)
    assert [(sample.name, sample.labels, sample.value) for sample in found] == [
        ("x", {"a": 'b} c"', "d": "1,2"}, 1.5),
        ("y", {}, 2000.0),
        ("z_total", {}, 3.0),
    ]


@pytest.mark.parametrize(
    ("status", "text"), [(500, "x 1\n"), (200, "x one\n"), (200, '{"a": 1}\n'), (200, "# TYPE x\n")]
)
def test_an_exporter_that_serves_no_metrics_is_named(status: int, text: str) -> None:
    with (
        served(status, text) as port,
        pytest.raises(SchedlabError, match=rf":{port}/metrics .*: \S") as caught,
    ):
        read_exporter("127.0.0.1", port)
    assert "exporter" in str(caught.value.remedy)


def test_scrape_configuration_names_nodes_not_addresses() -> None:
    config = scrape_config([("node", "head", "10.0.100.10", 9100)], 0.5, "slurm-n1")
    assert config["global"] == {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
    assert config["scrape_configs"][0]["static_configs"] == [  # type: ignore[index]
        {"targets": ["10.0.100.10:9100"], "labels": {"instance": "head", "cluster": "slurm-n1"}}
    ]


def test_host_readings_are_subtracted() -> None:
    start = {"load": 1.0, "processor": {"busy": 5.0, "steal": 1.0}}
    end = {"load": 3.0, "processor": {"busy": 9.0, "steal": 1.5}}
    assert host.difference(start, end) == {"load": 2.0, "processor": {"busy": 4.0, "steal": 0.5}}
    assert host.sample({"self": os.getpid()})["emulators"]["self"]["run_seconds"] > 0


def test_scratch_folders_of_the_dead_are_removed_and_of_the_living_kept(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, "alive") as scratch:
        dead = scratch.parent / "dead-1"
        dead.mkdir()
        (dead / "lock").touch()
        killed_early = scratch.parent / ".killed-2"
        killed_early.mkdir()
        assert remove_abandoned(tmp_path) == [killed_early, dead]
        assert list(scratch.parent.iterdir()) == [scratch]
    assert not scratch.exists()


REMOVE = """
import sys
from pathlib import Path
from schedlab.testbed.supervisor import remove_abandoned
print(len(remove_abandoned(Path(sys.argv[1]))))
"""


@pytest.mark.parametrize("step", ["mkdir", "open", "flock", "rename"])
def test_a_parallel_job_that_cleans_up_at_any_step_does_not_take_a_new_scratch_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Another process looks for abandoned folders just after one step of making a folder."""
    owner = fcntl if step == "flock" else Path
    genuine = getattr(owner, step)
    removed: list[int] = []

    def then_the_other_job(*arguments: Any, **options: Any) -> Any:
        done = genuine(*arguments, **options)
        if any((tmp_path / "scratch").glob("*")) and not removed:
            removed.append(0)
            other = subprocess.run(
                [sys.executable, "-c", REMOVE, str(tmp_path)],
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            )
            removed[0] = int(other.stdout)
        return done

    monkeypatch.setattr(owner, step, then_the_other_job)
    with scratch_folder(tmp_path, "new") as scratch:
        monkeypatch.undo()
        assert removed == [1 if step in {"mkdir", "open"} else 0]
        assert (scratch / "lock").exists()
        assert remove_abandoned(tmp_path) == []
        assert list(scratch.parent.iterdir()) == [scratch]


JOB = """
import subprocess, sys, time
from pathlib import Path
from schedlab.testbed import embedded, session, supervisor
if supervisor.INSIDE in __import__("os").environ:
    child = subprocess.Popen(["sleep", "4711.25"], start_new_session=True)
    Path(sys.argv[1]).touch()
    time.sleep(600)
with supervisor.interruptible(), supervisor.scratch_folder(Path(sys.argv[2]), "job") as scratch:
    supervisor.run_embedded([sys.executable, __file__, *sys.argv[1:]], scratch)
"""


def sleepers() -> list[psutil.Process]:
    return [
        p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "4711.25"]
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes namespaces")
@pytest.mark.skipif(not shutil.which("tini"), reason="needs tini")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_in_the_namespace_outlives_its_job(tmp_path: Path, number: int) -> None:
    script, ready = tmp_path / "job.py", tmp_path / "ready"
    script.write_text(JOB)
    job = subprocess.Popen([sys.executable, str(script), str(ready), str(tmp_path)])
    deadline = time.monotonic() + 120
    while not ready.exists():
        assert job.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    assert len(sleepers()) == 1
    job.send_signal(number)
    job.wait(300)
    deadline = time.monotonic() + 120
    while sleepers():
        assert time.monotonic() < deadline, "a process outlived its job"
        time.sleep(0.05)
    left = remove_abandoned(tmp_path)
    assert len(left) == (0 if number == signal.SIGTERM else 1)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_records_come_as_one_archive_and_failures_are_named(tmp_path: Path) -> None:
    kept = tmp_path / "kept.log"
    kept.write_bytes(b"bytes\x00\xff")
    script = fetch_script(
        {"echo.txt": ["echo", "two words"], "bad.txt": ["sh", "-c", "echo no >&2; exit 3"]},
        {"kept.log": str(kept), "absent.log": str(tmp_path / "absent")},
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    names = ["echo.txt", "bad.txt", "kept.log", "absent.log"]
    problems = unpack(done.stdout, tmp_path / "out", names)
    assert (tmp_path / "out" / "echo.txt").read_text() == "two words\n"
    assert (tmp_path / "out" / "kept.log").read_bytes() == kept.read_bytes()
    assert len(problems) == 2
    assert problems[0] == "bad.txt could not be taken: no"
    assert "absent.log" in problems[1]


def test_domain_pid(tmp_path: Path) -> None:
    (tmp_path / "d.pid").write_text("4711")
    assert domain_pid("d", tmp_path) == 4711
    with pytest.raises(SchedlabError, match="no process id of domain e"):
        domain_pid("e", tmp_path)


def test_the_identity_moves_with_the_results(tmp_path: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    first.mkdir()
    other.mkdir()
    name = identity_of(first, keep=True)
    assert identity_of(other) != name
    first.rename(tmp_path / "moved")
    assert identity_of(tmp_path / "moved") == name
    # What somebody wrote into the file is no name for libvirt.
    (other / ".identity").write_text("../../x\n")
    assert re.fullmatch("[0-9a-f]{8}", identity_of(other))


def test_a_folder_that_was_made_again_while_its_lock_was_waited_for_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock that the remover gets is then that of the folder that is gone."""
    folder = tmp_path / "scratch/job-1"
    folder.mkdir(parents=True)

    def another_removes_and_a_third_makes(_handle: object, **_options: bool) -> bool:
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / supervisor.LOCK).touch()
        return True

    monkeypatch.setattr(supervisor.locks, "lock", another_removes_and_a_third_makes)
    assert remove_abandoned(tmp_path) == []
    assert folder.is_dir()


def dies_after(calls: int) -> Callable[..., list[str]]:
    """Removal of libvirt's objects whose connection is lost after some calls."""
    left = [calls]

    def remove(*_: object) -> list[str]:
        left[0] -= 1
        if left[0] < 0:
            raise libvirt.libvirtError("client socket is closed")
        return []

    return remove


@pytest.mark.parametrize(("inside", "fails"), [("embedded", 2), ("embedded", 0), ("system", 1)])
def test_a_libvirt_daemon_that_dies_is_told_and_is_no_traceback(
    inside: str, fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of an embedded one ends with the testbed, so that its end needs no daemon."""
    monkeypatch.setenv(supervisor.INSIDE, inside)
    monkeypatch.setenv(supervisor.SCRATCH, str(tmp_path))
    monkeypatch.setattr(embedded, "prepare_namespace", lambda *_, **__: None)
    uri = "test:///default"
    monkeypatch.setattr(embedded, "libvirt_daemon", lambda _: contextlib.nullcontext(uri))
    works = inside == "embedded" and fails
    monkeypatch.setattr(session, "remove_objects", dies_after(1 if works else fails))
    told = contextlib.nullcontext() if works else pytest.raises(SchedlabError, match="^libvirt: ")
    with told, open_testbed(uri, tmp_path, "job"):
        pass


def test_the_user_of_qemu_is_recorded_with_the_reason() -> None:
    user = psutil.Process().username()
    own = emulator_user({"head": os.getpid(), "compute1": os.getpid()}, own=True)
    assert own == {"user": user, "why": embedded.WHY_ROOT}
    # The reason is that of the configuration that the job's own libvirtd gets.
    assert 'user = "root"' in embedded.QEMU_CONF and "root alone" in embedded.WHY_ROOT
    other = emulator_user({"head": os.getpid()}, own=False)
    assert other["user"] == user and "qemu.conf" in other["why"]
    assert emulator_user({}, own=True) == {}


def test_root_has_a_libvirtd_of_its_own_beside_the_machines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Debian 13 starts one at the next boot; its QEMU may not enter root's folders."""
    monkeypatch.setattr(supervisor, "system_libvirt_answers", lambda: True)
    monkeypatch.setattr(supervisor.os, "geteuid", lambda: 0)
    assert supervisor.resolve_uri("auto") == "embedded"
    assert supervisor.resolve_uri("qemu:///system") == "qemu:///system"
    monkeypatch.setattr(supervisor.os, "geteuid", lambda: 1000)
    assert supervisor.resolve_uri("auto") == "qemu:///system"
    monkeypatch.setattr(supervisor, "system_libvirt_answers", lambda: False)
    assert supervisor.resolve_uri("auto") == "embedded"
