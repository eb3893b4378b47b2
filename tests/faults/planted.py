"""Planted faults: the report must find each one, and name the part of the wait that it lengthens.

One scheduler runs under several labels on real clusters. All labels but `slurm` (or `volcano`) and
its second run carry one known fault:

- `quota`: slurmctld may use a twentieth of one processor;
- `delay`: packets between the head and the nodes arrive 20 ms late, in both directions;
- `interval`: Slurm schedules at most every third second;
- `period`: Volcano's scheduler begins a cycle only every fifth second;
- `qps`: each client of Volcano's scheduler may send 1 request a second to the API server.

Most faults that are settings stand in the experiment files beside this module. The others are
Ansible tasks that a copy of the checkout runs when it configures the cluster of that label; the
quota is one of them, so that no setting tells the report of it.

`make test-planted` runs this. `SCHEDLAB_PLANTED=FOLDER` keeps the checkouts' copies and results
there, and continues what is there already.
"""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SETUP = "workflow/infrastructure/ansible/playbooks/setup.yml"
VARIABLES = "workflow/schedlab/design.py"
BEFORE = '        "schedlab_roles": list(scheduler.roles),\n'

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network and mount namespaces"),
]


def checkout(folder: Path) -> Path:
    """A copy of the checkout in which the tasks of `planted.yml` run at the end of the set-up."""
    copy = folder / "checkout"
    if copy.exists():
        return copy
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    design = copy / VARIABLES
    source = design.read_text()
    assert source.count(BEFORE) == 1, f"{VARIABLES} no longer says which variables Ansible gets"
    # The playbook does not know labels, because nothing of a cluster may depend on its label.
    label = '        "planted": cluster.variant,\n'
    design.write_text(source.replace(BEFORE, BEFORE + label))
    tasks = (HERE / "planted.yml").read_text()
    with (copy / SETUP).open("a") as playbook:
        playbook.write("".join(f"    {line}\n" if line else "\n" for line in tasks.splitlines()))
    return copy


def report_of(experiment: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sentences of the report's first screen, a line each."""
    kept = os.environ.get("SCHEDLAB_PLANTED")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("planted")
    folder.mkdir(parents=True, exist_ok=True)
    copy = checkout(folder)
    results = folder / experiment
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "--config",
            f"experiments={HERE / f'planted-{experiment}.yaml'}", f"results={results}",
        ],
        cwd=copy, env=os.environ | {"PYTHONPATH": str(copy / "workflow")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-6000:]
    page = (results / "report.html").read_text()
    items = re.findall(r'<li class="verdict-(\w+)">(.*?)</li>', page, re.S)
    return "\n".join(
        f"{kind}: {html.unescape(re.sub(r'<[^>]+>', '', item))}" for kind, item in items
    )


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Slurm, the same again, and with three faults."""
    return report_of("slurm", tmp_path_factory)


def finds(told: str, sound: str, faulty: str, parts: set[str]) -> None:
    """The report names the part in which the faulty series is slower, and nothing against it."""
    assert f"{faulty} is ahead of {sound} in median wait" not in told, told
    found = re.findall(f"{faulty}'s jobs spend more time in (\\w+) than {sound}'s", told)
    assert found and set(found) <= parts, told


@pytest.mark.parametrize(
    ("faulty", "parts"),
    [
        # slurmctld takes part in each of them; only the driver's lateness is not its doing.
        ("quota", {"submission", "scheduling", "launch", "completion"}),
        ("delay", {"launch", "completion"}),
        ("interval", {"scheduling"}),
    ],
)
def test_a_fault_planted_in_slurm_is_found(slurm: str, faulty: str, parts: set[str]) -> None:
    finds(slurm, "slurm", faulty, parts)


def test_equal_clusters_beside_them_claim_nothing(slurm: str) -> None:
    assert "same: slurm against itself (as slurm-again): no difference is claimed" in slurm, slurm
    assert "alarm:" not in slurm, slurm


@pytest.mark.parametrize("faulty", ["period", "qps"])
def test_a_fault_planted_in_volcano_is_found(
    tmp_path_factory: pytest.TempPathFactory, faulty: str
) -> None:
    """Each in an experiment of its own: the more a table compares, the more trials it needs."""
    told = report_of(f"volcano-{faulty}", tmp_path_factory)
    finds(told, "volcano-virtual", f"{faulty}-virtual", {"scheduling"})
