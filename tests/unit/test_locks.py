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
from schedlab.testbed.supervisor import scratch_folder
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


def test_the_lock_of_the_machine_is_no_link_of_somebody(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"), locks.machine(tmp_path / "lock"):
        pass
    assert not (tmp_path / "other").exists()


def test_without_locks_there_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    message = "cannot be locked: Function not implemented\n  remedy: put the results and the cache"
    with pytest.raises(SchedlabError, match=message), scratch_folder(tmp_path, "job"):
        pass
    with pytest.raises(SchedlabError, match=message), Cache(tmp_path).locked("name"):
        pass
