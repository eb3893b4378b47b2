"""Run time of the whole workflow, against the sum of its unavoidable parts.

    .venv/bin/python tests/benchmarks/overhead.py [--experiments FILE]

Runs the experiment from the images to the report in a new folder. The unavoidable parts are what
the stages' own work took, as their records have it (`duration`: probing, Terraform and boot,
Ansible, saving, restoring, workloads, collecting), and one run each of the commands that build the
tables, draw the figures and render the report. What the ratio shows on top is Snakemake, the start
of processes, namespaces and libvirtd, and their end. Images come from the cache, or go into it in
a run before the measured one, which is not counted.

Prints a table, the numbers as JSON, and of the target whether it is met: the run takes at most 1.15
times the sum of its parts. Exit status 0: met, 1: missed, 2: a stage failed, nothing was measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from targets import ROOT, Target, environment, give_up, judge

from schedlab.figures import FIGURES

TARGETS = {"ratio": Target(1.15, most=True)}


def timed(command: list[str], variables: dict[str, str]) -> float:
    """Run a command; return its seconds."""
    start = time.monotonic()
    done = subprocess.run(command, check=False, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL)
    if done.returncode:
        give_up(f"{' '.join(command)} failed with status {done.returncode}; see above")
    return time.monotonic() - start


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=Path, default=ROOT / "config/tests/one-node.yaml")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="schedlab-overhead-") as folder:
        results = Path(folder) / "results"
        variables = environment(results, options.experiments)
        snakemake = [
            sys.executable, "-m", "snakemake", "--config",
            f"experiments={options.experiments.resolve()}", f"results={results}", "--",
        ]  # fmt: skip
        timed([*snakemake, "all_images"], variables)
        total = timed([*snakemake, "all"], variables)
        parts: dict[str, float] = defaultdict(float)
        for path in [*results.rglob("record.json")]:
            record = json.loads(path.read_text())
            if record["stage"] in {"provision", "configure", "trial"}:
                parts[record["stage"]] += record["duration"]
        schedlab = [sys.executable, "-m", "schedlab"]
        parts["tables"] = timed([*schedlab, "tables"], variables)
        parts["figures"] = sum(
            timed([*schedlab, "figure", "--figure", name], variables) for name in FIGURES
        )
        report = str(results / "report.html")
        parts["report"] = timed([*schedlab, "report", "--output", report], variables)
    necessary = sum(parts.values())
    for name, seconds in parts.items():
        print(f"{name:12} {seconds:8.1f} s")
    print(f"{'sum':12} {necessary:8.1f} s\n{'run':12} {total:8.1f} s")
    measured = {"run_seconds": round(total, 1), "ratio": round(total / necessary, 3)}
    print(json.dumps(measured | {"parts": parts}))
    return judge(measured, TARGETS)


if __name__ == "__main__":
    sys.exit(main())
