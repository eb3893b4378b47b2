"""The payload that every job runs: its stamps, its refusals, and that it is built the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from schedlab.images.payload import compile_program


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    return compile_program(
        "schedlab_payload", tmp_path_factory.mktemp("payload") / "schedlab-payload"
    )


def stamps(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()]


@pytest.mark.parametrize("mode", ["sleep", "spin"])
def test_payload_stamps_its_first_and_last_instant(
    payload: Path, tmp_path: Path, mode: str
) -> None:
    file = tmp_path / "stamps.txt"
    before = time.time_ns()
    subprocess.run([payload, file, "12", "3", "0.2", mode], check=True)
    after = time.time_ns()
    first, last = stamps(file)
    assert first[:3] == ["first", "12", "3"]
    assert last[:3] == ["last", "12", "3"]
    assert before <= int(first[3]) < int(last[3]) <= after
    assert int(last[3]) - int(first[3]) >= 0.2e9 - 1e6
    assert first[4:] == last[4:] == [os.uname().nodename, str(len(os.sched_getaffinity(0)))]


def test_payload_lets_every_user_stamp_whatever_the_umask(payload: Path, tmp_path: Path) -> None:
    file = tmp_path / "stamps.txt"
    subprocess.run([payload, file, "1", "0", "0", "sleep"], check=True, umask=0o077)
    assert file.stat().st_mode & 0o777 == 0o666


def test_stamps_of_many_payloads_do_not_mix(payload: Path, tmp_path: Path) -> None:
    file = tmp_path / "stamps.txt"
    running = [subprocess.Popen([payload, file, str(job), "0", "0", "sleep"]) for job in range(100)]
    assert all(process.wait() == 0 for process in running)
    rows = stamps(file)
    assert len(rows) == 200
    assert {(row[0], row[1]) for row in rows} == {
        (event, str(job)) for job in range(100) for event in ("first", "last")
    }


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["f", "1", "0", "0"], 64),
        (["f", "x", "0", "0", "sleep"], 64),
        (["f", "1", "-1", "0", "sleep"], 64),
        (["f", "1", "0", "-1", "sleep"], 64),
        (["f", "1", "0", "nan", "sleep"], 64),
        (["f", "1", "0", "0", "idle"], 64),
        (["absent/f", "1", "0", "0", "sleep"], 74),
    ],
)
def test_payload_refuses_nonsense(
    payload: Path, tmp_path: Path, arguments: list[str], status: int
) -> None:
    done = subprocess.run([payload, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status
    assert done.stderr
    assert not (tmp_path / "f").exists()


def test_payload_is_static_and_the_same_each_time(payload: Path, tmp_path: Path) -> None:
    again = compile_program("schedlab_payload", tmp_path / "elsewhere" / "again")
    assert again.read_bytes() == payload.read_bytes()
    # A dynamic program names its loader.
    assert not re.search(rb"/ld-linux[-\w]*\.so", payload.read_bytes())
