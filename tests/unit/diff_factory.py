"""SYNTHETIC results to compare: records of every stage, written by hand, and tables of few trials.

make_results(root)               records and tables of one cluster
edited(root, copy, name, edit)   a copy in which one record is changed
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from trial_factory import START, make_experiment

from schedlab import design
from schedlab.bundle.open import opened
from schedlab.diff.infrastructure import Infrastructure, compare_infrastructure
from schedlab.diff.side import Side
from schedlab.results.records import SCHEMA, digest, file_digest, write_json
from schedlab.tables.schemas import TRIALS_SCHEMA

CLUSTER = "slurm-n1"
REPETITIONS = (1, 2, 3, 4)
"""The fewest trials of one trace that can show a difference."""
EXPERIMENT = make_experiment(
    nodes=[1],
    repetitions=4,
    workloads=[{"name": "burst", "kind": "burst", "jobs": 12, "runtime": 0}],
)
SLURM_CONF = "ClusterName=benchmark\nSchedulerType=sched/backfill\nNodeName=compute1 CPUs=2\n"
FLAGS = "fpu sse sse2 avx"

IMAGE, PROVISIONED, CONFIGURED = (
    "images/slurm/image",
    f"clusters/{CLUSTER}/provisioned",
    f"clusters/{CLUSTER}/configured",
)


def domain(node: str, identity: str = "0a1b2c3d", run: str = "77", vnet: int = 0) -> str:
    """Live XML of a node, as far as it matters; identity, run and host's names vary."""
    name = f"schedlab-{identity}-{CLUSTER}-{node}"
    uuid = f"{digest(identity)[:8]}-0000-4000-8000-{digest(node)[:12]}"
    mac = ":".join(digest(name)[i : i + 2] for i in range(0, 12, 2))
    return f"""<domain type='qemu' id='{vnet + 1}'>
  <name>{name}</name><uuid>{uuid}</uuid>
  <metadata><s:schedlab xmlns:s="https://schedlab.dev/libvirt/1" run="{run}"
    checkout="{identity}" cluster="{CLUSTER}" node="{node}"/></metadata>
  <memory unit='KiB'>786432</memory><vcpu placement='static'>2</vcpu>
  <cputune><vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='1' cpuset='1'/></cputune>
  <os><type arch='x86_64' machine='pc-q35-9.2'>hvm</type></os>
  <features><acpi/><apic/></features>
  <cpu mode='maximum'/>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe'/>
      <source file='/var/tmp/scratch-{run}/pool/{node}.qcow2' index='{vnet + 2}'/>
      <backingStore type='file' index='{vnet + 3}'><format type='qcow2'/>
        <source file='/home/{identity}/results/images/slurm/image/disk.qcow2'/></backingStore>
      <target dev='vda' bus='virtio'/><alias name='virtio-disk{vnet}'/></disk>
    <interface type='network'><mac address='{mac}'/>
      <source network='schedlab-{identity}-{CLUSTER}' portid='{uuid}' bridge='virbr{vnet}'/>
      <target dev='vnet{vnet}'/><model type='virtio'/></interface>
    <serial type='file'><source path='/var/tmp/scratch-{run}/{node}.log' append='on'/></serial>
  </devices>
  <seclabel type='dynamic' model='dac'><label>+{run}:+{run}</label></seclabel>
</domain>"""


CREATED = datetime.fromtimestamp(START / 1e9, UTC).isoformat()


