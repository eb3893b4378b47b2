"""SYNTHETIC records of stages, in the form that real stages leave behind. Nothing was built.

write_record(path, ...)         one record
make_records(results, ...)      those before the trials: images, clusters, host
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from schedlab import design
from schedlab.config.model import Experiment
from schedlab.results.parentage import described_at
from schedlab.results.records import (
    SCHEMA,
    digest,
    digests,
    file_digest,
    lineage,
    load_record,
    write_json,
)

ROOT = Path(__file__).resolve().parents[2]
SOURCE = {"commit": "c0ffee" + "0" * 34, "dirty": False, "diff": None}
"""Source that the synthetic records name."""


def put(content: Any, path: Sequence[Any], value: Any) -> Any:
    """Set the value at a path of keys within nested mappings and lists; return them."""
    here = content
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return content


def write_record(
    path: Path,
    results: Path,
    stage: str,
    identifier: str,
    parents: Mapping[str, Path] | None = None,
    *,
    inputs: Iterable[Path] = (),
    outputs: Iterable[Path] = (),
    created: str = "2026-09-20T10:00:00+00:00",
    duration: float = 12.5,
    **content: Any,
) -> Path:
    """Write a record at a fixed time, so that the same call gives the same bytes."""
    record = {
        "schema": SCHEMA,
        "stage": stage,
        "id": identifier,
        "inputs": digests(inputs, ROOT, results),
        "outputs": digests(outputs, path.parent.resolve()),
        "parents": {name: _named(parent, results) for name, parent in (parents or {}).items()},
        **content,
    }
    record["lineage"] = lineage(record)
    record |= {"command": f"schedlab {stage}", "source": SOURCE}
    write_json(path, record | {"created": created, "duration": duration})
    return path


def _named(path: Path, results: Path) -> dict[str, str]:
    """A parent as a child names it; one that is not there is made up."""
    place = path.relative_to(results).as_posix()
    if not path.exists():
        made_up = {key: digest(f"{key} of {place}") for key in ("lineage", "record")}
        _, identifier = described_at(place) or ("", path.parent.parent.name)
        return {"id": identifier, "path": place, **made_up}
    record = load_record(path)
    return {
        "id": record["id"],
        "lineage": record["lineage"],
        "path": place,
        "record": file_digest(path),
    }


def tuning(names: list[str]) -> list[dict[str, Any]]:
    """Settings of the kernel as the stage configure records them: equal, absent, different."""
    about = {"reason": "because of <this>", "source": "https://example.org/tuning"}
    governor = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    weakness = "/sys/devices/system/cpu/vulnerabilities"
    return [
        {
            "kind": "sysctl", "key": "vm.swappiness", "value": "10", **about,
            "found": {name: {"/proc/sys/vm/swappiness": "10"} for name in names},
        },
        {
            "kind": "file", "key": governor, "value": "performance", **about,
            "found": {name: {} for name in names},
        },
        {
            "kind": "recorded", "key": f"{weakness}/*", **about,
            "found": {
                name: {f"{weakness}/mds": "Not affected", f"{weakness}/gds": f"seen by {name}"}
                for name in names
            },
        },
    ]  # fmt: skip


def make_records(results: Path, experiment: Experiment) -> None:
    """Records of the stages before the trials, with paths and secrets that no report may show."""
    code = [ROOT / "workflow" / "schedlab" / "errors.py"]
    probe = {"accelerator": "tcg", "reason": "/dev/kvm does not exist", "qemu_version": "10.0.3"}
    images = results / "images" / "slurm"
    disk = {"disk_sha256": digest("disk"), "packages": ["slurmctld=24.11.5-4"]}
    toolchain = write_record(
        results / "toolchain.json", results, "toolchain", "toolchain",
        tools={"qemu": {"version": "10.0.3", "sha256": digest("qemu")}},
    )  # fmt: skip
    base = write_record(
        images / "base" / "record.json", results, "base", "slurm/base", inputs=code, realised=disk
    )
    accelerator = write_record(
        results / "accelerator.json", results, "accelerator", "host", {"base": base},
        accelerator=probe,
    )  # fmt: skip
    host = {"accelerator": accelerator, "toolchain": toolchain}
    (images / "image").mkdir(parents=True, exist_ok=True)
    (images / "image" / "disk.qcow2").write_text("synthetic disk\n")
    image = write_record(
        images / "image" / "record.json", results, "image", "slurm/image", {"base": base, **host},
        outputs=[images / "image" / "disk.qcow2"], realised=disk, tools={"tool-of-image": "1.2.3"},
    )  # fmt: skip
    for cluster in experiment.clusters():
        _make_cluster(results, experiment, cluster.id, {"image": image, **host})


def _make_cluster(
    results: Path, experiment: Experiment, cluster: str, parents: dict[str, Path]
) -> None:
    folder = results / "clusters" / cluster
    names = list(experiment.cluster(cluster).machines())
    facts = {
        "os": "Debian GNU/Linux 13 (trixie)",
        "selinux": "",
        "kernel": "6.12.0-synthetic",
        "cmdline": "BOOT_IMAGE=/boot/vmlinuz root=LABEL=synthetic ro quiet",
        "clocksource": "tsc",
        "lscpu": {"Model name": "Synthetic <processor>", "CPU(s)": "2"},
    }
    realised = {"nodes": dict.fromkeys(names, facts), "packages": ["slurmd=24.11.5-4"]}
    xml = (
        f"<domain type='qemu'><name>{cluster}</name>\n <disk><source"
        f" file='/tmp/schedlab-1/pool/head.qcow2'/><backingStore file='{results}/images/d'/>"
        "</disk>\n <graphics passwd='hunter2'/></domain>"
    )
    outputs = {
        "inventory": {"sensitive": False, "value": {"pool": "/srv/scratch/pool"}},
        "key": {"sensitive": True, "value": "topsecretvalue"},
    }
    domains = {
        "domain_xml": dict.fromkeys(names, xml),
        "terraform_outputs": outputs,
        "qemu": {"user": "root", "why": "for a synthetic reason"},
    }
    provisioned = write_record(
        folder / "provisioned" / "record.json", results, "provision", f"{cluster}/provisioned",
        parents, realised=realised | domains, tools={"tool-of-provision": "1.2.3"},
    )  # fmt: skip
    write_record(
        folder / "configured" / "record.json", results, "configure", f"{cluster}/configured",
        {"provisioned": provisioned},
        realised=realised
        | {
            "configuration": {"slurm.conf": "SelectType=select/cons_tres\n"},
            "software": {"slurmd": "24.11.5-4"},
            "tuning": tuning(names),
        },
        settings=design.cluster_spec(experiment, cluster),
    )  # fmt: skip
