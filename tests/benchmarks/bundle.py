"""Time and memory of packing a bundle, and its size, for growing numbers of trials.

    python tests/benchmarks/bundle.py [--trials 20 100 1000] [--jobs 100] [--series 300]

The trials are SYNTHETIC (`tests/unit/trial_factory.py`), each with its own trace and seed, and
as many series of samples as node_exporter and the schedulers' exporters give on two nodes. Report,
tables and figures of all of them are made first and are not measured. Each bundle is then packed in
a process of its own, without Prometheus' blocks; verifying it is measured too. Prints a table and
the same as JSON.

What is wanted: 20 trials of 100 jobs below 5 MB; 1,000 trials in less than 60 s; peak memory that
does not grow with the number of trials.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit"))

import bundle_factory  # noqa: E402

from schedlab.config import Experiment  # noqa: E402
from schedlab.results.series import read_series, write_series  # noqa: E402
from schedlab.stages.context import Context  # noqa: E402

PACK = """
import json, sys, time
from pathlib import Path
from schedlab.bundle.pack import pack
from schedlab.bundle.verify import verify
action, results, output, root = sys.argv[1:]
start = time.monotonic()
if action == "pack":
    pack(Path(results), Path(output), root=Path(root))
else:
    verify(Path(output))
seconds = time.monotonic() - start
# Not getrusage: its peak is that of the parent where that was the larger one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) / 1024
print(json.dumps({"seconds": round(seconds, 2), "peak_mib": round(peak, 1)}))
"""
SECONDS = 60
"""Samples of each series: one a second for as long as a trial lasts."""


def more_series(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Counters and gauges as exporters have them: most stand still, some move."""
    rng = random.Random(seed)
    for number in range(count):
        value, moves = rng.uniform(0, 1e6), number % 3 == 0
        values = []
        for second in range(SECONDS):
            value += round(rng.uniform(0, 5), 2) if moves else 0
            values.append([1.79e9 + second + 0.123, round(value, 2)])
        labels = {"instance": ("head", "compute1")[number % 2], "job": "node", "n": str(number)}
        yield {"metric": f"node_synthetic_{number // 4}", "labels": labels, "values": values}


def make(folder: Path, experiment: Experiment, series: int) -> Context:
    """Complete results with samples of a real trial's size."""
    context = Context(experiment, folder)
    bundle_factory.make_stages(folder, experiment)
    bundle_factory.add_trials(folder, experiment)
    for number, key in enumerate(experiment.trials()):
        trial = context.trial(key.cluster, key.workload, key.repetition)
        path = trial / "samples.json.gz"
        before = list(read_series(path))
        write_series(path, [*before, *more_series(series, number)])
        bundle_factory.adopt(folder, trial)
    bundle_factory.analyse(context)
    return context


def measured(action: str, results: Path, output: Path, root: Path) -> dict[str, float]:
    """Run one action in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PACK, action, str(results), str(output), str(root)],
        check=True, capture_output=True, text=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[20, 100, 1000])
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--series", type=int, default=300)
    options = parser.parse_args()
    rows = []
    for trials in options.trials:
        with tempfile.TemporaryDirectory(prefix="schedlab-bundle-benchmark-") as name:
            folder = Path(name)
            workload = {"name": "burst", "kind": "burst", "jobs": options.jobs, "runtime": 0}
            experiment = bundle_factory.small_experiment(repetitions=trials, workloads=[workload])
            start = time.monotonic()
            make(folder / "results", experiment, options.series)
            print(f"{trials} trials made in {time.monotonic() - start:.0f} s", file=sys.stderr)
            root = bundle_factory.make_checkout(folder / "checkout")
            output = folder / "bundle.tar.zst"
            packing = measured("pack", folder / "results", output, root)
            verifying = measured("verify", folder / "results", output, root)
            rows.append(
                {
                    "trials": trials,
                    "pack_s": packing["seconds"],
                    "pack_peak_mib": packing["peak_mib"],
                    "verify_s": verifying["seconds"],
                    "verify_peak_mib": verifying["peak_mib"],
                    "size_mb": round(output.stat().st_size / 1e6, 2),
                }
            )
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