def write_record(results: Path, name: str, stage: str, parents: tuple[str, ...], **content) -> None:
    """Write a record; `name` is its folder, or its file without the suffix."""
    body = {
        "schema": SCHEMA,
        "stage": stage,
        "id": name.partition("/")[2].replace("/", "." if stage == "trial" else "/") or name,
        "inputs": {f"workflow/schedlab/stages/{stage}.py": digest(stage)},
        "outputs": {"disk.qcow2": digest(f"{results} {name}")},  # of every build another
        "parents": {
            "trace" if parent.startswith("traces/") else parent.rpartition("/")[2]: {
                "id": load(results, parent)["id"],
                "path": record_path(Path(), parent).as_posix(),
                "lineage": load(results, parent)["lineage"],
                "record": file_digest(record_path(results, parent)),
            }
            for parent in parents
        },
        "command": f"schedlab {stage}",
        "source": {"commit": digest("commit")[:40], "dirty": False, "diff": None},
        **content,
    }
    write_json(
        record_path(results, name),
        body | {"lineage": digest(body), "created": CREATED, "duration": 1.5},
    )


def record_path(results: Path, name: str) -> Path:
    if name.startswith("traces/"):
        return results / f"{name}.record.json"
    return results / (f"{name}/record.json" if "/" in name else f"{name}.json")


def load(results: Path, name: str) -> dict[str, Any]:
    return json.loads(record_path(results, name).read_text())


def make_results(results: Path, identity: str = "0a1b2c3d", run: str = "77", vnet: int = 0) -> Path:
    """Records of every stage and some trials, the experiment file beside them.

    What `identity`, `run` and `vnet` vary is no difference.
    """
    results.mkdir(parents=True)
    (results / "experiments.yaml").write_text(yaml.safe_dump(EXPERIMENT.model_dump(mode="json")))
    tools = {
        "terraform": {"program": "tofu", "version": "1.12.6", "sha256": run, "source": "built"},
        "libvirtd": {"program": "libvirtd", "version": "11.3.0", "sha256": run, "source": "path"},
    }
    write_record(results, "toolchain", "toolchain", (), tools=tools)
    packages = ["linux-image-amd64=6.12.1-1", "slurmctld=24.11.5-4"]
    write_record(results, "images/slurm/base", "base", (), realised={"packages": packages[:1]})
    probe = {
        "requested": "auto",
        "accelerator": "tcg",
        "reason": f"/dev/kvm after {run} s",
        "seconds": float(run),
        "qemu_version": "10.0.3",
    }
    write_record(results, "accelerator", "accelerator", (), accelerator=probe)
    parents = ("images/slurm/base", "accelerator")
    write_record(results, IMAGE, "image", parents, realised={"packages": packages})
    uuid = f"{digest(run)[:8]}-1111-4111-8111-{digest(run)[:12]}"
    nodes = {
        name: {
            "os": "Debian GNU/Linux 13 (trixie)",
            "kernel": "6.12.1-amd64",
            "cmdline": f"BOOT_IMAGE=/boot/vmlinuz root=UUID={uuid} quiet",
            "clocksource": "tsc",
            "lscpu": {"Model name": "QEMU TCG", "Flags": FLAGS, "BogoMIPS": f"42{run}.1"},
        }
        for name in ("head", "compute1")
    }
    outputs = {
        "declared": {
            "sensitive": False,
            "value": {"head": {"vcpus": 1, "metadata": {"run": run, "checkout": identity}}},
        },
        "domains": {
            "sensitive": False,
            "value": {
                "head": {
                    "console": f"$SCRATCH/{run}/head.log",
                    "name": f"schedlab-{identity}-{CLUSTER}-head",
                    "uuid": uuid,
                }
            },
        },
        "network": {
            "sensitive": False,
            "value": {"bridge": f"virbr{vnet}", "cidr": "10.0.100.0/24"},
        },
        "key": {"sensitive": True, "value": f"secret {run}"},
    }
    settings = design.cluster_spec(EXPERIMENT, CLUSTER)
    realised = {"nodes": nodes, "packages": packages}
    write_record(
        results,
        PROVISIONED,
        "provision",
        (IMAGE, "accelerator", "toolchain"),
        realised=realised
        | {
            "domain_xml": {node: domain(node, identity, run, vnet) for node in nodes},
            "terraform_outputs": outputs,
            "qemu": {"user": "root", "why": "the job's own libvirtd starts it so"},
        },
        settings=design.provision_spec(EXPERIMENT, CLUSTER),
        tools={"terraform": "1.12.6"},
    )
    write_record(
        results,
        CONFIGURED,
        "configure",
        (PROVISIONED,),
        realised=realised
        | {
            "configuration": {"slurm.conf": SLURM_CONF},
            "tuning": [{"key": "vm.swappiness", "found": {node: {"a": "10"} for node in nodes}}],
        },
        settings=settings,
        tools={"ansible-core": "2.19.2"},
    )
    host = {"cpu": "Synthetic", "cores": 2, "memory_mib": 24576, "kernel": "6.1", "system": "D"}
    for repetition in REPETITIONS:
        ran = {"trace.json": digest(f"trace {repetition}")}
        name = f"burst-n1-r{repetition}"
        write_record(
            results, f"traces/{name}", "trace", (), outputs={f"{name}.json": ran["trace.json"]}
        )
        write_record(
            results,
            f"trials/{CLUSTER}/burst/{repetition}",
            "trial",
            (CONFIGURED, "toolchain", f"traces/{name}"),
            outputs=ran | {"translations.json": digest("translations")},
            trial={
                "cluster": CLUSTER,
                "scheduler": "slurm",
                "workload": "burst",
                "repetition": repetition,
                "order": repetition - 1,
                "nodes": 1,
                "cpus_per_node": 1,
            },
            verdict={"valid": True, "reasons": []},
            conditions={
                "accelerator": "tcg",
                "host": host | {"load_start": float(run)},
                "start_ns": START,
                "end_ns": START + 10**10,
                "clock": {"head": {"start": {"offset_ns": 0, "uncertainty_ns": 1}}},
            },
            tools={"prometheus": "2.53.3"},
        )
    write_trials(results, [trial(results, r) for r in REPETITIONS])
    return results


