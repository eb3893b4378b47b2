"""A quota on the processor time of a scheduler's daemon: set, read back, named, lifted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from jinja2 import Environment
from search_factory import PARTS, step

from schedlab.config import HostFacts
from schedlab.design import load_experiment, variables
from schedlab.metrics.confirmation import Lifting, confirmations, limiters
from schedlab.metrics.limiter import limiter
from schedlab.schedulers import get_scheduler, quota, scheduler_names
from schedlab.schedulers.limits import Limit

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = ROOT / "workflow/infrastructure/ansible/playbooks/setup.yml"
UNITS = {
    "slurm": "slurmctld",
    "kubernetes": "kube-scheduler",
    "volcano": "vc-scheduler",
    "flux": "flux",
}


def limits(name: str, settings: dict[str, str]) -> list[Limit]:
    adapter = get_scheduler(name, settings)
    return [one for one in adapter.limits(adapter.in_force, {}) if one.setting == quota.KEY]


@pytest.mark.parametrize("name", sorted(UNITS))
def test_a_quota_reaches_the_unit_and_nothing_else(name: str) -> None:
    adapter = get_scheduler(name, {"cpuquota": "5 %"})
    assert adapter.settings_problems({"cpuquota": "5 %"}) == []
    found = adapter.variables(adapter.in_force)
    assert found["schedlab_cpu_quotas"] == {f"{UNITS[name]}.service": "5%"}
    del found["schedlab_cpu_quotas"]
    plain = get_scheduler(name, {})
    assert found == plain.variables(plain.in_force)
    assert "quota" not in json.dumps(found).lower()


@pytest.mark.parametrize("name", sorted(UNITS))
def test_a_quota_is_of_a_daemon_whose_cost_is_counted_by_its_unit(name: str) -> None:
    (limit,) = limits(name, {"CPUQuota": "5 %"})
    processes = get_scheduler(name).cost_units()["head"][UNITS[name]]
    assert (limit.cores, limit.process) == (0.05, " + ".join(processes))
    assert limits(name, {}) == []
    wanted = [
        lift for lift in get_scheduler(name, {"CPUQuota": "5 %"}).lifts() if lift.name == "quota"
    ]
    assert [dict(lift.settings) for lift in wanted] == [{"CPUQuota": "10 %"}]
    assert all(lift.name != "quota" for lift in get_scheduler(name).lifts())


def test_every_scheduler_with_a_daemon_has_it() -> None:
    assert {
        name for name in scheduler_names() if quota.KEY in get_scheduler(name).native_settings
    } == set(UNITS)


@pytest.mark.parametrize("text", ["0 %", "5", "5.5 %", "-5 %", "10000 %", "max", "5 %\n", "٥ %"])
def test_a_quota_is_a_percentage(text: str) -> None:
    (found,) = get_scheduler("slurm").settings_problems({"CPUQuota": text})
    assert "whole percentage" in found.what


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("50ms", {"CPUQuota": "5 %"}),
        ("1s 500ms", {"CPUQuota": "150 %"}),
        ("1.500000s", {"CPUQuota": "150 %"}),
        ("370ms", {"CPUQuota": "37 %"}),
        ("infinity", {"CPUQuota": "none"}),
        ("nonsense", {}),
        ("5", {}),
    ],
)
def test_the_quota_in_force_is_what_systemd_says(
    tmp_path: Path, told: str, found: dict[str, str]
) -> None:
    (record,) = quota.command("x")
    assert quota.in_force(tmp_path) == {}
    (tmp_path / record).write_text(f"CPUQuotaPerSecUSec={told}\n")
    assert quota.in_force(tmp_path) == found


def test_a_quota_counts_for_at_most_the_processors_of_its_machine() -> None:
    (limit,) = limits("slurm", {"CPUQuota": "500 %"})
    assert (limit.on(2).cores, limit.on(8).cores, limit.on(None).cores) == (2, 5.0, 5.0)
    other = Limit("requests", "qps", 5.0, None)
    assert other.on(2) == other


def test_the_playbook_sets_it_on_the_head_alone_and_once() -> None:
    (play,) = yaml.safe_load(PLAYBOOK.read_text())
    (task,) = [task for task in play["post_tasks"] if "set-property" in str(task)]
    assert task["when"] == "'head' in group_names"
    assert task["ansible.builtin.command"]["argv"][:2] == ["systemctl", "set-property"]
    assert task["ansible.builtin.command"]["creates"].endswith("50-CPUQuota.conf")


@pytest.mark.parametrize(
    ("told", "fails"),
    [("5000 100000", False), ("500 10000", False), ("max 100000", True), ("50000 100000", True)],
)
def test_the_playbook_fails_where_the_kernel_does_not_hold_a_daemon_to_it(
    told: str, fails: bool
) -> None:
    (play,) = yaml.safe_load(PLAYBOOK.read_text())
    (task,) = [task for task in play["post_tasks"] if "cpu.max" in str(task)]
    decide = Environment().compile_expression(task["failed_when"])
    assert decide(setup_held={"stdout": told}, item={"key": "x", "value": "5%"}) is fails


def test_a_cluster_of_an_experiment_carries_it() -> None:
    found = load_experiment(
        ROOT / "config/saturation-quota.yaml", HostFacts(cores=2, memory_mib=24 * 1024), ROOT
    )
    given = {one.id: variables(one)["schedlab_cpu_quotas"] for one in found.clusters()}
    assert given.pop("tight-cycle-lifted-n2") == given["tight-n2"]
    assert given == {
        "tight-n2": {"slurmctld.service": "8%"},
        "tight-quota-lifted-n2": {"slurmctld.service": "16%"},
    }


def row(cluster: str, share: float, used: float, rate: float, **changes: Any) -> dict[str, Any]:
    limit = Limit("processor time", quota.KEY, None, None, cores=share, process="ctld")
    cost = {"node": "head", "process": "ctld", "group": "scheduler", "cpu_s": used}
    common = step(
        cluster, adapter="made", scheduling_mean_s=5.0, utilisation_steady=0.1, observed_s=100.0,
        daemon_cost=[cost, {**cost, "node": "compute1", "cpu_s": 99.0}],
        limits=json.dumps([limit._asdict()]), rate=rate,
    )  # fmt: skip
    return PARTS | common | changes


@pytest.mark.parametrize(
    ("used", "lift"), [(4.9, quota.KEY), (4.1, quota.KEY), (3.9, ""), (None, "")]
)
def test_a_quota_that_is_used_up_is_the_limiter(used: float | None, lift: str) -> None:
    found = limiter(row("a", 0.05, used, 1.0))  # type: ignore[arg-type]
    assert found.lift == lift
    if lift:
        assert "0.0500 are allowed; the record does not tell" in found.evidence


@pytest.mark.parametrize(
    ("used", "periods", "held", "lift"),
    [
        (4.1, 1000.0, 990.0, quota.KEY),
        (4.1, 1000.0, 0.0, ""),  # one thread that never wanted more
        (4.9, 1000.0, 400.0, ""),
        (3.0, 900.0, 600.0, quota.KEY),
        (1.0, 90.0, 80.0, ""),  # in short bursts alone
        (4.9, 0.0, 0.0, ""),  # nothing counts its periods: it has no quota
    ],
)
def test_a_quota_is_the_limiter_where_the_kernel_held_the_daemon_back(
    used: float, periods: float, held: float, lift: str
) -> None:
    one = row("a", 0.05, used, 1.0)
    one["daemon_cost"][0] |= {"quota_periods": periods, "throttled_periods": held}
    found = limiter(one)
    assert found.lift == lift
    if lift:
        assert f"held back in {100 * held / periods:.0f} % of the periods" in found.evidence


def test_twice_the_quota_should_sustain_twice_the_rate() -> None:
    trials = pd.DataFrame(
        [
            row(
                cluster,
                share,
                95 * share,
                rate * factor,
                sustained=factor < 1,
                precision=0.0,
                why_not=["queue"] * (factor > 1),
            )
            for cluster, share, rate in (("a", 0.05, 0.4), ("b", 0.1, 0.75))
            for factor in (0.98, 1.02)
        ]
    )
    pair = Lifting("a", "b", frozenset({quota.KEY}), {})
    (found,) = confirmations(trials, limiters(trials), [pair])
    assert (found.cluster, found.other, found.setting) == ("a", "b", quota.KEY)
    assert found.predicted == pytest.approx(0.8, rel=0.01)
    assert found.confirmed is True
