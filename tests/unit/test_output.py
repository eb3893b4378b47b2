"""Files that are written into folders which others may have made."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.figures.style import blank_figure, save
from schedlab.outside.output import output_file, write_output
from schedlab.results.records import write_json
from schedlab.tables.build import build_tables
from schedlab.workloads import Job, Machine, Trace


def _tables(folder: Path) -> list[Path]:
    build_tables([], folder)
    return [folder / f"{name}.parquet" for name in ("jobs", "samples", "trials")]


def _figure(folder: Path) -> list[Path]:
    figure = blank_figure(2.0)
    figure.add_subplot()
    save(figure, folder / "wait.svg", "Waits")
    return [folder / "wait.svg"]


def _trace(folder: Path) -> list[Path]:
    Trace("w", "burst", 1, Machine(1, 1), (Job(0, 0.0, 1, 1, 1.0),)).write(folder / "w.json")
    return [folder / "w.json"]


def _record(folder: Path) -> list[Path]:
    write_json(folder / "record.json", {})
    return [folder / "record.json"]


@pytest.mark.parametrize("write", [_tables, _figure, _trace, _record])
@pytest.mark.parametrize("plant", ["link", "pipe", "device"])
def test_what_is_no_file_is_neither_replaced_nor_followed(
    write: Callable[[Path], list[Path]], plant: str, tmp_path: Path
) -> None:
    names = write(tmp_path / "first")
    victim, folder = tmp_path / "victim", tmp_path / "planted"
    victim.write_text("mine")
    folder.mkdir()
    planted = folder / names[0].name
    if plant == "link":
        planted.symlink_to(victim)
    elif plant == "pipe":
        os.mkfifo(planted)
    elif os.geteuid() == 0:
        os.mknod(planted, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    else:
        pytest.skip("only root makes devices")
    before = planted.lstat()
    with pytest.raises(SchedlabError, match="neither replaced nor followed"):
        write(folder)
    assert planted.lstat().st_ino == before.st_ino
    assert victim.read_text() == "mine"


def test_a_link_of_another_user_on_the_way_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tables").symlink_to("elsewhere")
    owner = os.geteuid() or 12345
    os.chown(tmp_path / "tables", owner, -1, follow_symlinks=False)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(SchedlabError, match="tables is a link that another user made"):
        write_output(tmp_path / "tables" / "file", "x")
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    write_output(tmp_path / "tables" / "file", "x")
    assert (tmp_path / "elsewhere" / "file").read_text() == "x"


def test_a_failed_write_names_the_file_and_leaves_the_old_one_alone(tmp_path: Path) -> None:
    write_output(tmp_path / "file", "old")
    with pytest.raises(OSError, match="No space left") as caught, output_file(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(SchedlabError, match="is a folder"):
        write_output(tmp_path / "file", "x")
