"""Rendering a bundle again gives the same bytes on any machine, and needs only Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bundle_factory import packed
from click.testing import CliRunner
from test_bundle import repack

from schedlab.bundle.render import render
from schedlab.bundle.verify import unpack
from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
MADE = len(FIGURES) + 1

# Whatever needs a machine, a network or the workflow engine cannot be imported.
BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"libvirt", "ansible_runner", "ansible", "snakemake", "rocrate"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
from schedlab.cli.main import main
main(sys.argv[1:])
"""


def run(command: list[str], home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `schedlab render` in a process with another home, folder and environment."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(WORKFLOW),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "MPLCONFIGDIR": str(home),
        "LC_ALL": "C",
        "TZ": "Asia/Kathmandu",
        **variables,
    }
    return subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )


def test_tables_figures_and_report_are_the_same_bytes(tmp_path: Path) -> None:
    done = render(packed().path, tmp_path / "out", tables=True)
    assert done.different == [] and len(done.same) == MADE + 3
    for name in done.same:
        assert (tmp_path / "out" / name).read_bytes() == (packed().results / name).read_bytes()


def test_without_libvirt_and_network_in_another_home(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BLOCKED, "render", str(packed().path), "--output", "out"]
    unshare = ["unshare", "--net", "--user", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces are not permitted here: rendering without a network is not tested")
    done = run([*unshare, *command], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{MADE} of {MADE} files are the same" in done.stdout


def test_as_another_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    home = Path("/var/tmp") / f"schedlab-nobody-{os.getpid()}"
    home.mkdir()
    try:
        shutil.copy(packed().path, home / "b")
        python = shutil.copytree(WORKFLOW, home / "workflow")
        shutil.copy(WORKFLOW.parent / "CITATION.cff", home)
        (home / "envs").mkdir()
        shutil.copy(WORKFLOW.parent / "envs/environment.txt", home / "envs")
        subprocess.run(["chown", "-R", "65534:65534", str(home)], check=True)
        become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        interpreter = [*become, sys.executable, "-c", "import numpy"]
        if run(interpreter, home).returncode:
            pytest.skip("another user cannot read this Python environment")
        command = [sys.executable, "-c", BLOCKED, "render", "b", "--output", "out"]
        done = run([*become, *command], home, PYTHONPATH=str(python), USER="nobody")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{MADE} of {MADE} files are the same" in done.stdout
    finally:
        shutil.rmtree(home)


def test_a_difference_is_named_with_the_versions(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    unpack(packed().path, folder)
    report = folder / "results/report.html"
    report.write_text(report.read_text() + "\n")
    told = json.loads((folder / "bundle.json").read_text())
    told["versions"]["matplotlib"] = "1.0"
    (folder / "bundle.json").write_text(json.dumps(told))
    path = tmp_path / "other.tar.zst"
    repack(folder, path)
    done = CliRunner().invoke(main, ["render", str(path), "--output", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "differs: report.html" in done.output and "differs: figures" not in done.output
    assert "matplotlib: version 1.0 in the bundle" in done.output


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(SchedlabError, match="not empty"):
        render(packed().path, tmp_path)
