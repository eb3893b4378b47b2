"""The content-addressed cache: entries are built once, checked at use, and never incomplete."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.paths import cache_root
from schedlab.toolchain.cache import SMALL, Cache


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def write(name: str = "file", text: str = "contents"):
    def build(target: Path) -> None:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)

    return build


def forbidden(target: Path) -> None:
    raise AssertionError("built again")


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_same_inputs_are_built_once_and_other_inputs_apart(cache: Cache) -> None:
    first = cache.get_or_build("kind", {"a": 1, "b": 2}, write())
    assert (first / "file").read_text() == "contents"
    assert cache.get_or_build("kind", {"b": 2, "a": 1}, forbidden) == first
    assert cache.location("kind", {"a": 1, "b": 2}) == first
    assert cache.get_or_build("kind", {"a": 2}, write(text="other")) != first
    assert cache.get_or_build("other", {"a": 1, "b": 2}, write()) != first


def test_files_are_read_only_and_keep_the_executable_bit(cache: Cache) -> None:
    def build(target: Path) -> None:
        write("data")(target)
        write("bin/program")(target)
        (target / "bin/program").chmod(0o755)

    entry = cache.get_or_build("kind", {}, build)
    assert (entry / "data").stat().st_mode & 0o777 == 0o444
    assert (entry / "bin/program").stat().st_mode & 0o777 == 0o555


def _count_build(root: Path, log: Path, barrier) -> None:
    def build(target: Path) -> None:
        with log.open("a") as handle:
            handle.write("built\n")
        time.sleep(0.3)
        (target / "file").write_text("contents")

    barrier.wait()
    entry = Cache(root).get_or_build("kind", {"key": 1}, build)
    assert (entry / "file").read_text() == "contents"


def test_processes_that_ask_together_build_once(cache: Cache, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, log = context.Barrier(3), tmp_path / "log"
    processes = [
        context.Process(target=_count_build, args=(cache.root, log, barrier)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert log.read_text() == "built\n"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_interrupted_build_leaves_nothing(cache: Cache, error: type[BaseException]) -> None:
    def build(target: Path) -> None:
        write()(target)
        raise error

    with pytest.raises(error):
        cache.get_or_build("kind", {}, build)
    assert [name for name in files_below(cache.root) if not name.startswith("locks/")] == []
    assert (cache.get_or_build("kind", {}, write()) / "file").exists()


def _die_while_building(root: Path) -> None:
    def build(target: Path) -> None:
        (target / "half").write_text("half")
        os._exit(9)

    Cache(root).get_or_build("kind", {}, build)


def test_killed_build_is_no_entry_and_its_rest_is_removed(cache: Cache) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=_die_while_building, args=(cache.root,)
    )
    process.start()
    process.join(20)
    assert process.exitcode == 9
    assert not cache.location("kind", {}).exists()
    assert [path.name for path in (cache.root / "partial").iterdir()]
    assert len(cache.remove_partial()) == 1
    assert not list((cache.root / "partial").iterdir())

    process = multiprocessing.get_context("fork").Process(
        target=_die_while_building, args=(cache.root,)
    )
    process.start()
    process.join(20)
    entry = cache.get_or_build("kind", {}, write())
    assert files_below(entry) == ["file"]


def test_partial_of_a_running_build_is_left_alone(cache: Cache) -> None:
    def build(target: Path) -> None:
        write()(target)
        assert cache.remove_partial() == []

    assert (cache.get_or_build("kind", {}, build) / "file").exists()


@pytest.mark.parametrize("error", [errno.ENOENT, errno.ENOTEMPTY])
def test_scratch_is_removed_though_others_still_work_in_it(
    cache: Cache, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shutil.rmtree

    def disturbed(folder: Path) -> None:
        monkeypatch.setattr(shutil, "rmtree", whole)
        raise OSError(error, os.strerror(error))

    with pytest.raises(KeyError), cache.scratch("made") as folder:
        (folder / "file").touch()
        monkeypatch.setattr(shutil, "rmtree", disturbed)
        raise KeyError
    assert not folder.exists()


def test_scratch_is_removed_at_the_end(cache: Cache) -> None:
    with cache.scratch("work") as folder:
        (folder / "file").write_text("x")
        assert cache.remove_partial() == []
    assert not folder.exists()
    assert files_below(cache.root) == [], "its lock is removed too"


def test_scratch_of_a_build_that_failed_leaves_no_lock(cache: Cache) -> None:
    with pytest.raises(KeyError), cache.scratch("work"):
        raise KeyError
    assert files_below(cache.root) == []


def test_locks_of_processes_that_were_killed_are_removed(cache: Cache) -> None:
    cache.get_or_build("kind", {}, write())
    with cache.locked("assemble-0123456789012345"):
        pass
    cache.keep().close()
    kept = files_below(cache.root)
    left = [cache.root / "locks" / name for name in ("go-work-1.lock", "lock-flux-4194304.lock")]
    for path in left:
        path.touch()
    with cache.scratch("work"):
        at_work = f"locks/work-{os.getpid()}.lock"
        assert cache.remove_partial() == []
        assert files_below(cache.root) == sorted([*kept, at_work])
    (cache.root / "locks" / "x-1.lock").symlink_to("nowhere")
    assert cache.remove_partial() == [], "a link of others stays, and stops nothing"
    assert files_below(cache.root) == kept


def _hold(root: Path, name: str, log: Path, begin) -> None:
    begin.wait(20)
    for _ in range(5):  # one that comes again makes a new file, while others wait for the old one
        with Cache(root).locked(name, once=True):
            alone = log.with_suffix(".held")
            alone.touch(exist_ok=False)
            time.sleep(0.01)
            alone.unlink()
            with log.open("a") as file:
                file.write("held\n")


def test_a_lock_whose_file_is_removed_is_held_by_one_at_a_time(
    cache: Cache, tmp_path: Path
) -> None:
    """Those who wait for it have opened the file that its holder removes."""
    context, log = multiprocessing.get_context("fork"), tmp_path / "log"
    begin = context.Event()
    waiting = [
        context.Process(target=_hold, args=(cache.root, "x-1", log, begin)) for _ in range(4)
    ]
    # A child has the locks that its parent holds when it is forked.
    for process in waiting:
        process.start()
    with cache.locked("x-1", once=True):
        begin.set()
        time.sleep(0.3)
    for process in waiting:
        process.join(20)
    assert [process.exitcode for process in waiting] == [0] * 4
    assert log.read_text() == "held\n" * 20
    assert files_below(cache.root) == []


def test_empty_entry_is_refused(cache: Cache) -> None:
    with pytest.raises(SchedlabError, match="left no file"):
        cache.get_or_build("kind", {}, lambda target: None)


def _change_contents(entry: Path) -> None:
    path = entry / "file"
    path.chmod(0o644)
    path.write_text("Contents")  # of the same size


def _truncate_large(entry: Path) -> None:
    path = entry / "large"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])


def _change_large(entry: Path) -> None:
    path = entry / "large"
    path.chmod(0o644)
    path.write_bytes(b"y" * SMALL)


def _redirect(entry: Path) -> None:
    (entry / "link").unlink()
    (entry / "link").symlink_to("large")


DAMAGES = {
    "contents of a small file": _change_contents,
    "size of a large file": _truncate_large,
    "contents of a large file": _change_large,
    "link": _redirect,
    "missing file": lambda entry: (entry / "file").unlink(),
    "additional file": lambda entry: (entry / "more").write_text("x"),
    "manifest missing": lambda entry: (entry.parent / "manifest.json").unlink(),
    "manifest cut": lambda entry: (entry.parent / "manifest.json").write_text('{"files"'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_noticed_and_repaired(
    cache: Cache, damage, caplog: pytest.LogCaptureFixture
) -> None:
    def build(target: Path) -> None:
        write()(target)
        (target / "large").write_bytes(b"x" * SMALL)
        (target / "link").symlink_to("file")

    entry = cache.get_or_build("kind", {}, build)
    cache.get_or_build("kind", {}, forbidden)
    damage(entry)
    assert cache.get_or_build("kind", {}, build) == entry
    assert "damaged" in caplog.text
    assert files_below(entry) == ["file", "large", "link"]
    assert (entry / "file").read_text() == "contents"
    assert (entry / "large").read_bytes() == b"x" * SMALL
    cache.get_or_build("kind", {}, forbidden)


def test_large_file_is_read_again_only_when_its_time_changed(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = cache.get_or_build("kind", {}, lambda t: (t / "large").write_bytes(b"x" * SMALL))
    read: list[str] = []
    from schedlab.toolchain import cache as module

    digest = module.file_digest
    monkeypatch.setattr(module, "file_digest", lambda p: read.append(p.name) or digest(p))
    cache.get_or_build("kind", {}, forbidden)
    assert read == []
    os.utime(entry / "large", (1, 1))
    cache.get_or_build("kind", {}, forbidden)
    cache.get_or_build("kind", {}, forbidden)
    assert read == ["large"]


def test_place_links_and_replaces(cache: Cache, tmp_path: Path) -> None:
    source = cache.get_or_build("kind", {}, write()) / "file"
    destination = tmp_path / "results" / "disk"
    cache.place(source, destination)
    assert destination.samefile(source)
    destination.unlink()
    destination.write_text("old")
    cache.place(source, destination)
    cache.place(source, destination)
    assert destination.read_text() == "contents"
    assert [path.name for path in destination.parent.iterdir()] == ["disk"]


def test_place_copies_where_links_fail(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError("other file system")

    source = cache.get_or_build("kind", {}, write()) / "file"
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    cache.place(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "contents"
    assert not (tmp_path / "copy").samefile(source)


def test_cache_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCHEDLAB_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("SCHEDLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == Path("/x/schedlab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/u")
    assert cache_root() == Path("/home/u/.cache/schedlab")
