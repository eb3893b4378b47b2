"""Restoring a cluster, against building it anew and against reading the snapshot's bytes.

    .venv/bin/python tests/benchmarks/restore.py [--experiments FILE] [--images RESULTS]
                                                 [--cluster ID] [--rounds N]

Everything is measured in one run on one machine: the cluster is created and configured from its
image (apply, boot, configure, destroy, as `make provision configure` does it, saving included),
then restored `rounds` times until every node answers, then its snapshot's files are read `rounds`
times. The image must exist (`make image`, or with the same --experiments:
`make image CONFIG=FILE`); RESULTS is the results folder that has it and is not changed. With the
default files it takes some minutes and needs no other cluster to run meanwhile.

Prints a table, the ratios as JSON, and of the target whether it is met: a restore is at least 50
times faster than building anew. There is no target for restoring against reading the bytes; the
page cache serves both. Exit status 0: met, 1: missed, 2: nothing was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from targets import ROOT, Target, environment, give_up, judge

from schedlab.config.load import read_experiment
from schedlab.design import image_of
from schedlab.errors import SchedlabError

TARGETS = {"rebuild_over_restore": Target(50, most=False)}


def schedlab(results: Path, experiments: Path, *arguments: str) -> float:
    """Run a stage; return its seconds."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "schedlab", *arguments],
        check=False, env=environment(results, experiments), cwd=ROOT, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        give_up(f"schedlab {' '.join(arguments)} failed with status {done.returncode}; see above")
    return time.monotonic() - start


def read_all(folder: Path) -> float:
    """Read every file of a snapshot; return the seconds."""
    start = time.monotonic()
    for path in sorted(folder.iterdir()):
        with path.open("rb", buffering=0) as handle:
            while handle.read(2**22):
                pass
    return time.monotonic() - start


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=Path, default=ROOT / "config/tests/one-node.yaml")
    parser.add_argument("--images", type=Path, default=ROOT / "results")
    parser.add_argument("--cluster", default="slurm-n1")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    try:
        experiment = read_experiment(options.experiments)
        image = image_of(experiment, experiment.cluster(options.cluster))
    except SchedlabError as error:
        give_up(str(error))
    images = options.images / "images" / image
    if not (images / "image" / "record.json").is_file():
        give_up(f"{images}: no image; make it: make image CONFIG={options.experiments}")
    with tempfile.TemporaryDirectory(dir=options.images.parent) as folder:
        results = Path(folder)
        for name in ("accelerator.json", "toolchain.json"):
            shutil.copy(options.images / name, results / name)
        shutil.copytree(images, results / "images" / image, copy_function=os.link)
        provision = schedlab(
            results, options.experiments, "provision", "--machines", options.cluster
        )
        configure = schedlab(
            results, options.experiments, "configure", "--cluster", options.cluster
        )
        snapshot = results / "clusters" / options.cluster / "configured" / "snapshot"
        restores = []
        for _ in range(options.rounds):
            output = results / "seconds"
            schedlab(
                results, options.experiments, "exec", "--cluster", options.cluster, "--timing",
                str(output), "true",
            )  # fmt: skip
            restores.append(json.loads(output.read_text()))
        reads = [read_all(snapshot) for _ in range(options.rounds)]
        size = sum(p.stat().st_size for p in snapshot.iterdir())
    restore = statistics.median(r["restore"] for r in restores)
    reachable = statistics.median(r["reachable"] for r in restores)
    read = statistics.median(reads)
    rebuild = provision + configure
    print(f"{'build anew (apply, boot, configure)':44}{rebuild:8.1f} s")
    print(f"{'restore until the nodes run':44}{restore:8.2f} s  (median of {options.rounds})")
    print(f"{'restore until the nodes answer over SSH':44}{reachable:8.2f} s")
    print(f"{'read the snapshot (' + str(size // 2**20) + ' MiB)':44}{read:8.2f} s")
    measured = {
        "rebuild_over_restore": round(rebuild / restore, 1),
        "rebuild_over_reachable": round(rebuild / reachable, 1),
        "restore_over_read": round(restore / read, 2),
    }
    print(json.dumps(measured))
    return judge(measured, TARGETS)


if __name__ == "__main__":
    sys.exit(main())
