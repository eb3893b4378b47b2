"""What Packer is called with: paths that mean nothing else in URLs, options and shells."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from schedlab.errors import SchedlabError
from schedlab.images import packer as module
from schedlab.images.packer import run_packer
from schedlab.images.qcow2 import create_overlay

PACKER = """#!{python}
import json, os, pathlib, subprocess, sys

variables = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word and word[0] != "-")
template = pathlib.Path(sys.argv[-1])
seen = {{"variables": variables, "environment": dict(os.environ), "template": str(template)}}
seen["absent"] = [
    name for name in ("base_disk", "seed", "private_key", "payload", "files_disk",
                      "variables_file", "ansible_directory", "guest_directory", "facts_directory")
    if not os.path.exists(variables[name])
] + [name for name in json.loads(variables["verify_scripts"]) if not os.path.exists(name)]
seen["template exists"] = template.is_file()
seen["given"] = pathlib.Path(variables["variables_file"]).read_text()
pathlib.Path({seen!r}).write_text(json.dumps(seen))
build = pathlib.Path(variables["output_directory"])
build.mkdir()
subprocess.run(
    ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", variables["base_disk"],
     build / "disk.qcow2"], check=True,
)
pathlib.Path(variables["manifest"]).write_text("{{}}")
pathlib.Path(variables["facts_directory"], "packages.txt").write_text("")
"""


def test_any_path_of_checkout_and_results(tmp_path: Path) -> None:
    if not all(map(shutil.which, ("qemu-img", "genisoimage", "ssh-keygen", "gcc"))):
        pytest.skip("qemu-img, genisoimage, ssh-keygen or gcc is not installed")
    results = tmp_path / "my results #1 100%41 ü, it's" / ("long" * 30)
    base = results / "base/disk.qcow2"
    program, seen = tmp_path / "packer", tmp_path / "seen"
    program.write_text(PACKER.format(python=sys.executable, seen=str(seen)))
    program.chmod(0o755)
    base.parent.mkdir(parents=True)
    module.processes.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], check=True)
    (results / "files.iso").touch()
    run_packer(
        ["common", "slurm"], base, results / "image", secrets=[], packer=program,
        variables={"schedlab_os": "rocky"}, cloud=True,
        environment={"PACKER_PLUGIN_PATH": "/plugins"}, accelerator="tcg",
        scratch=results / "scratch", console=results / "console.log", files=results / "files.iso",
    )  # fmt: skip
    called = json.loads(seen.read_text())
    assert called["absent"] == []
    assert called["template exists"]
    assert json.loads(called["given"]) == {"schedlab_os": "rocky"}
    assert called["variables"]["memory"] == "2048"
    paths = [value for value in called["variables"].values() if value.startswith("/")]
    paths += json.loads(called["variables"]["verify_scripts"])
    paths += [called["environment"][name] for name in ("TMPDIR", "ANSIBLE_HOME")]
    assert [path for path in paths if not re.fullmatch(r"[A-Za-z0-9/._-]+", path)] == []
    assert not Path(called["environment"]["TMPDIR"]).exists()
    assert (results / "image/disk.qcow2").exists()
    create_overlay(results / "image/disk.qcow2", results / "trial/disk.qcow2")


def test_the_console_of_a_build_that_failed_is_kept(tmp_path: Path) -> None:
    if not all(map(shutil.which, ("genisoimage", "ssh-keygen", "gcc"))):
        pytest.skip("genisoimage, ssh-keygen or gcc is not installed")
    program, console = tmp_path / "packer", tmp_path / "logs/images/slurm-console.log"
    (tmp_path / "base.qcow2").touch()

    def failed(script: str) -> SchedlabError:
        program.write_text(f"#!/bin/sh\n{script}\necho Error: no luck\nexit 1\n")
        program.chmod(0o755)
        with pytest.raises(SchedlabError, match="status 1: Error: no luck") as error:
            run_packer(
                ["common"], tmp_path / "base.qcow2", tmp_path / "image", secrets=[], variables={},
                cloud=False, packer=program, environment={}, accelerator="tcg",
                scratch=tmp_path / f"scratch{len(script)}", console=console,
            )  # fmt: skip
        return error.value

    assert failed("").log is None
    where = 'for word; do case $word in facts_directory=*) cd "${word#*=}"; esac; done'
    assert failed(f"{where}\necho panic > console.log").log == console
    assert console.read_text() == "panic\n"
