"""A campaign whose jobs a real Slurm starts on this machine, by Snakemake's executor plugin.

Slurm comes from the distribution (`apt-get install slurmctld slurmd slurm-client munge`). Its
daemons run for this test only, on loopback, with their files in a temporary folder. The test is
skipped where they are not installed, and `make test` leaves it out.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from campaign import NEEDS_ROOT, ROOT, Campaign, changed, guests, shape, wait_for

CLUSTER, WORKLOAD = "slurm-n1", "burst"
OTHER = {"name": "other", "scheduler": "slurm", "node": {"memory": "800 MiB"}}
"""A second cluster, so that two jobs could run at once."""
INSTALL = "apt-get install slurmctld slurmd slurm-client munge"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

pytestmark = [
    pytest.mark.e2e,
    NEEDS_ROOT,
    pytest.mark.long,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{', '.join(MISSING)} not found: {INSTALL}",
    ),
]


def configured(folder: Path, *command: str) -> list[str]:
    """A command for which Slurm's configuration is that of a folder.

    It is mounted, because the plugin takes the variable `SLURM_CONF` away from its job steps.
    """
    script = 'mount --bind "$0" /etc/slurm && exec "$@"'
    return ["unshare", "--mount", "--", "sh", "-c", script, str(folder), *command]


def free_port() -> int:
    """A TCP port of loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def slurm() -> Iterator[Path]:
    """Slurm of one node, which is this machine; its folder."""
    # Sockets take no long path.
    folder = Path(tempfile.mkdtemp(prefix="sl", dir="/tmp"))
    name = socket.gethostname().partition(".")[0]
    for inner in ("state", "spool", "munge"):
        (folder / inner).mkdir(mode=0o711 if inner == "munge" else 0o700)
    folder.chmod(0o711)
    key = folder / "key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    version = subprocess.run(["slurmd", "-V"], capture_output=True, text=True, check=True).stdout
    # Processes are tracked without control groups, but Slurm before 23.02 must name a plugin.
    before = tuple(map(int, version.split()[1].split(".")[:2])) < (23, 2)
    (folder / "cgroup.conf").write_text(
        "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n" if before else "CgroupPlugin=disabled\n"
    )
    (folder / "slurm.conf").write_text(
        "\n".join(
            [
                "ClusterName=loopback",
                f"SlurmctldHost={name}(127.0.0.1)",
                "SlurmUser=root",
                f"SlurmctldPort={free_port()}",
                f"SlurmdPort={free_port()}",
                "AuthType=auth/munge",
                f"AuthInfo=socket={folder}/munge/socket",
                f"StateSaveLocation={folder}/state",
                f"SlurmdSpoolDir={folder}/spool",
                f"SlurmctldPidFile={folder}/slurmctld.pid",
                f"SlurmdPidFile={folder}/slurmd.pid",
                f"SlurmctldLogFile={folder}/slurmctld.log",
                f"SlurmdLogFile={folder}/slurmd.log",
                "ProctrackType=proctrack/linuxproc",
                "TaskPlugin=task/none",
                "SelectType=select/cons_tres",
                "SelectTypeParameters=CR_CPU",
                "MpiDefault=none",
                "MailProg=/bin/true",
                "ReturnToService=2",
                # The plugin asks squeue for jobs that have ended.
                "MinJobAge=600",
                "JobCompType=jobcomp/filetxt",
                f"JobCompLoc={folder}/completions",
                f"NodeName={name} NodeAddr=127.0.0.1 CPUs={os.cpu_count()}",
                f"PartitionName=hosts Nodes={name} Default=YES State=UP",
                "",
            ]
        )
    )
    daemons = {
        "munged": [
            "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge/socket",
            f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log",
            f"--seed-file={folder}/munge.seed",
        ],
        "slurmctld": ["-D"],
        "slurmd": ["-D", "-N", name],
    }  # fmt: skip

    def idle() -> bool:
        """Slurm answers, and its node is ready."""
        asked = configured(folder, "sinfo", "--noheader", "--format=%T")
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        return told.stdout.strip() == "idle"

    with contextlib.ExitStack() as started:
        started.callback(shutil.rmtree, folder)
        for program, arguments in daemons.items():
            output = started.enter_context((folder / f"{program}.out").open("wb"))
            daemon = subprocess.Popen(
                configured(folder, program, *arguments), stdout=output, stderr=output
            )
            # Called in the reverse order: each ends before what it needs.
            started.callback(daemon.wait, 60)
            started.callback(daemon.terminate)
            if program == "munged":
                wait_for((folder / "munge" / "socket").exists, 60, "the socket of munged")
        wait_for(idle, 60, "Slurm's readiness")
        yield folder


@pytest.fixture(scope="module")
def campaign(slurm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """One complete run whose jobs Slurm starts; Snakemake may start two at a time."""
    folder = tmp_path_factory.mktemp("executor")
    profile = folder / "profile"
    profile.mkdir()
    settings = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    # What docs/hosts.md tells to set; two jobs would run at once if the node were not exclusive.
    settings |= {"jobs": 2, "resources": {"testbed": 2}, "latency-wait": 5}
    settings["default-resources"]["cpus_per_task"] = os.cpu_count()
    # This Slurm has no accounting; its answers are quick.
    settings |= {"slurm-status-command": "squeue", "slurm-init-seconds-before-status-checks": 5}
    (profile / "config.yaml").write_text(yaml.safe_dump(settings))
    made = changed(
        ROOT / "config/tests/one-node.yaml",
        folder / "results",
        repetitions=2,
        schedulers=[
            "slurm",
            {"name": "other", "scheduler": "slurm", "node": {"memory": "800 MiB"}},
        ],
    )
    done = subprocess.run(
        configured(slurm, *made.command("--workflow-profile", str(profile))),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    yield made
    shutil.rmtree(made.results, ignore_errors=True)


def test_slurm_ran_the_jobs_one_at_a_time(campaign: Campaign, slurm: Path) -> None:
    jobs = [
        dict(item.partition("=")[::2] for item in line.split())
        for line in (slurm / "completions").read_text().splitlines()
    ]
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    # Image, trace, and for each of two clusters: provision, configure, two trials.
    assert len(jobs) >= 2 + 2 * 4
    times = sorted(
        (datetime.fromisoformat(job["StartTime"]), datetime.fromisoformat(job["EndTime"]))
        for job in jobs
    )
    for (_, ended), (began, _) in zip(times, times[1:], strict=False):
        assert ended <= began, "two jobs shared this host"


def test_its_results_are_those_of_a_run_without_slurm(campaign: Campaign) -> None:
    made = shape(campaign.results)
    assert len(made["trials"]) == 4
    # Nothing is to be done for a run without Slurm, and what it makes again looks the same.
    planned = campaign.run("--dry-run", "--quiet").stdout
    assert "provision" not in planned and "trial" not in planned, planned
    shutil.rmtree(campaign.trial(CLUSTER, WORKLOAD, 2))
    campaign.run()
    assert shape(campaign.results) == made


def test_nothing_is_left_running(campaign: Campaign) -> None:
    assert guests() == []
