"""The playbooks and roles: lint (production profile), syntax, inventory, rendered settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from schedlab.schedulers import get_scheduler, image_roles, scheduler_names
from schedlab.sources.ansible import FAMILIES

pytestmark = pytest.mark.infrastructure

ANSIBLE = Path(__file__).resolve().parents[2] / "workflow/infrastructure/ansible"
PLAYBOOKS = sorted((ANSIBLE / "playbooks").glob("*.yml"))
ROLES = sorted(path for path in (ANSIBLE / "roles").iterdir() if path.is_dir())

OUTPUTS = {
    "inventory": {
        "value": {
            "cluster": "slurm-n2",
            "user": "bench",
            "domain": "benchmark.local",
            "hosts": {
                "head": {"role": "head", "address": "10.0.100.10", "vcpus": 1, "memory_mib": 1024},
                "compute1": {
                    "role": "compute", "address": "10.0.100.11", "vcpus": 2, "memory_mib": 768
                },
                "compute2": {
                    "role": "compute", "address": "10.0.100.12", "vcpus": 2, "memory_mib": 768
                },
            },
        }
    }
}  # fmt: skip


def tool(name: str) -> str:
    found = shutil.which(
        name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(OUTPUTS))
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
        "SCHEDLAB_TERRAFORM_OUTPUTS": str(outputs),
        "NO_COLOR": "1",
    }


def test_lint_finds_nothing_in_the_production_profile(environment: dict[str, str]) -> None:
    lint = tool("ansible-lint")
    done = subprocess.run(
        [lint, "--offline", "--profile", "production", "--strict", "playbooks", "roles"],
        cwd=ANSIBLE, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(ANSIBLE / ".ansible", ignore_errors=True)


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_syntax(playbook: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [tool("ansible-playbook"), "--syntax-check", "--inventory",
         str(ANSIBLE / "inventory/terraform.py"), str(playbook)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # The group `head` has one node, which is also named `head` in the cluster.
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert [w for w in warnings if "both group and host with same name: head" not in w] == []


def role_defaults(role: str) -> dict[str, Any]:
    path = ANSIBLE / "roles" / role / "defaults/main.yml"
    return dict(yaml.safe_load(path.read_text())) if path.exists() else {}


@pytest.mark.parametrize("name", scheduler_names())
def test_every_variable_that_a_role_requires_is_given(name: str, tmp_path: Path) -> None:
    """The adapter or the inventory gives every variable, and no variable that no role has."""
    scheduler = get_scheduler(name)
    given = scheduler.variables(scheduler.merged_settings({}))
    given |= scheduler.secret_variables(tmp_path)
    required, known = set(), set()
    for role in scheduler.roles:
        path = ANSIBLE / "roles" / role / "meta/argument_specs.yml"
        options = yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
        required |= {key for key, option in options.items() if option.get("required")}
        known |= set(options)
    inventory = {"schedlab_cluster_name", "schedlab_domain", "schedlab_os_family"}
    assert required <= {*given, *inventory}
    assert set(given) <= known


@pytest.mark.parametrize("name", scheduler_names())
def test_every_role_of_an_image_has_an_install_part_and_checks(name: str) -> None:
    for role in image_roles(get_scheduler(name).image):
        folder = ANSIBLE / "roles" / role
        assert (folder / "tasks/install.yml").exists()
        subprocess.run(["sh", "-n", str(folder / "files/verify.sh")], check=True)
        # Where a role has variables of one family, it has those of each.
        stated = {path.stem for path in (folder / "vars").glob("[A-Z]*.yml")}
        assert stated in (set(), set(FAMILIES))
        known = [
            set(yaml.safe_load((folder / "vars" / f"{family}.yml").read_text()))
            for family in sorted(stated)
        ]
        assert not known or known[0] == known[1]


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_role_is_described(role: Path) -> None:
    assert (role / "README.md").read_text().startswith(f"# {role.name}\n")
    specification = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    options = specification["argument_specs"]["main"]["options"]
    defaults = role_defaults(role.name)
    assert set(defaults) <= set(options)
    for name, text in defaults.items():
        if "default" in options[name]:
            assert options[name]["default"] == text


def inventory(environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [str(ANSIBLE / "inventory/terraform.py"), "--list"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_inventory_comes_from_terraforms_outputs(environment: dict[str, str]) -> None:
    found = inventory(environment)
    assert found["head"] == {"hosts": ["head"]}
    assert found["compute"] == {"hosts": ["compute1", "compute2"]}
    assert found["_meta"]["hostvars"]["compute2"] == {
        "ansible_host": "10.0.100.12",
        "schedlab_cpus": 2,
        "schedlab_memory_mib": 768,
    }
    assert found["all"]["vars"] == {
        "ansible_user": "bench",
        "schedlab_cluster_name": "slurm-n2",
        "schedlab_domain": "benchmark.local",
    }


def test_inventory_without_outputs_says_what_is_missing(environment: dict[str, str]) -> None:
    del environment["SCHEDLAB_TERRAFORM_OUTPUTS"]
    done = subprocess.run(
        [str(ANSIBLE / "inventory/terraform.py"), "--list"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "SCHEDLAB_TERRAFORM_OUTPUTS" in done.stderr


def rendered(
    environment: dict[str, str],
    role: str,
    template: str,
    host: str,
    scheduler: str = "slurm",
    settings: Mapping[str, str] | None = None,
    **variables: Any,
) -> str:
    """A role's template, with the variables of inventory and adapter, and the role's defaults."""
    adapter = get_scheduler(scheduler)
    found = inventory(environment)
    groups = {name: found[name]["hosts"] for name in ("head", "compute")}
    jinja = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    path = ANSIBLE / "roles" / role / "templates" / template
    return jinja.from_string(path.read_text()).render(
        ansible_managed="Ansible managed",
        inventory_hostname=host,
        ansible_host=found["_meta"]["hostvars"][host]["ansible_host"],
        group_names=[name for name, hosts in groups.items() if host in hosts],
        groups=groups,
        hostvars=found["_meta"]["hostvars"],
        **found["all"]["vars"],
        **role_defaults(role)
        | adapter.variables(adapter.merged_settings(settings or {}))
        | variables,
    )


def tuning_table() -> list[dict[str, str]]:
    text = (ANSIBLE / "roles/common/vars/tuning.yml").read_text()
    found: list[dict[str, str]] = yaml.safe_load(text)["common_tuning"]
    return found


@pytest.mark.parametrize(
    ("template", "kind", "form"),
    [
        ("sysctl.conf.j2", "sysctl", "-{key} = {value}"),
        ("tmpfiles.conf.j2", "file", "w {key} - - - - {value}"),
        ("limits.conf.j2", "limit", "* - {lower} {value}"),
        ("system.conf.j2", "limit", "DefaultLimit{key}={systemd}"),
    ],
)
def test_every_setting_of_the_kernel_is_written(template: str, kind: str, form: str) -> None:
    table = tuning_table()
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = (ANSIBLE / "roles/common/templates" / template).read_text()
    lines = jinja.from_string(text).render(ansible_managed="", common_tuning=table).splitlines()
    written = {line for line in lines if line and line[0] not in "#["}
    assert written == {
        form.format(
            **row, lower=row["key"].lower(), systemd=row["value"].replace("unlimited", "infinity")
        )
        for row in table
        if row["kind"] == kind
    }
    assert written


def test_every_node_knows_every_name(environment: dict[str, str]) -> None:
    lines = rendered(environment, "common", "hosts.j2", "compute1").splitlines()
    assert "10.0.100.10 head.benchmark.local head" in lines
    assert "10.0.100.12 compute2.benchmark.local compute2" in lines


@pytest.mark.parametrize("host", ["head", "compute1"])
def test_no_clock_ever_steps(environment: dict[str, str], host: str) -> None:
    text = rendered(environment, "common", "chrony.conf.j2", host)
    settings = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert not [s for s in settings if s.split()[0] in ("makestep", "rtcsync", "initstepslew")]
    serves = "local stratum 8" in settings
    follows = [s for s in settings if s.startswith("server 10.0.100.10 ")]
    assert (serves, bool(follows)) == ((True, False) if host == "head" else (False, True))


def test_slurm_conf_describes_the_cluster(environment: dict[str, str]) -> None:
    lines = rendered(environment, "slurm", "slurm.conf.j2", "head").splitlines()
    assert "ClusterName=slurm-n2" in lines
    assert "SlurmctldHost=head(10.0.100.10)" in lines
    assert "LogTimeFormat=iso8601_ms" in lines
    assert any(re.match(r"NodeName=compute2 NodeAddr=10\.0\.100\.12 CPUs=2 ", x) for x in lines)
    assert any(x.startswith("PartitionName=main Nodes=compute1,compute2 ") for x in lines)
    tiers = [int(x.rpartition("PriorityTier=")[2]) for x in lines if x.startswith("Partition")]
    assert len(tiers) == len(set(tiers)) == 3
    assert sum("Default=YES" in x for x in lines) == 1
    own = ("#", "NodeName", "PartitionName")
    keys = [x.partition("=")[0].lower() for x in lines if x and not x.startswith(own)]
    assert len(keys) == len(set(keys))


VIRTUAL = {
    "cpus": 64,
    "memory_mib": 1000,
    "carriers": {"compute1": [1, 3, 5], "compute2": [2]},
}


def test_slurm_conf_describes_virtual_nodes(environment: dict[str, str]) -> None:
    text = rendered(environment, "slurm", "slurm.conf.j2", "head", slurm_virtual=VIRTUAL)
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("NodeName=")] == [
        "NodeName=compute[1,3,5] NodeHostname=compute1 NodeAddr=10.0.100.11 Port=[17001-17003]"
        " CPUs=64 RealMemory=800 State=UNKNOWN",
        "NodeName=compute[2] NodeHostname=compute2 NodeAddr=10.0.100.12 Port=17001"
        " CPUs=64 RealMemory=800 State=UNKNOWN",
    ]
    assert "SlurmdParameters=config_overrides" in lines
    # The daemons of a carrier share no folder and no file.
    own = [line for line in lines if line.startswith(("SlurmdSpool", "SlurmdLog", "SlurmdPid"))]
    assert len(own) == 3
    assert all("%n" in line for line in own)
    assert any(line.startswith("PartitionName=main Nodes=ALL ") for line in lines)
    others = ("#", "NodeName", "PartitionName")
    keys = [x.partition("=")[0].lower() for x in lines if x and not x.startswith(others)]
    assert len(keys) == len(set(keys))


def test_a_carrier_starts_the_daemons_of_its_own_nodes(environment: dict[str, str]) -> None:
    target = rendered(
        environment, "slurm", "schedlab-slurmds.target.j2", "compute1", slurm_virtual=VIRTUAL
    )
    assert re.findall(r"^Wants=schedlab-slurmd@(.*)[.]service$", target, re.M) == [
        "compute1",
        "compute3",
        "compute5",
    ]
    unit = rendered(environment, "slurm", "schedlab-slurmd@.service.j2", "compute1")
    assert "ExecStart=/usr/sbin/slurmd -D -N %i\n" in unit


def kwok_stages(environment: dict[str, str], **delays: list[list[float]]) -> dict[str, Any]:
    """Stages and options that KWOK gets on a carrier, by name."""
    virtual = VIRTUAL | {"lease": 40, "delays": {"start": [], "completion": []} | delays}
    own = {"scheduler": "volcano", "kubernetes_virtual": virtual}
    names = rendered(environment, "kubernetes", "kwok.env.j2", "compute1", **own)
    assert "KWOK_NODES=compute1 compute3 compute5" in names.splitlines()
    text = rendered(environment, "kubernetes", "kwok.yaml.j2", "compute1", **own)
    return {one["metadata"]["name"]: one for one in yaml.safe_load_all(text)}


def test_kwok_plays_the_nodes_of_its_carrier(environment: dict[str, str]) -> None:
    found = kwok_stages(environment)
    options = found.pop("kwok")["options"]
    assert options["manageNodesWithLabelSelector"] == "schedlab/carrier=compute1"
    assert (options["nodeIP"], options["nodeLeaseDurationSeconds"]) == ("10.0.100.11", 40)
    assert list(found) == [
        "node-initialize", "pod-start-1", "pod-complete-1", "pod-deadline", "pod-delete",
    ]  # fmt: skip
    assert "delay" not in found["pod-start-1"]["spec"]
    delay = found["pod-complete-1"]["spec"]["delay"]
    # The payload's time, without jitter.
    assert list(delay) == ["durationFrom"]
    pod = {"spec": {"containers": [{"args": ["", "0", "0", "2.500000", "sleep"]}]}}
    assert jq(delay["durationFrom"]["expressionFrom"], pod) == "2500000us"
    for name in ("pod-complete-1", "pod-deadline"):
        rule = found[name]["spec"]["selector"]["matchExpressions"][-1]
        for limit in (2, 60):
            told = jq(rule["key"], {"spec": pod["spec"] | {"activeDeadlineSeconds": limit}})
            assert (json.dumps(told) in rule["values"]) == (
                (name == "pod-deadline") == (limit == 2)
            )


def test_delays_are_a_stage_for_each_interval_of_equal_probability(
    environment: dict[str, str],
) -> None:
    found = kwok_stages(
        environment, start=[[0.5, 1.25], [1.25, 4.0]], completion=[[0.1, 0.1], [0.1, 0.3]]
    )
    kinds = [name for name in found if name.startswith(("pod-start", "pod-complete"))]
    assert kinds == ["pod-start-1", "pod-start-2", "pod-complete-1", "pod-complete-2"]
    assert {found[name]["spec"]["weight"] for name in kinds} == {1}
    pod = {"spec": {"containers": [{"args": ["", "0", "0", "2.500000", "sleep"]}]}}
    told = [
        [jq(delay[key]["expressionFrom"], pod) for key in ("durationFrom", "jitterDurationFrom")]
        for delay in (found[name]["spec"]["delay"] for name in kinds)
    ]
    assert told == [
        ["500000us", "1250000us"],
        ["1250000us", "4000000us"],
        ["2600000us", "2600000us"],
        ["2600000us", "2800000us"],
    ]


def jq(expression: str, value: dict[str, Any]) -> Any:
    """Result of a jq expression; KWOK evaluates them with a program of its own."""
    done = subprocess.run(
        [tool("jq"), expression],
        input=json.dumps(value),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


STUBS = {
    "scontrol": 'shift 2; for n in $(echo "$1" | tr -d "compute[]" | tr , " "); do echo compute$n;'
    " done",
    # Every node is idle once it was started, but compute3 only once it was started twice.
    "sinfo": "for a; do case $a in --nodes=*) list=${a#--nodes=};; esac; done;"
    # It is in two partitions, and has a line for each.
    ' for n in $(echo "$list" | tr , " "); do if [ -e "$STATE/$n" ]; then echo "$n idle";'
    ' echo "$n idle";'
    ' else echo "$n $LOST"; fi; done',
    "systemctl": 'word=$1; shift; echo "$word" "$@" >> "$STATE/calls"; for u; do'
    " n=${u#*@}; n=${n%.service}; case $word:$n in"
    ' is-active:*) if [ -e "$STATE/$n" ]; then echo active; else echo inactive; fi;;'
    " start:compute3) ;; restart:compute3) [ $COMES = yes ] && touch $STATE/$n;;"
    ' *) touch "$STATE/$n";; esac; done; true',
    "sleep": "true",
}


@pytest.mark.parametrize("lost", ["unknown", "idle*", "down"])
@pytest.mark.parametrize("comes", ["yes", "no"])
def test_a_virtual_node_that_does_not_register_is_started_again(
    tmp_path: Path, comes: str, lost: str
) -> None:
    for name, text in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    state = tmp_path / "state"
    state.mkdir()

    def start(nodes: list[int]) -> subprocess.CompletedProcess[str]:
        search = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["sh", str(ANSIBLE / "roles/slurm/files/schedlab-slurmds"),
             f"compute[{','.join(map(str, nodes))}]"],
            env=os.environ
            | {"PATH": search, "STATE": str(state), "COMES": comes, "LOST": lost},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    done = start(list(range(1, 20)))
    calls = (state / "calls").read_text().splitlines()
    again = [call for call in calls if call.startswith("restart")]
    assert set(again) == {"restart schedlab-slurmd@compute3.service"}
    if comes == "yes":
        assert (done.returncode, done.stdout.splitlines()[-1], len(again)) == (0, "19", 1)
        # A batch is complete before the next begins.
        begun = [call for call in calls if call.split()[0] in ("start", "restart")]
        assert [call.split()[0] for call in begun] == ["start", "restart", "start"]
        assert start(list(range(1, 20))).stdout.splitlines()[-1] == "0"
    else:
        assert done.returncode == 1
        assert "the controller cannot use compute3 though" in done.stderr
        assert len(again) == 5


@pytest.mark.parametrize("name", scheduler_names())
def test_the_collector_reads_the_adapters_processes_and_what_it_asks_for(
    environment: dict[str, str], name: str
) -> None:
    template = "schedlab-exporter.service.j2"
    daemons = get_scheduler(name).daemons()
    for host, role in (("head", "head"), ("compute1", "compute")):
        text = rendered(environment, "monitoring", template, host, name)
        (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
        words = start.split()
        assert words[words.index("--processes") + 1] == ",".join(daemons[role])
        units = list(get_scheduler(name).cost_units()[role])
        assert ("--units" in words) == bool(units)
        if units:
            assert words[words.index("--units") + 1] == ",".join(units)
        counters = "--counters schedlab_slurm_sdiag=sdiag --counters-period 5"
        assert start.endswith(counters) == (name == "slurm" and host == "head")
        assert ("sdiag" in start) == (name == "slurm" and host == "head")


def test_guests_listen_where_they_are_read_and_know_who_asks(environment: dict[str, str]) -> None:
    """Ports that are open to a network are those of the cluster's; no client is anonymous."""
    for host, address in (("head", "10.0.100.10"), ("compute1", "10.0.100.11")):
        node = rendered(
            environment,
            "monitoring",
            "schedlab-node-exporter.service.j2",
            host,
            monitoring_node_exporter="/usr/bin/node_exporter",
        )
        assert f"--web.listen-address={address}:9100 " in node
        own = rendered(environment, "monitoring", "schedlab-exporter.service.j2", host)
        assert f"--address {address} --port 9101 " in own
    roles = ANSIBLE / "roles"
    plane = roles / "kubernetes/files/disk/etc/systemd/system"
    assert "--anonymous-auth=false" in (plane / "kube-apiserver.service").read_text()
    for name in ("kube-scheduler", "kube-controller-manager"):
        assert "--bind-address=127.0.0.1" in (plane / f"{name}.service").read_text()
    volcano = roles / "volcano/files/disk/etc/systemd/system/vc-scheduler.service"
    assert "--listen-address=${SCHEDLAB_ADDRESS}:8080" in volcano.read_text()
    arguments = rendered(environment, "kubernetes", "arguments.env.j2", "head", "volcano")
    assert "SCHEDLAB_ADDRESS=10.0.100.10\n" in arguments
    assert "listen-address" not in arguments
    tuning = yaml.safe_load((roles / "common/vars/tuning.yml").read_text())["common_tuning"]
    # They may start before the address is there.
    assert {row["key"]: row.get("value") for row in tuning}["net.ipv4.ip_nonlocal_bind"] == "1"