def trial(results: Path, repetition: int, cluster: str = CLUSTER, **columns: Any) -> dict[str, Any]:
    """Row of the trials table; `columns` are changed, such as ``makespan_s``."""
    path = f"trials/{cluster}/burst/{repetition}"
    known = record_path(results, path).is_file()
    return {
        "trial": f"{cluster}.burst.{repetition}",
        "cluster": cluster,
        "scheduler": "slurm",
        "workload": "burst",
        "repetition": repetition,
        "nodes": int(cluster.rpartition("-n")[2]),
        "lineage": load(results, path)["lineage"] if known else digest(f"{results} {path}"),
        "parent": digest(cluster),
        "trace": digest("burst"),
        "accelerator": "tcg",
        "host": digest("host"),
        "valid": True,
        "throughput_jobs_per_s": 2.0,
        "makespan_s": 10.0,
        "utilisation": 0.5,
        "wait_median_s": 1.0,
        **columns,
    }


def write_trials(
    results: Path, rows: list[dict[str, Any]], schema: pa.Schema = TRIALS_SCHEMA
) -> None:
    """Write the trials table."""
    (results / "tables").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), results / "tables" / "trials.parquet")


def edited(results: Path, target: Path, name: str, edit: Callable[[dict[str, Any]], Any]) -> Path:
    """Copy results and change one record of the copy in place."""
    shutil.copytree(results, target)
    record = load(target, name)
    before = copy.deepcopy(record)
    edit(record)
    assert record != before, "the edit changes nothing"
    write_json(record_path(target, name), record)
    return target


def realised(*keys: str, to: Any) -> Callable[[dict[str, Any]], None]:
    """Edit for `edited`: set the value at nested keys of what was realised."""
    return changed("realised", *keys, to=to)


def changed(*keys: str, to: Any) -> Callable[[dict[str, Any]], None]:
    """Edit for `edited`: set the value at nested keys."""

    def edit(record: dict[str, Any]) -> None:
        place = record
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return edit


def compare(a: Path, b: Path) -> Infrastructure:
    """Compare the infrastructure of two results folders."""
    with opened(a) as one, opened(b) as other:
        return compare_infrastructure(Side(one), Side(other))
