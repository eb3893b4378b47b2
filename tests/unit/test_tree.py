"""Folders of others may be deeper than Python's own walks can go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle_factory import packed
from click.testing import CliRunner

from schedlab.bundle.verify import unpack, verify
from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.lineage.durations import Durations
from schedlab.outside.tree import below
from schedlab.storage.marks import sign
from schedlab.storage.usage import usage

DEPTH = 1500


def deep(folder: Path) -> None:
    """Make folders within one another, with a file in the last one."""
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)


def remove(folder: Path) -> None:
    """Remove what is below a folder; pytest itself could not."""
    for entry in reversed(list(below(folder))):
        (os.rmdir if entry.is_dir(follow_symlinks=False) else os.unlink)(entry)


@pytest.fixture
def nested(tmp_path: Path) -> Iterator[Path]:
    """Results with such folders."""
    results = tmp_path / "results"
    sign(results)
    (results / "logs").mkdir()
    deep(results / "logs")
    yield results
    remove(tmp_path)


def test_the_order_is_that_of_names_and_links_are_not_followed(tmp_path: Path) -> None:
    for name in ("b/1", "a/2", "a/1/x", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "link").symlink_to(tmp_path)
    found = [Path(entry).relative_to(tmp_path).as_posix() for entry in below(tmp_path)]
    assert found == ["a", "a/1", "a/1/x", "a/2", "b", "b/1", "b/link", "c"]
    assert list(below(tmp_path / "absent")) == []


def test_results_of_any_depth_are_measured_and_read(nested: Path) -> None:
    assert usage(nested).files == 2
    Durations(nested)


@pytest.mark.parametrize("command", ["watch", "trials"])
def test_commands_that_read_such_results_end_with_words(nested: Path, command: str) -> None:
    words = ["watch", "--once"] if command == "watch" else ["trials", "--results"]
    done = CliRunner().invoke(main, [*words, str(nested)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception


def test_an_unpacked_bundle_of_such_folders_is_refused(tmp_path: Path) -> None:
    unpack(packed().path, tmp_path)
    verify(tmp_path)
    deep(tmp_path / "results")
    try:
        with pytest.raises(SchedlabError, match="has a path longer than 255 bytes"):
            verify(tmp_path)
    finally:
        remove(tmp_path)
