"""Flux's role: the instance's configuration and its units."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from rendering import ANSIBLE, VIRTUAL, rendered

pytestmark = pytest.mark.infrastructure


def flux_toml(virtual: dict[str, Any] | None = None, **settings: str) -> dict[str, Any]:
    """The instance's configuration with an experiment's settings, read as Flux reads it."""
    given = {"flux_virtual": virtual} if virtual else {}
    return tomllib.loads(rendered("flux", "schedlab.toml.j2", "head", "flux", settings, **given))


def test_fluxs_configuration_describes_the_cluster() -> None:
    read = flux_toml()
    bootstrap = read["bootstrap"]
    assert [entry["host"] for entry in bootstrap["hosts"]] == ["head", "compute1", "compute2"]
    assert bootstrap["curve_cert"] == "/etc/flux/curve.cert"
    assert read["resource"]["exclude"] == "head"
    assert read["resource"]["config"] == [
        {"hosts": "head", "cores": "0"},
        {"hosts": "compute1", "cores": "0-1"},
        {"hosts": "compute2", "cores": "0-1"},
    ]
    assert read["modules"]["alternatives"]["sched"] == "sched-simple"
    assert "exec" not in read, "without an IMP the owner's jobs run"


def test_fluxs_scheduler_is_what_the_settings_say() -> None:
    simple = flux_toml(queueDepth="64")
    assert simple["modules"]["sched-simple"]["args"] == ["queue-depth=64"]
    fluxion = flux_toml(scheduler="fluxion", policy="easy", queueDepth="64")
    assert fluxion["modules"]["alternatives"]["sched"] == "sched-fluxion-qmanager"
    queue = fluxion["sched-fluxion-qmanager"]
    assert (queue["queue-policy"], queue["queue-params"]["queue-depth"]) == ("easy", 64)
    match = fluxion["sched-fluxion-resource"]
    assert (match["match-policy"], match["match-format"]) == ("first", "rv1_nosched")


@pytest.mark.parametrize("scheduler", ["simple", "fluxion"])
def test_one_broker_has_all_virtual_nodes(scheduler: str) -> None:
    delays = {"start": [[0.05, 0.1], [0.1, 1.0]], "completion": []}
    virtual = VIRTUAL | {"cpus": 64, "delays": delays, "told": "start 0.05 to 1 s"}
    read = flux_toml(virtual, scheduler=scheduler)
    # With the table, Flux would wait for brokers, and give ranks to the hosts of the table alone.
    assert "bootstrap" not in read
    resource = read["resource"]
    assert (resource["exclude"], resource["noverify"]) == ("head", True)
    assert resource["config"] == [
        {"hosts": "head", "cores": "0"},
        {"hosts": "compute[1-4]", "cores": "0-63"},
    ]
    assert read["modules"]["resource"]["args"] == ["monitor-force-up"]
    assert read["schedlab"]["virtual"] == {
        "nodes": 4, "carriers": 2, "delays": "start 0.05 to 1 s", **delays,
    }  # fmt: skip
    real = flux_toml(scheduler=scheduler)
    assert "schedlab" not in real and "noverify" not in real["resource"]
    assert "resource" not in real["modules"]
    for table in set(real) - {"bootstrap", "resource", "modules"}:
        assert read[table] == real[table]


def test_fluxs_units_are_where_the_adapter_looks() -> None:
    from schedlab.schedulers.flux import adapter, jobspec

    units = ANSIBLE / "roles/flux/files/disk/etc/systemd/system"
    submitter = (units / "schedlab-flux.service").read_text()
    assert f"{jobspec.SOCKET} {adapter.JOURNAL} --metrics {adapter.METRICS_PORT}\n" in submitter
    broker = (units / "flux.service").read_text()
    assert f"--config-path={adapter.CONFIGURATION} " in broker
    # All jobs are the owner's, who must be the user that the driver runs as.
    assert "User=bench\n" in broker and "User=bench\n" in submitter
    assert "-Slocal-uri=local:///run/flux/local" in broker
    assert "Environment=FLUX_URI=local:///run/flux/local\n" in submitter
    tasks = (ANSIBLE / "roles/flux/tasks/configure.yml").read_text()
    assert tasks.count("no_log: true") == 2, "the certificate is in no log"
