"""Processor time and memory of planning, against a bare Snakemake workflow of equal size.

    python tests/benchmarks/planning.py [--trials 1000 10000]

Plans (`snakemake --dry-run`, quiet, before anything was built) an experiment of so many trials, and
then a workflow of plain rules with as many jobs and the same dependencies between them; both in
processes of their own, one after the other. Prints a table and the same as JSON.

What is wanted: at most 1.5 times the processor time and 1.5 times the peak memory of the bare
workflow, at the largest number of trials. Exit status as in `targets.py`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from targets import ROOT, Target, environment, give_up, judge

TARGETS = {"processor_ratio": Target(1.5, most=True), "memory_ratio": Target(1.5, most=True)}
CLUSTERS, WORKLOADS = 2, 5
FIGURES = 7

EXPERIMENT = """\
name: planning
seed: 1
repetitions: {repetitions}
schedulers: [slurm]
nodes: [1, 2]
placement: {{oversubscribe: true}}
workloads:
{workloads}
"""

BARE = """\
import random

CLUSTERS, WORKLOADS, REPETITIONS = {clusters}, {workloads}, {repetitions}
C, W, R = range(CLUSTERS), range(WORKLOADS), range(1, REPETITIONS + 1)
trials = [f"trials/{{c}}/{{w}}/{{r}}/record.json" for c in C for w in W for r in R]
random.Random(1).shuffle(trials)
traces = [f"traces/{{w}}-n{{c}}-r{{r}}.record.json" for c in C for w in W for r in R]
records = [
    "toolchain.json", "accelerator.json", "base.json", "image.json",
    *(f"{{state}}/{{c}}.json" for c in C for state in ("provisioned", "configured")),
    *traces, *trials,
]
figures = [f"figures/{{n}}.json" for n in range({figures})]

rule all:
    input: "report.html", records, figures, "tables.json"
rule toolchain:
    output: "toolchain.json"
    shell: "touch {{output}}"
rule base:
    output: "base.json"
    shell: "touch {{output}}"
rule accelerator:
    input: "base.json"
    output: "accelerator.json"
    shell: "touch {{output}}"
rule image:
    input: "base.json", "accelerator.json", "toolchain.json"
    output: "image.json"
    shell: "touch {{output}}"
rule provision:
    input: "image.json", "accelerator.json", "toolchain.json"
    output: "provisioned/{{c}}.json"
    shell: "touch {{output}}"
rule configure:
    input: "provisioned/{{c}}.json"
    output: "configured/{{c}}.json"
    shell: "touch {{output}}"
rule trace:
    output: "traces/{{w}}-n{{c}}-r{{r}}.json", "traces/{{w}}-n{{c}}-r{{r}}.record.json"
    log: "logs/traces/{{w}}-n{{c}}-r{{r}}.log"
    shell: "touch {{output}}"
rule trial:
    input: "configured/{{c}}.json", "traces/{{w}}-n{{c}}-r{{r}}.record.json", "toolchain.json"
    output: "trials/{{c}}/{{w}}/{{r}}/record.json"
    log: "logs/trials/{{c}}.{{w}}.{{r}}.log"
    shell: "touch {{output}}"
rule tables:
    input: trials
    output: "tables.json"
    shell: "touch {{output}}"
rule figure:
    input: "tables.json"
    output: "figures/{{n}}.json"
    shell: "touch {{output}}"
rule report:
    input: "tables.json", figures, records
    output: "report.html"
    shell: "touch {{output}}"
"""

MEASURED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
total = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("total ")]
print(json.dumps({
    "status": done.returncode, "said": done.stderr[-800:],
    "jobs": int(total[0]) if total else 0,
    "processor_s": round(used.ru_utime + used.ru_stime, 2), "peak_mib": used.ru_maxrss // 1024,
}))
"""


def plan(folder: Path, command: list[str], variables: dict[str, str]) -> dict[str, float]:
    """Plan in a process of its own; return jobs, processor time (s) and peak memory (MiB)."""
    arguments = [sys.executable, "-c", MEASURED, sys.executable, "-m", "snakemake", *command]
    done = subprocess.run(
        [*arguments, "--dry-run", "--quiet", "rules"], cwd=folder, env=variables,
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    if found.pop("status"):
        give_up(f"Snakemake cannot plan: {found['said']}")
    found.pop("said")
    return found


def measure(trials: int, folder: Path) -> dict[str, float]:
    """Plan an experiment and a bare workflow of its size."""
    repetitions = trials // (CLUSTERS * WORKLOADS)
    lines = [f"  - {{name: burst{n}, kind: burst, jobs: {n + 1}}}" for n in range(WORKLOADS)]
    experiment = folder / "experiments.yaml"
    experiment.write_text(EXPERIMENT.format(repetitions=repetitions, workloads="\n".join(lines)))
    bare = folder / "bare"
    bare.mkdir()
    (bare / "Snakefile").write_text(
        BARE.format(
            clusters=CLUSTERS, workloads=WORKLOADS, repetitions=repetitions, figures=FIGURES
        )
    )
    variables = environment(folder / "results", experiment)
    variables["PYTHONPATH"] = str(ROOT / "workflow")
    ours = plan(
        ROOT, ["--config", f"experiments={experiment}", f"results={folder / 'results'}"], variables
    )
    plain = plan(bare, ["--cores", "4"], variables)
    if ours["jobs"] != plain["jobs"]:
        give_up(f"{ours['jobs']} jobs are compared with {plain['jobs']}")
    return {
        "trials": trials,
        "jobs": ours["jobs"],
        **{f"{name}_ours": ours[name] for name in ("processor_s", "peak_mib")},
        **{f"{name}_bare": plain[name] for name in ("processor_s", "peak_mib")},
        "processor_ratio": round(ours["processor_s"] / plain["processor_s"], 2),
        "memory_ratio": round(ours["peak_mib"] / plain["peak_mib"], 2),
    }


def main() -> None:
    """Measure, print, judge the largest."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000])
    rows = []
    for trials in sorted(parser.parse_args().trials):
        with tempfile.TemporaryDirectory(prefix="schedlab-planning-") as name:
            rows.append(measure(trials, Path(name)))
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    print(json.dumps(rows))
    sys.exit(judge(rows[-1], TARGETS))


if __name__ == "__main__":
    main()
