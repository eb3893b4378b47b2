"""The profile for Slurm, with Snakemake's own executor plugin and a stand-in for Slurm."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, MiniWorkflow

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
        reason="snakemake-executor-plugin-slurm is not installed",
    ),
]

FAKE_SLURM = """\
#!{python}
'''FAKE SLURM, for this test only: sbatch runs the job at once on this machine.'''
import json, os, pathlib, re, subprocess, sys
folder = pathlib.Path({folder!r})
name, *words = pathlib.Path(sys.argv[0]).name, *sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([name, *words]) + "\\n")
if name == "sbatch":
    number = len(list(folder.glob("*.state"))) + 1
    (wrapped,) = [word.partition("=")[2] for word in words if word.startswith("--wrap=")]
    done = subprocess.run(
        wrapped, shell=True, env=os.environ | {{"SLURM_JOB_ID": str(number)}},
        stdout=(folder / f"{{number}}.log").open("w"), stderr=subprocess.STDOUT,
    )
    state = "FAILED" if done.returncode else "COMPLETED"
    (folder / f"{{number}}.state").write_text(state)
    print(number)
elif name == "srun":
    if "SLURM_JOB_ID" not in os.environ:
        sys.exit("srun: outside of the job's allocation")
    while words[0].startswith("-"):
        words.pop(0)
    sys.exit(subprocess.run(words).returncode)
elif name == "squeue":
    for path in folder.glob("*.state"):
        print(f"{{path.stem}}|{{path.read_text()}}")
elif name == "scontrol":
    print("MinJobAge = 3600 sec")
elif name in ("sacct", "sacctmgr", "sshare", "sinfo"):
    pass
"""


@pytest.fixture
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the commands of a Slurm that is made up."""
    folder = tmp_path_factory.mktemp("slurm")
    text = FAKE_SLURM.format(python=sys.executable, folder=str(folder))
    for name in ("sbatch", "srun", "squeue", "scontrol", "sacct", "sacctmgr", "sshare", "sinfo"):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.long
def test_jobs_run_by_slurm_each_on_a_host_of_its_own(mini: MiniWorkflow, slurm: Path) -> None:
    path = f"{Path(__file__).parent / 'simulated'}:{Path(sys.executable).parent}"
    mini.environment["PATH"] = f"{slurm}:{path}:/usr/bin:/bin"
    mini.config = "config/tests/one-node.yaml"
    # The first stages alone: each job starts Snakemake twice more.
    commands = mini.run(
        "--workflow-profile", "profiles/slurm", "--latency-wait", "1",
        "--slurm-init-seconds-before-status-checks", "1", "--slurm-status-command", "squeue",
        "--", "all_images",
    )  # fmt: skip
    assert (mini.root / "results/images/slurm/image/record.json").is_file()
    calls = [json.loads(line) for line in (slurm / "calls").read_text().splitlines()]
    submitted = [call for call in calls if call[0] == "sbatch"]
    assert len(submitted) == len(commands)
    for call in submitted:
        assert "--exclusive" in call
        assert "--cpus-per-task=4" in call
        assert not [word for word in call if word.startswith("--mem")], "guests have all of it"
    # A run without Slurm goes on from there.
    assert not [message for message in mini.planned() if "image" in message]


def test_the_profile_differs_from_the_default_only_in_where_jobs_run() -> None:
    slurm, default = (
        yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
        for name in ("slurm", "default")
    )
    assert slurm["resources"]["testbed"] == slurm["jobs"]
    own = {"executor", "jobs", "resources", "default-resources", "latency-wait"}
    same = default.keys() - {"cores", "resources"}
    assert slurm.keys() - own == same
    assert {key: slurm[key] for key in same} == {key: default[key] for key in same}
