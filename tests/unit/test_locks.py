"""Locks: between processes, users, and where there are none."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schedlab import locks
from schedlab.errors import SchedlabError
from schedlab.testbed.supervisor import scratch_folder
from schedlab.toolchain.cache import Cache

HOLD = """
import sys
from pathlib import Path
from schedlab import locks

with locks.machine(sys.argv[2], Path(sys.argv[1])):
    print("has it", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path, name: str, *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", HOLD, str(folder), name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_second_run_waits_for_the_machine_and_says_for_whom(tmp_path: Path) -> None:
    with holder(tmp_path, "/srv/a: trial") as first:
        assert first.stdin and first.stdout
        assert first.stdout.readline() == "has it\n"
        with holder(tmp_path, "b") as second:
            assert second.stdin and second.stdout
            said = second.stdout.readline()
            assert said.startswith("NOTICE: waiting for the machine: /srv/a: trial (process ")
            first.stdin.close()
            assert second.stdout.readline() == "has it\n"
            second.stdin.close()


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path, "a") as first:
        assert first.stdout
        assert first.stdout.readline() == "has it\n"
        first.kill()
    with locks.machine("b", tmp_path):
        assert (tmp_path / "schedlab.lock").read_text().startswith("b (process ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_lock_of_the_machine_serves_all_users(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("locks")
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o1777 if above == folder else 0o755)
    with locks.machine("root's", folder):
        pass
    handle = os.open(folder / "schedlab.lock", os.O_RDONLY)
    try:
        other = f"open({str(folder / 'schedlab.lock')!r}, 'r+')"
        become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        done = subprocess.run([*become, "/usr/bin/python3", "-I", "-c", other], capture_output=True)
        assert done.returncode == 0, done.stderr
    finally:
        os.close(handle)


def test_without_locks_there_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    message = "cannot be locked: Function not implemented\n  remedy: put the results and the cache"
    with pytest.raises(SchedlabError, match=message), scratch_folder(tmp_path, "job"):
        pass
    with pytest.raises(SchedlabError, match=message), Cache(tmp_path).locked("name"):
        pass