def test_slurms_api_has_room_for_every_submission_and_listens_where_the_driver_looks() -> None:
    """Connections are kept, so a connection over slurmrestd's limit would wait for ever."""
    from schedlab.schedulers.slurm.submission import RECORD, SERVER
    from schedlab.stages.trial import MOST_SUBMISSIONS

    role = ANSIBLE / "roles/slurm"
    unit = (role / "templates/slurmrestd.service.j2").read_text()
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    words = start.split()
    assert words[-1] == SERVER["url"]
    assert int(words[words.index("--max-connections") + 1]) > MOST_SUBMISSIONS
    tasks = yaml.safe_load((role / "tasks/head.yml").read_text())
    assert tasks[-1]["ansible.builtin.copy"]["dest"] == RECORD


def test_no_key_of_slurm_conf_can_be_written_twice() -> None:
    """A key is in the template and reserved, or is a default that experiments may override."""
    from schedlab.schedulers.slurm.adapter import _RESERVED, Slurm

    template = (ANSIBLE / "roles/slurm/templates/slurm.conf.j2").read_text()
    written = set(re.findall(r"^([A-Za-z]+)=", template, re.M))
    assert written <= set(_RESERVED)
    assert not written & set(Slurm.native_settings)


def flux_toml(
    environment: dict[str, str], virtual: dict[str, Any] | None = None, **settings: str
) -> dict[str, Any]:
    """The instance's configuration with an experiment's settings, read as Flux reads it."""
    given = {"flux_virtual": virtual} if virtual else {}
    return tomllib.loads(
        rendered(environment, "flux", "schedlab.toml.j2", "head", "flux", settings, **given)
    )


