"""Flux's role: the instance's configuration and its units."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
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


OWN_OPTIONS = (
    "log-stderr-level=6",
    "log-forward-level=-1",
    "log-stderr-mode=local",
    "broker.rc2_none",
    "broker.quorum=1",
    "broker.quorum-warn=none",
    "broker.cleanup-timeout=45",
    "broker.shutdown-timeout=5m",
    "broker.exit-norestart=42",
    "broker.sd-notify=1",
    "broker.sd-stop-timeout=90",
    "broker.module-nopanic=1",
    "content.dump=auto",
    "content.restore=auto",
    "cron.directory=/etc/flux/system/cron.d",
    "rundir=/run/flux",
    "statedir=/var/lib/flux",
    "local-uri=local:///run/flux/local",
)
"""Of etc/flux.service.in of flux-core 0.85.0 to 0.88.0, which are equal in all."""
LEFT_OUT = {"broker.module-nopanic=1", "cron.directory=/etc/flux/system/cron.d"}
"""The role's README says why."""


def test_the_broker_has_the_options_of_fluxs_own_unit() -> None:
    role = ANSIBLE / "roles/flux"
    unit = (role / "files/disk/etc/systemd/system/flux.service").read_text()
    assert set(re.findall(r"-S(\S+)", unit)) == set(OWN_OPTIONS) - LEFT_OUT
    told = (role / "README.md").read_text()
    for option in LEFT_OUT:
        assert f"- `{option.partition('=')[0]}`: " in told


def test_the_submitter_outlives_the_broker() -> None:
    """A restart fault stops and starts flux.service alone, which would not start the submitter."""
    units = ANSIBLE / "roles/flux/files/disk/etc/systemd/system"
    submitter = (units / "schedlab-flux.service").read_text()
    assert not re.search(r"^(PartOf|BindsTo|Requires)=", submitter, re.MULTILINE)
    assert "\nRestart=always\n" in submitter and "\nStartLimitIntervalSec=0\n" in submitter


def program(folder: Path, name: str, text: str) -> None:
    """A program of this name in place of the real one."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("fluxion", [False, True])
@pytest.mark.parametrize("lacks", ["", "sched-simple", "sched-fluxion-qmanager"])
def test_the_image_runs_a_job_with_every_scheduler(
    tmp_path: Path, fluxion: bool, lacks: str
) -> None:
    text = (ANSIBLE / "roles/flux/files/verify.sh").read_text()
    (part,) = re.findall(r"^folder=.*?^done$", text, re.MULTILINE | re.DOTALL)
    programs, modules = tmp_path / "bin", tmp_path / "lib/flux/modules"
    programs.mkdir()
    modules.mkdir(parents=True)
    if fluxion:
        (modules / "sched-fluxion-qmanager.so").touch()
    program(programs, "runuser", 'shift 3; exec "$@"')
    program(
        programs,
        "flux",
        'case $1 in start) cat "${2#--config-path=}"; shift 2; exec "$@" ;;'
        f' module) test "$3" != "{lacks}" ;; run) echo job ;; esac',
    )
    head = f'set -eu\nprefix={tmp_path}\nfail() {{ echo "verify: $1"; exit 1; }}\n'
    done = subprocess.run(
        ["sh", "-c", head + part], env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    wanted = ["sched-simple", "sched-fluxion-qmanager"][: 1 + fluxion]
    if lacks in wanted:
        assert done.returncode == 1 and f"an instance with {lacks} does not run" in done.stdout
        return
    assert done.returncode == 0, done.stderr
    assert re.findall(r'sched = "(.*)"', done.stdout) == wanted
    assert done.stdout.count("job\n") == len(wanted)


@pytest.mark.parametrize(
    ("active", "state", "right"),
    [("active", "run", True), ("inactive", "", False), ("failed", "run", False)],
)
def test_a_broker_that_does_not_run_fails_the_role(
    tmp_path: Path, active: str, state: str, right: bool
) -> None:
    program(tmp_path, "runuser", 'shift 3; exec "$@"')
    program(tmp_path, "systemctl", f"echo {active}")
    # Once the broker has no answer yet.
    program(tmp_path, "flux", f"test -e {tmp_path}/asked && echo {state}; touch {tmp_path}/asked")
    program(tmp_path, "journalctl", "echo no module sched-simple")
    tasks = {"ansible.builtin.include_tasks": str(ANSIBLE / "roles/flux/tasks/running.yml")}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [tasks]}
    given = {"ansible_user": "bench", "ansible_python_interpreter": sys.executable}
    book = tmp_path / "book.yml"
    book.write_text(json.dumps([play | {"vars": given}]))
    done = subprocess.run(
        ["ansible-playbook", "--inventory=localhost,", "--connection=local", str(book)],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == right, done.stdout
    assert "changed=0" in done.stdout
    if not right:
        assert "no module sched-simple" in done.stdout and "remedy: " in done.stdout


def test_the_role_waits_for_the_broker_before_the_submitter() -> None:
    main = (ANSIBLE / "roles/flux/tasks/main.yml").read_text()
    parts = [main.index(text) for text in ("name: flux\n", "running.yml", "name: schedlab-flux")]
    assert parts == sorted(parts)
