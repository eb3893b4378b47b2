"""Locks: between processes, users, and where there are none."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schedlab import locks
from schedlab.errors import SchedlabError
from schedlab.storage.marks import run_lock
from schedlab.testbed.supervisor import jobs_at_work, remove_abandoned, scratch_folder
from schedlab.toolchain.cache import Cache

HOLD = """
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from schedlab import locks

with locks.machine(Path(sys.argv[1])):
    print("has it", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that locks a file until its input ends; end it in any case."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_a_second_run_waits_for_the_machine_and_says_for_whom(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as first:
        assert first.stdin and first.stdout
        assert first.stdout.readline() == "has it\n"
        with holder(tmp_path / "lock") as second:
            assert second.stdout
            said = second.stdout.readline()
            assert said.startswith("NOTICE: waiting for the machine")
            assert f"process {first.pid} of " in said
            first.stdin.close()
            assert second.stdout.readline() == "has it\n"


def test_a_killed_run_leaves_no_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with holder(tmp_path / "lock") as first:
        assert first.stdout
        assert first.stdout.readline() == "has it\n"
        first.kill()
        first.wait()
    with locks.machine(tmp_path / "lock"):
        assert capsys.readouterr().out == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_lock_of_the_machine_serves_all_users() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o1777)
        path = Path(folder) / "lock"
        before = os.umask(0o077)
        try:
            with locks.machine(path):
                pass
        finally:
            os.umask(before)
        # In the way in which the module opens it, but another user may not read this Python.
        other = f"import os; os.open({str(path)!r}, os.O_RDONLY | os.O_NOFOLLOW)"
        become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        done = subprocess.run([*become, "/usr/bin/python3", "-I", "-c", other], capture_output=True)
        assert done.returncode == 0, done.stderr


def put(kind: str, path: Path) -> None:
    """Put something in the place of a lock, as another user may."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.parent / ("other" if kind == "link" else path.name))


KINDS = pytest.mark.parametrize("kind", ["link", "pipe", "folder", "loop"])


@KINDS
@pytest.mark.timeout(60)
def test_the_lock_of_the_machine_is_nothing_of_somebody(tmp_path: Path, kind: str) -> None:
    put(kind, tmp_path / "lock")
    with pytest.raises(SchedlabError, match="is no file"), locks.machine(tmp_path / "lock"):
        pass
    assert not (tmp_path / "other").exists()


@KINDS
@pytest.mark.timeout(60)
def test_the_lock_of_a_run_is_nothing_of_somebody(tmp_path: Path, kind: str) -> None:
    """A run would wait for ever at a pipe, and make the file that a link names."""
    put(kind, tmp_path / ".lock")
    with pytest.raises(SchedlabError, match="is no file"):
        run_lock(tmp_path)
    assert not (tmp_path / "other").exists()


@KINDS
@pytest.mark.timeout(60)
def test_the_lock_of_a_job_is_nothing_of_somebody(tmp_path: Path, kind: str) -> None:
    (tmp_path / "scratch" / "job").mkdir(parents=True)
    put(kind, tmp_path / "scratch" / "job" / "lock")
    assert remove_abandoned(tmp_path) == [] and jobs_at_work(tmp_path) == []
    assert not (tmp_path / "scratch" / "job" / "other").exists()


@pytest.mark.parametrize("link", ["scratch", "scratch/job"])
def test_a_link_among_jobs_leads_to_no_abandoned_job(tmp_path: Path, link: str) -> None:
    """Folders of others would be taken for those of jobs that have ended, and be removed."""
    other = tmp_path / "other"
    (other / "mine").mkdir(parents=True)
    (other / "mine" / "text").write_text("years of work")
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(other)
    assert remove_abandoned(tmp_path) == []
    assert sorted(other.rglob("*")) == [other / "mine", other / "mine" / "text"]


def test_without_locks_there_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    message = "cannot be locked: Function not implemented\n  remedy: put the results and the cache"
    with pytest.raises(SchedlabError, match=message), scratch_folder(tmp_path, "job"):
        pass
    with pytest.raises(SchedlabError, match=message), Cache(tmp_path).locked("name"):
        pass
