"""Requests of each client of the API server while the driver ran, from SYNTHETIC audit logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes_factory as made
import pytest

from schedlab.schedulers import get_scheduler
from schedlab.schedulers.limits import Limit

VOLCANO = "vc-scheduler/v0.0.0 (linux/amd64) kubernetes/$Format"
MANAGER = "kube-controller-manager/v1.34.4 (linux/amd64) kubernetes/14507e2/%s"
JOBS, NODES = (f"system:serviceaccount:kube-system:{name}-controller" for name in ("job", "node"))


def trial(folder: Path, lines: list[str], driver: dict[str, Any] | None) -> Path:
    """Native records of a trial."""
    native = folder / "native"
    for one in (native, folder / "driver"):
        one.mkdir(exist_ok=True)
    (native / "audit.log").write_text("".join(f"{line}\n" for line in lines))
    if driver is not None:
        (folder / "driver" / "driver.json").write_text(json.dumps(driver))
    return native


def limit(name: str, native: Path, setting: str) -> Limit:
    scheduler = get_scheduler(name)
    found = scheduler.limits(scheduler.in_force, scheduler.counters(native))
    return {one.setting: one for one in found}[setting]


def groups(second: float, count: int) -> list[str]:
    return [
        made.audit(second + 0.01 * number, "update", "podgroups", f"g{number}", agent=VOLCANO,
                   group="scheduling.volcano.sh")
        for number in range(count)
    ]  # fmt: skip


def bindings(second: float, count: int) -> list[str]:
    return [made.bound(second + 0.01 * n, f"job{n}-rank-0", "compute1") for n in range(count)]


SPAN = {"start_ns": made.at(10.0), "end_ns": made.at(50.0)}


def test_requests_before_and_after_the_driver_do_not_count(tmp_path: Path) -> None:
    lines = [*groups(1.0, 22), *groups(11.0, 44), *bindings(12.0, 6), *groups(51.0, 9)]
    found = limit("volcano", trial(tmp_path, lines, SPAN), "schedulerQps")
    # Kubernetes' clientset and Volcano's have the limit each: not 72 or 81.
    assert (found.counted, found.seconds) == (44.0, 40.0)
    assert found.client == "vc-scheduler for volcano.sh"
    # What all clients did since the server's start is a counter as before.
    counters = get_scheduler("volcano").counters(tmp_path / "native")
    assert counters["audit.vc-scheduler.update.podgroups"] == 75
    assert limit("volcano", tmp_path / "native", "controllerQps").counted is None


def test_every_controller_has_the_limit_for_itself(tmp_path: Path) -> None:
    def patches(controller: str, count: int, group: str = "", code: int = 200) -> list[str]:
        return [
            made.audit(20.0 + n, "update", "jobs/status", f"job{n}", agent=MANAGER % controller,
                       group=group, code=code)
            for n in range(count)
        ]  # fmt: skip

    # Clients of one clientset share its limit, whatever the API group; a refused request counts.
    lines = [*patches(JOBS, 5, "batch"), *patches(JOBS, 3), *patches(JOBS, 2, code=409)]
    lines += [*patches(NODES, 9), *patches("", 1)]
    found = limit("kubernetes", trial(tmp_path, lines, SPAN), "controllerQps")
    assert (found.counted, found.client) == (10.0, "job-controller for k8s.io")


@pytest.mark.parametrize(
    "driver", [None, {"start_ns": made.at(10.0)}, {"start_ns": 5, "end_ns": 5}, {"end_ns": None}]
)
def test_without_the_time_of_the_driver_nothing_is_counted(
    driver: dict[str, Any] | None, tmp_path: Path
) -> None:
    native = trial(tmp_path, groups(11.0, 4), driver)
    found = limit("volcano", native, "schedulerQps")
    assert (found.counted, found.seconds) == (None, None)
