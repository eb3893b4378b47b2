"""Reading commands work for a user who may only read, and leave no files when stopped."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle_factory import packed

from schedlab.outside.temporary import removed_on_signals, temporary_folder

ROOT = Path(__file__).resolve().parents[2]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
reads_as_nobody = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can be another user"
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """Results and a bundle that belong to root and that everybody may read."""
    with tempfile.TemporaryDirectory(prefix="schedlab-shared-") as name:
        folder = Path(name)
        shutil.copytree(packed().results, folder / "results")
        shutil.copyfile(packed().path, folder / "bundle.tar.zst")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield folder


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a subcommand as nobody."""
    return subprocess.run(
        [*NOBODY, sys.executable, "-m", "schedlab", *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "workflow"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def readable_python() -> bool:
    done = subprocess.run(
        [*NOBODY, sys.executable, "-c", "import schedlab.errors"],
        env={"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@reads_as_nobody
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["verify", "bundle.tar.zst"], 0),
        (["trace", "--results", "results", "slurm-n1.burst.1"], 0),
        (["diff", "results", "bundle.tar.zst"], 0),
        (["render", "bundle.tar.zst", "--output", "out"], 2),
        (["bundle", "--results", "results", "--output", "out"], 2),
        (["import", "--results", "results", "bundle.tar.zst"], 2),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_who_may_only_read(words: list[str], status: int, shared: Path) -> None:
    if not readable_python():
        pytest.skip("another user cannot read this Python or this checkout")
    done = command(*words, folder=shared)
    assert "Traceback" not in done.stderr
    assert done.returncode == status, done.stderr


@reads_as_nobody
def test_what_may_not_be_read_is_said(shared: Path, tmp_path: Path) -> None:
    if not readable_python():
        pytest.skip("another user cannot read this Python or this checkout")
    closed = shared / "closed.tar.zst"
    shutil.copyfile(packed().path, closed)
    closed.chmod(0o600)
    done = command("verify", str(closed), folder=shared)
    assert done.returncode == 2 and "not readable" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_was_abandoned_is_removed_by_the_next(tmp_path: Path) -> None:
    script = (
        "import os, sys, signal; from pathlib import Path\n"
        "from schedlab.outside.temporary import temporary_folder\n"
        "with temporary_folder('x-', Path(sys.argv[1])) as f:\n"
        "    (f / 'file').write_text('')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    left = list(tmp_path.iterdir())
    assert len(left) == 1
    (tmp_path / "x-link").symlink_to(tmp_path)
    with temporary_folder("x-", tmp_path) as one, temporary_folder("x-", tmp_path) as two:
        assert one != two and one.is_dir() and two.is_dir()
        assert stat.S_IMODE(one.stat().st_mode) == 0o700
        assert not left[0].exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x-link"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_like_an_exception(number: signal.Signals, tmp_path: Path) -> None:
    before = signal.getsignal(number)
    with (
        pytest.raises(SystemExit) as caught,
        removed_on_signals(),
        temporary_folder("x-", tmp_path),
    ):
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert caught.value.code == 128 + number
    assert list(tmp_path.iterdir()) == [] and signal.getsignal(number) == before
