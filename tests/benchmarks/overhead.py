"""Run time of the whole workflow, against the sum of its unavoidable parts.

    python tests/benchmarks/overhead.py [--experiments FILE]

Runs the experiment from the images to the report in a new folder. The unavoidable parts are what
the stages' own work took, as their records have it (`duration`: probing, Terraform and boot,
Ansible, saving, restoring, workloads, collecting), and one run each of the commands that build the
tables, draw the figures and render the report. What the ratio shows on top is Snakemake, the start
of processes, namespaces and libvirtd, and their end. Images come from the cache, or go into it in
a run before the measured one. Prints a table and the ratio as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from schedlab.figures import FIGURES

ROOT = Path(__file__).resolve().parents[2]


def timed(command: list[str], environment: dict[str, str]) -> float:
    """Run a command; return its seconds."""
    start = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=Path, default=ROOT / "config/tests/one-node.yaml")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="schedlab-overhead-") as folder:
        results = Path(folder) / "results"
        environment = os.environ | {
            "SCHEDLAB_RESULTS": str(results),
            "SCHEDLAB_EXPERIMENTS": str(options.experiments),
        }
        snakemake = [
            sys.executable, "-m", "snakemake", "--config",
            f"experiments={options.experiments}", f"results={results}", "--",
        ]  # fmt: skip
        timed([*snakemake, "all_images"], environment)
        total = timed([*snakemake, "all"], environment)
        parts: dict[str, float] = defaultdict(float)
        for path in [*results.rglob("record.json")]:
            record = json.loads(path.read_text())
            if record["stage"] in {"provision", "configure", "trial"}:
                parts[record["stage"]] += record["duration"]
        schedlab = [sys.executable, "-m", "schedlab"]
        parts["tables"] = timed([*schedlab, "tables"], environment)
        parts["figures"] = sum(
            timed([*schedlab, "figure", "--figure", name], environment) for name in FIGURES
        )
        report = str(results / "report.html")
        parts["report"] = timed([*schedlab, "report", "--output", report], environment)
    necessary = sum(parts.values())
    for name, seconds in parts.items():
        print(f"{name:12} {seconds:8.1f} s")
    print(f"{'sum':12} {necessary:8.1f} s\n{'run':12} {total:8.1f} s")
    print(json.dumps({"run_seconds": total, "parts": parts, "ratio": round(total / necessary, 3)}))


if __name__ == "__main__":
    main()
