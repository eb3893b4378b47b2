"""Links and named pipes of others in the places of files: neither followed nor waited for."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from schedlab.cli.log import keep
from schedlab.errors import SchedlabError
from schedlab.results.series import read_series, write_series
from schedlab.stages import collect
from schedlab.stages.provision import keep_consoles
from schedlab.testbed.session import identity_of
from schedlab.toolchain.cache import Cache
from schedlab.watch.sight import _last_lines

pytestmark = pytest.mark.timeout(60)
KINDS = pytest.mark.parametrize("kind", ["link", "pipe"])


def put(kind: str, path: Path) -> Path:
    """Put a link to a file of the user, or a pipe, at a path; return that file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    victim = path.with_name("victim")
    victim.write_text("years of work")
    if kind == "pipe":
        os.mkfifo(path)
    else:
        # Absolute, so that it leads there wherever it is moved.
        path.symlink_to(victim)
    return victim


def _samples(folder: Path) -> None:
    write_series(folder / "file", [])


def _unpacked(folder: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    collect.unpack(archive.getvalue(), folder, ["file"])


def _stamps(folder: Path) -> None:
    (folder / "stamps.jsonl").unlink(missing_ok=True)
    (folder / "file").rename(folder / "stamps.jsonl")
    done = SimpleNamespace(returncode=0, stdout=_empty(), stderr=b"")
    head = SimpleNamespace(
        name="head", role="head", read=lambda _: b"", command=lambda *_: ["true"]
    )
    scheduler = SimpleNamespace(native_commands=dict, native_files=dict)
    run, collect.processes.run = collect.processes.run, lambda *_, **__: done
    try:
        collect.collect(cast(Any, scheduler), cast(Any, {"head": head}), folder)
    finally:
        collect.processes.run = run


def _empty() -> bytes:
    archive = io.BytesIO()
    tarfile.open(fileobj=archive, mode="w").close()
    return archive.getvalue()


def _identity(folder: Path) -> None:
    (folder / "file").rename(folder / ".identity")
    identity_of(folder, keep=True)


def _console(folder: Path) -> None:
    logs = folder / "logs" / "consoles" / "c"
    logs.mkdir(parents=True)
    (folder / "file").rename(logs / "n.log")
    (folder / "scratch" / "c").mkdir(parents=True)
    (folder / "scratch" / "c" / "n.log").write_text("booting")
    keep_consoles(
        cast(Any, SimpleNamespace(scratch=folder / "scratch")),
        "c",
        cast(Any, SimpleNamespace(results=folder)),
    )


def _log(folder: Path) -> None:
    keep(folder / "file")


def _entry(folder: Path) -> None:
    (folder / "locks").mkdir()
    (folder / "file").rename(folder / "locks" / "x.lock")
    with Cache(folder).locked("x"):
        pass


def _in_use(folder: Path) -> None:
    (folder / "locks").mkdir()
    (folder / "file").rename(folder / "locks" / "in-use.lock")
    Cache(folder).keep()


WRITERS = (_samples, _unpacked, _stamps, _identity, _console, _log, _entry, _in_use)


@KINDS
@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_what_is_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, write: Callable[[Path], None]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a line\n")))
    victim = put(kind, tmp_path / "file")
    with pytest.raises(SchedlabError, match="is a symbolic link|is a named pipe|is no file"):
        write(tmp_path)
    assert victim.read_text() == "years of work"
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".file.")]


def test_a_pipe_in_the_place_of_samples_or_of_a_log_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "samples.json.gz")
    with pytest.raises(SchedlabError, match="it is not a file"):
        list(read_series(tmp_path / "samples.json.gz"))
    assert _last_lines(tmp_path, "samples.json.gz") == []


def test_a_longer_log_of_before_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a line\n")))
    (tmp_path / "log").write_text("many lines of the run before\n")
    keep(tmp_path / "log")
    assert (tmp_path / "log").read_text() == "a line\n"
