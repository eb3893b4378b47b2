"""Processor time and memory of analysing a trace: this code, plain numpy, evalys, side by side.

    python tests/benchmarks/analyse.py [--jobs 1000000] [--scaling 100000 10000000]
        [--evalys /elsewhere/venv/bin/python]

The trace is SYNTHETIC: seeded, of a first-come-first-served schedule on 1,024 processors. Each
program reads it in a process of its own; this code without a cached array. What they compute:

- schedlab: all metrics of `schedlab analyse`;
- numpy: the same trace by `numpy.fromstring`, utilisation and waits;
- evalys: curves of utilisation and queue with their means, and waits. Its python is that of an
  environment of its own: `pip install evalys==4.0.7 "pandas<2.2" "numpy<2"` (later ones lack what
  it calls). It drops the first job of a file, and jobs that were cancelled while running.

Prints processor seconds with and without imports (so that what runs beside it matters little), peak
memory, jobs counted and the values that all have. Targets: at most half of evalys' processor time,
no job lost, values equal to numpy's to 1e-9, below 0.6 GB for a million jobs, and time by job at 10
million at most 1.5 times that at 100,000 (with `--scaling`). Exit status 0: met, 1: missed.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from targets import ROOT, Target, judge

PROCESSORS = 1024
HEADER = "; Version: 2.2\n; MaxJobs: {jobs}\n; MaxProcs: {processors}\n"

ENDING = """
values["cpu_s"] = time.process_time()
values["after_import_s"] = values["cpu_s"] - imported
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
values["peak_mb"] = int(status["VmHWM"].split()[0]) * 1024 / 1e6
print(json.dumps(values))
"""
OURS = """
import json, sys, time
from pathlib import Path
from schedlab.analysis.recorded import metrics, read_recorded
imported = time.process_time()
found = metrics(read_recorded(Path(sys.argv[1])))
values = {name: found[name] for name in ("jobs", "utilisation", "wait_mean_s", "wait_median_s")}
"""
NUMPY = """
import json, sys, time
import numpy as np
imported = time.process_time()
text = open(sys.argv[1], "rb").read()
start = text.index(b"\\n", text.rindex(b";")) + 1
rows = np.fromstring(text[start:], np.int64, sep=" ").reshape(-1, 18)[:, 1:5].astype(float)
submit, wait, runtime, cores = rows.T
end = submit + wait + runtime
times = np.concatenate([submit + wait, end])
order = np.argsort(times)
level = np.cumsum(np.concatenate([cores, -cores])[order])[:-1]
busy = float(np.sum(level * np.diff(times[order])))
window = float(end.max() - submit.min())
values = {"jobs": len(rows), "utilisation": busy / (1024 * window),
          "wait_mean_s": float(wait.mean()), "wait_median_s": float(np.median(wait))}
"""
EVALYS = """
import json, sys, time
from evalys.metrics import load_mean
from evalys.workload import Workload
imported = time.process_time()
trace = Workload.from_csv(sys.argv[1])
values = {"jobs": len(trace.df), "utilisation": load_mean(trace.utilisation) / 1024,
          "queue": load_mean(trace.queue), "wait_mean_s": trace.df.waiting_time.mean(),
          "wait_median_s": trace.df.waiting_time.median()}
"""
TARGETS = {
    "processor_time_over_evalys": Target(0.5, most=True),
    "jobs_lost": Target(0, most=True),
    "largest_relative_difference_from_numpy": Target(1e-9, most=True),
    "peak_mb_of_a_million_jobs": Target(600, most=True),
    "time_by_job_large_over_small": Target(1.5, most=True),
}


def write_trace(path: Path, jobs: int, seed: int = 15) -> None:
    """Jobs of random sizes and runtimes at 85 % load, started first come, first served."""
    rng = np.random.default_rng(seed)
    sizes = 2 ** rng.integers(0, 9, jobs)
    runtimes = 1 + np.minimum(rng.lognormal(6, 1.8, jobs), 86_400).astype(int)
    gap = float(np.mean(sizes * runtimes)) / (0.85 * PROCESSORS)
    submits = np.cumsum(rng.exponential(gap, jobs)).astype(int)
    users = rng.integers(1, 200, jobs)
    states = rng.choice([1, 0, 5], jobs, p=[0.9, 0.087, 0.013])
    running: list[tuple[int, int]] = []
    free, now = PROCESSORS, 0
    columns = zip(
        *(values.tolist() for values in (submits, runtimes, sizes, users, states)), strict=True
    )
    with path.open("w", encoding="ascii") as stream:
        stream.write(HEADER.format(jobs=jobs, processors=PROCESSORS))
        for number, (submit, runtime, size, user, state) in enumerate(columns, 1):
            now = max(now, submit)
            while running and (running[0][0] <= now or free < size):
                end, freed = heapq.heappop(running)
                now, free = max(now, end), free + freed
            heapq.heappush(running, (now + runtime, size))
            free -= size
            stream.write(
                f"{number:>8} {submit:>10} {now - submit:>7} {runtime:>6} {size:>4} -1 -1 "
                f"{size:>4} {2 * runtime:>6} -1 {state} {user:>3} 1 -1 1 1 -1 -1\n"
            )


def measured(python: str, program: str, trace: Path) -> dict[str, Any]:
    """What a program prints of a trace, in a process of its own with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        variables = os.environ | {"SCHEDLAB_CACHE": cache, "PYTHONPATH": str(ROOT / "workflow")}
        command = [python, "-W", "ignore", "-c", program + ENDING, str(trace)]
        done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--scaling", type=int, nargs=2, metavar=("SMALL", "LARGE"))
    parser.add_argument("--evalys", help="python of an environment with evalys 4.0.7")
    options = parser.parse_args()
    programs = {"schedlab": (sys.executable, OURS), "numpy": (sys.executable, NUMPY)}
    if options.evalys:
        programs["evalys"] = (options.evalys, EVALYS)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.swf"
        write_trace(trace, options.jobs)
        found = {name: measured(*program, trace) for name, program in programs.items()}
        for name, values in found.items():
            print(f"{name}: " + ", ".join(f"{key} {value:.10g}" for key, value in values.items()))
        of_jobs = {}
        for jobs in options.scaling or ():
            write_trace(trace, jobs)
            values = measured(*programs["schedlab"], trace)
            of_jobs[jobs] = values["after_import_s"] / jobs
            print(f"schedlab, {jobs} jobs: {values['after_import_s']:.3g} s after imports, "
                  f"{values['peak_mb']:.0f} MB")  # fmt: skip
    ours, plain = found["schedlab"], found["numpy"]
    same = ("utilisation", "wait_mean_s", "wait_median_s")
    numbers = {
        "jobs_lost": options.jobs - ours["jobs"],
        "largest_relative_difference_from_numpy": max(abs(ours[n] / plain[n] - 1) for n in same),
    }
    if options.jobs == 1_000_000:
        numbers["peak_mb_of_a_million_jobs"] = ours["peak_mb"]
    if "evalys" in found:
        numbers["processor_time_over_evalys"] = ours["cpu_s"] / found["evalys"]["cpu_s"]
    if of_jobs:
        small, large = of_jobs.values()
        numbers["time_by_job_large_over_small"] = large / small
    return judge(numbers, {name: TARGETS[name] for name in numbers})


if __name__ == "__main__":
    sys.exit(main())
