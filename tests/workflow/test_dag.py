"""Jobs that Snakemake runs after each kind of change. Stages are simulated; the DAG is real."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, SIMULATED, MiniWorkflow

from schedlab.design import load_experiment
from schedlab.figures import FIGURES

pytestmark = pytest.mark.workflow

CLUSTERS, WORKLOADS, REPETITIONS = 2, 2, 2  # config/tests/dag.yaml
TRIALS = CLUSTERS * WORKLOADS * REPETITIONS


def kinds(commands: list[str]) -> Counter[str]:
    return Counter(line.split()[0] for line in commands)


def test_what_runs_beside_trials_is_known() -> None:
    """A job beside a trial takes processor time from it, and the trial becomes invalid."""
    rules: dict[str, str] = {}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        _, *found = re.split(r"^rule (\w+):$", path.read_text(), flags=re.MULTILINE)
        rules |= dict(zip(found[::2], found[1::2], strict=True))
    before, after = {"toolchain", "accelerator"}, {"tables", "figure", "report", "bundle"}
    # All trials wait for what is before; all that is after waits for the trials.
    assert {name for name, text in rules.items() if "testbed=1," not in text} == before | after


def test_a_first_run_runs_every_stage_once(built: MiniWorkflow) -> None:
    commands = built.commands()
    counted = kinds(commands)
    assert counted["base"] == counted["image"] == counted["accelerator"] == 1
    assert counted["provision"] == counted["configure"] == CLUSTERS
    assert counted["trial"] == TRIALS
    assert counted["tables"] == counted["report"] == 1
    assert len(commands) == len(set(commands)), "a stage ran twice"


def test_trials_run_in_the_seeded_order_after_every_cluster(built: MiniWorkflow) -> None:
    commands = [c for c in built.commands() if c.split()[0] in {"trial", "configure"}]
    assert all(c.startswith("configure") for c in commands[:CLUSTERS])
    ran = []
    for line in commands[CLUSTERS:]:
        options = dict(word.split("=") for word in line.split()[1:])
        ran.append(".".join(options[f"--{n}"] for n in ("cluster", "workload", "repetition")))
    assert ran == [key.id for key in load_experiment(built.root / built.config).trials()]


def test_every_image_and_cluster_is_there_before_the_first_trial(mini: MiniWorkflow) -> None:
    mini.edit(mini.config, "nodes: [1, 2]", "nodes: [1]\nschedulers: [slurm, kubernetes]")
    stages = [command.split()[0] for command in mini.run()]
    assert stages.count("image") == stages.count("configure") == 2
    before = [n for n, stage in enumerate(stages) if stage in {"image", "configure"}]
    assert max(before) < stages.index("trial")


def test_a_second_run_does_nothing(built: MiniWorkflow) -> None:
    assert built.run() == []


def test_touched_but_unchanged_files_are_not_stale(built: MiniWorkflow) -> None:
    later = time.time() + 100
    for path in built.root.rglob("workflow/**/*"):
        os.utime(path, (later, later))
    assert built.run() == []


def test_a_node_count_more_runs_only_its_cluster(built: MiniWorkflow) -> None:
    built.edit(built.config, "nodes: [1, 2]", "nodes: [1, 2, 3]")
    commands = built.run()
    counted = kinds(commands)
    assert counted["provision"] == counted["configure"] == 1
    assert counted["trial"] == WORKLOADS * REPETITIONS
    assert all("slurm-n3" in c for c in commands if c.split()[0] in {"provision", "trial"})
    assert not {"toolchain", "base", "image", "accelerator"} & set(counted)


@pytest.mark.long
def test_a_workload_more_runs_only_its_trials(built: MiniWorkflow) -> None:
    built.edit(built.config, append="  - {name: extra, kind: burst, jobs: 3, runtime: 0}\n")
    counted = kinds(built.run())
    assert counted["trial"] == CLUSTERS * REPETITIONS
    assert not {"base", "image", "provision", "configure"} & set(counted)


def test_a_workload_parameter_runs_that_workload_again(built: MiniWorkflow) -> None:
    built.edit(
        built.config, "name: burst, kind: burst, jobs: 3", "name: burst, kind: burst, jobs: 4"
    )
    commands = built.run()
    trials = [c for c in commands if c.startswith("trial")]
    assert len(trials) == CLUSTERS * REPETITIONS
    assert all("--workload=burst" in c for c in trials)
    assert not {"image", "provision", "configure"} & set(kinds(commands))


@pytest.mark.long
def test_a_repetition_more_runs_only_the_new_ones(built: MiniWorkflow) -> None:
    built.edit(built.config, "repetitions: 2", "repetitions: 3")
    trials = [c for c in built.run() if c.startswith("trial")]
    assert len(trials) == CLUSTERS * WORKLOADS
    assert all("--repetition=3" in c for c in trials)


@pytest.mark.long
def test_a_role_starts_from_the_image_or_the_provisioned_snapshot(built: MiniWorkflow) -> None:
    built.edit("workflow/infrastructure/ansible/playbooks/setup.yml", append="# edited\n")
    counted = kinds(built.run())
    assert counted["configure"] == CLUSTERS
    assert counted["trial"] == TRIALS
    assert not {"base", "image", "provision"} & set(counted)


def test_a_plotting_function_starts_no_machine(built: MiniWorkflow) -> None:
    built.edit("workflow/schedlab/figures/throughput.py", append="# edited\n")
    commands = built.run()
    assert sorted(c.split()[0] for c in commands) == ["figure", "report"]
    assert "--figure=throughput" in "".join(commands)


def test_a_template_renders_only_the_report(built: MiniWorkflow) -> None:
    built.edit("workflow/report/report.html.j2", append="\n")
    assert [c.split()[0] for c in built.run()] == ["report"]


def test_a_run_names_the_report_only_where_there_is_one(mini: MiniWorkflow) -> None:
    done = mini.snakemake("--", "all_images")
    said = done.stdout + done.stderr
    assert "the results use" in said and "report.html" not in said and "resident" not in said
    mini.one_cell()
    done = mini.snakemake()
    assert "; report: results/report.html" in done.stdout + done.stderr


@pytest.mark.long
def test_terraform_module_runs_from_provisioning(built: MiniWorkflow) -> None:
    built.edit("workflow/infrastructure/terraform/main.tf", append="# edited\n")
    counted = kinds(built.run())
    assert counted["provision"] == counted["configure"] == CLUSTERS
    assert "image" not in counted


def test_settings_of_the_scheduler_configure_again(built: MiniWorkflow) -> None:
    built.edit(built.config, append="settings: {slurm: {MaxJobCount: 20000}}\n")
    counted = kinds(built.run())
    assert counted["configure"] == CLUSTERS
    assert not {"image", "provision"} & set(counted)


def test_a_failed_trial_keeps_the_others_and_alone_runs_again(mini: MiniWorkflow) -> None:
    mini.environment["SCHEDLAB_SIMULATED_FAILURES"] = "slurm-n1.burst.1"
    first = mini.run(check=False)
    assert kinds(first)["trial"] == TRIALS
    assert "tables" not in kinds(first)
    del mini.environment["SCHEDLAB_SIMULATED_FAILURES"]
    expected = {"trial": 1, "tables": 1, "figure": len(FIGURES), "report": 1}
    assert kinds(mini.run()) == Counter(expected)


def test_results_may_move(built: MiniWorkflow, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("elsewhere") / "checkout"
    shutil.copytree(built.root, target, symlinks=True)
    assert MiniWorkflow(target, built.config).run() == []


def test_results_may_be_renamed_and_a_changed_setting_is_still_seen(built: MiniWorkflow) -> None:
    (built.root / "results").rename(built.root / "kept")

    def planned() -> list[str]:
        chosen = (f"experiments={built.config}", "results=kept")
        text = built.module("snakemake", "--config", *chosen, "--dry-run").stdout
        return re.findall(r"^Job \d+: (.*)$", text, re.MULTILINE)

    assert planned() == []
    built.edit(built.config, "kind: burst, jobs: 3", "kind: burst, jobs: 4")
    jobs = planned()
    assert sum(job.startswith("Trial ") for job in jobs) == CLUSTERS * REPETITIONS
    assert sum(job.startswith("Writing the trace ") for job in jobs) == CLUSTERS * REPETITIONS
    assert not [job for job in jobs if job.startswith(("Building the image", "Configuring"))]


def start_trials(mini: MiniWorkflow, seconds: str, number: int) -> subprocess.Popen[str]:
    """Start Snakemake with trials of some seconds; return it in the trial of this number."""
    log = mini.root / "results" / "commands.log"
    log.parent.mkdir()
    environment = os.environ | {"SCHEDLAB_SIMULATED_SLOW_TRIAL": seconds}
    environment["PATH"] = f"{SIMULATED}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment["PYTHONPATH"] = str(mini.root / "workflow")
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--config", f"experiments={mini.config}"],
        cwd=mini.root, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=(mini.root / "said").open("w"),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not log.exists() or log.read_text().count("trial ") < number:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    return process


def test_kill_9_of_the_workflow_in_a_trial_and_a_second_run(mini: MiniWorkflow) -> None:
    process = start_trials(mini, "1", 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = len(list((mini.root / "results" / "trials").rglob("record.json")))
    assert finished >= 2
    time.sleep(2)  # the simulated trial that was left running writes its record
    again = kinds(mini.run())
    assert TRIALS - finished - 1 <= again["trial"] <= TRIALS - finished
    assert not {"image", "provision", "configure"} & set(again)


def test_sigterm_ends_the_workflow_and_its_running_job_at_once(mini: MiniWorkflow) -> None:
    process = start_trials(mini, "3600", 1)
    process.terminate()
    # A guard against waiting for the job only.
    assert process.wait(120) != 0
    assert "Traceback" not in (mini.root / "said").read_text()
    assert not [
        found
        for found in psutil.process_iter(["cwd", "cmdline"])
        if found.info["cwd"] == str(mini.root) and "trial" in (found.info["cmdline"] or [])
    ]
    assert kinds(mini.run())["trial"] == TRIALS


def test_nonsense_is_refused_before_anything_starts(mini: MiniWorkflow) -> None:
    mini.edit(mini.config, "nodes: [1, 2]", "nodess: [1, 2]")
    done = mini.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    message = done.stdout + done.stderr
    assert "nodess" in message and "did you mean nodes?" in message and "dag.yaml" in message
    assert "Traceback" not in message


def test_two_runs_on_one_results_folder_are_refused(built: MiniWorkflow) -> None:
    import fcntl

    with (built.root / "results" / ".lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        done = built.snakemake("--forcerun", "report", check=False)
    assert done.returncode != 0
    assert "another run" in done.stdout + done.stderr


def test_an_import_makes_only_the_analysis_stale(built: MiniWorkflow) -> None:
    folder = built.root / "results/imported/lab-b"
    folder.mkdir(parents=True)
    (folder / "origin.json").write_text("{}")
    commands = built.run()
    assert set(kinds(commands)) == {"tables", "figure", "report"}
    assert built.run() == []
    shutil.rmtree(folder)
    assert set(kinds(built.run())) == {"tables", "figure", "report"}


def test_a_bundle_is_packed_when_asked_and_anew_when_the_source_changed(
    built: MiniWorkflow,
) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@test.invalid"]
    (built.root / ".gitignore").write_text("/results/\n/.snakemake/\n__pycache__/\n")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "All"]):
        subprocess.run(["git", *identity, *command], cwd=built.root, check=True)
    target = "results/bundle.tar.zst"
    assert [c.split()[0] for c in built.run("--", target)] == ["bundle"]
    assert built.run("--", target) == []
    (built.root / "config" / "notes.yaml").write_text("not: committed\n")
    assert [c.split()[0] for c in built.run("--", target)] == ["bundle"]
    assert built.run() == []


def test_another_experiment_never_runs_in_silence(mini: MiniWorkflow) -> None:
    plain = ("--config", f"experiments={mini.config}", "results=./mine/", "--dry-run", "--")
    mini.module("snakemake", *plain, "mine/report.html")
    done = mini.module("snakemake", "--dry-run", "--configfile", mini.config, check=False)
    assert done.returncode and "did you mean experiments?" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