def test_fluxs_configuration_describes_the_cluster(environment: dict[str, str]) -> None:
    read = flux_toml(environment)
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


def test_fluxs_scheduler_is_what_the_settings_say(environment: dict[str, str]) -> None:
    simple = flux_toml(environment, queueDepth="64")
    assert simple["modules"]["sched-simple"]["args"] == ["queue-depth=64"]
    fluxion = flux_toml(environment, scheduler="fluxion", policy="easy", queueDepth="64")
    assert fluxion["modules"]["alternatives"]["sched"] == "sched-fluxion-qmanager"
    queue = fluxion["sched-fluxion-qmanager"]
    assert (queue["queue-policy"], queue["queue-params"]["queue-depth"]) == ("easy", 64)
    match = fluxion["sched-fluxion-resource"]
    assert (match["match-policy"], match["match-format"]) == ("first", "rv1_nosched")


@pytest.mark.parametrize("scheduler", ["simple", "fluxion"])
def test_one_broker_has_all_virtual_nodes(environment: dict[str, str], scheduler: str) -> None:
    delays = {"start": [[0.05, 0.1], [0.1, 1.0]], "completion": []}
    virtual = VIRTUAL | {"cpus": 64, "delays": delays, "told": "start 0.05 to 1 s"}
    read = flux_toml(environment, virtual, scheduler=scheduler)
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
    real = flux_toml(environment, scheduler=scheduler)
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
