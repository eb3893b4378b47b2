"""Slurm's adapter: translation of jobs, host lists, settings."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from schedlab.errors import SchedlabError
from schedlab.schedulers import get_scheduler
from schedlab.schedulers.hosts import expand_host_list
from schedlab.schedulers.slurm.records import key_values
from schedlab.workloads import Job, Machine, Trace

SLURM = get_scheduler("slurm")
ROOT = Path(__file__).resolve().parents[2]


def translate(way: str = "cli", **fields: Any) -> Any:
    job = Job(**({"job": 0, "arrival": 0.5, "nodes": 1, "cpus": 2, "runtime": 1.0} | fields))
    return get_scheduler("slurm", {"submission": way}).translate(
        job, Trace("w", "gang", 1, Machine(4, 2), (job,))
    )


def test_one_node_job_is_the_payload_itself() -> None:
    done = translate(walltime=61.0, user="u7")
    assert done.argv[:2] == ["sbatch", "--parsable"]
    for option in ("--nodes=1", "--cpus-per-task=2", "--time=2", "--no-requeue", "--job-name=job0"):
        assert option in done.argv
    assert "--comment=user=u7" in done.argv
    assert done.stdin == (
        "#!/bin/sh\nexec /usr/local/bin/schedlab-payload /var/lib/schedlab/stamps.txt"
        " 0 0 1.000000 sleep\n"
    )


def test_gang_runs_one_rank_a_node() -> None:
    done = translate(nodes=3, runtime=0.0)
    assert "--nodes=3" in done.argv
    assert "srun --nodes=3 --ntasks-per-node=1 --cpus-per-task=2 " in done.stdin
    assert '0 "$SLURM_PROCID" 0.000000 sleep\'' in done.stdin


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"nodes": 3, "cpus": 1},
        {"walltime": 61.0, "user": "u7"},
        {"priority": -1},
        {"requeue": True},
    ],
)
def test_the_api_is_asked_for_the_job_that_sbatch_is_asked_for(fields: dict[str, Any]) -> None:
    """Options are compared one by one; a real Slurm showed the same job for both ways."""
    by_command, by_request = translate(**fields), translate("api", **fields)
    assert (by_request.argv, by_command.request) == ([], None)
    assert by_request.request["path"] == "/slurm/{version}/job/submit"
    job = by_request.request["body"]["job"]
    options = dict(word[2:].partition("=")[::2] for word in by_command.argv[1:])
    assert job["script"] == by_command.stdin
    assert job["minimum_nodes"] == job["maximum_nodes"] == int(options["nodes"])
    assert job["tasks_per_node"] == int(options["ntasks-per-node"])
    assert job["cpus_per_task"] == int(options["cpus-per-task"])
    assert job["time_limit"] == {"set": True, "number": int(options["time"])}
    again = fields.get("requeue", False)
    assert job["requeue"] is ("requeue" in options) is ("no-requeue" not in options) is again
    for key, option in (("name", "job-name"), ("comment", "comment"),
                        ("current_working_directory", "chdir"), ("standard_input", "input"),
                        ("standard_output", "output"), ("standard_error", "error")):  # fmt: skip
        assert job[key] == options[option]
    assert SLURM.read_back(asdict(by_command)) == SLURM.read_back(asdict(by_request))


def test_the_way_of_submission_is_the_adapters_and_reaches_no_slurm_conf(tmp_path: Path) -> None:
    default, other = get_scheduler("slurm"), get_scheduler("slurm", {"submission": "cli"})
    assert default.plan_extra()["api"]["url"].startswith("unix:")
    assert other.plan_extra() == {}
    for adapter, way in ((default, "api"), (other, "cli")):
        variables = adapter.variables(adapter.in_force)
        assert variables["slurm_submission"] == way
        assert "submission" not in variables["slurm_settings"]
    assert [p.key for p in default.settings_problems({"submission": "rest"})] == ["submission"]
    assert not default.settings_problems({"Submission": "cli"})


@pytest.mark.parametrize(
    ("record", "said"),
    [("v0.0.42\n", "slurmrestd's API v0.0.42"), ("cli\n", "sbatch"), ("", "sbatch")],
)
def test_the_manifest_says_how_jobs_were_submitted(tmp_path: Path, record: str, said: str) -> None:
    (tmp_path / "submission.txt").write_text(record)
    assert said in SLURM.parity(tmp_path)["submission"]
    assert SLURM.settings(tmp_path).get("submission", "") == record.strip()


def test_no_unit_in_which_jobs_run_counts_as_a_daemons_cost() -> None:
    """Slurm's use of control groups is off, so its jobs run in slurmd's group."""
    units = SLURM.cost_units()
    assert set(units["head"]) == {"slurmctld", "munge", "slurmrestd"}
    assert set(units["compute"]) == {"munge"}
    assert SLURM.client == ("slurmrestd",)


def test_a_priority_is_a_partition_that_the_role_writes() -> None:
    """The tier of a partition orders jobs; one without priority is in the default partition."""
    variables = SLURM.variables(SLURM.in_force)
    tiers = {entry["name"]: entry["tier"] for entry in variables["slurm_partitions"]}
    assert tiers["low"] < tiers["main"] < tiers["urgent"]
    assert "--partition=urgent" in translate(priority=1).argv
    assert translate("api", priority=-1).request["body"]["job"]["partition"] == "low"
    assert "partition" not in translate("api").request["body"]["job"]
    (problem,) = SLURM.cannot(trace_of(Job(0, 0.0, 1, 1, 0.0, priority=3)))
    assert "only -1 to 1" in problem.what
    with pytest.raises(SchedlabError, match="priority"):
        SLURM.submissions(trace_of(Job(0, 0.0, 1, 1, 0.0, priority=3)))


def trace_of(*jobs: Job) -> Trace:
    return Trace("w", "gang", 1, Machine(4, 2), jobs)


ARRAY = [Job(number, 0.0, 1, 1, 1.0, array=0 if number else None) for number in range(4)]


@pytest.mark.parametrize("way", ["api", "cli"])
def test_an_array_is_one_submission_whose_tasks_have_their_own_numbers(way: str) -> None:
    single, array = get_scheduler("slurm", {"submission": way}).submissions(trace_of(*ARRAY))
    assert (single.jobs, array.jobs) == ([], [1, 2, 3])
    script = array.stdin or (array.request or {"body": {"job": {}}})["body"]["job"].get("script")
    assert "stamps.txt $((1+SLURM_ARRAY_TASK_ID)) 0 1.000000 sleep" in script
    if way == "cli":
        assert "--array=0-2" in array.argv
    else:
        assert array.request is not None and array.request["body"]["job"]["array"] == "0-2"


def test_an_array_that_slurm_does_not_take_is_refused_with_the_setting() -> None:
    trace = trace_of(*(Job(number, 0.0, 1, 1, 0.0, array=0) for number in range(1001)))
    (problem,) = SLURM.cannot(trace)
    assert (problem.key, problem.value) == ("array", 1001)
    assert "settings.slurm.MaxArraySize to 1002" in problem.remedy
    # Keys of slurm.conf ignore case; Slurm itself refuses what is no number.
    for settings in ({"MaxArraySize": "1002"}, {"maxarraysize": "1002"}, {"MaxArraySize": "x"}):
        assert not list(get_scheduler("slurm", settings).cannot(trace))


def jobs_refused(*jobs: Job, **settings: str) -> list[str]:
    found = get_scheduler("slurm", settings).cannot(trace_of(*jobs))
    return [f"{one.key} {one.value}: {one.remedy}" for one in found]


def test_more_jobs_than_slurm_takes_are_refused_with_the_setting() -> None:
    jobs = [Job(number, 0.0, 1, 1, 0.0) for number in range(10_000)]
    assert jobs_refused(*jobs[:9_999]) == []
    (told,) = jobs_refused(*jobs)
    assert told.startswith("jobs 10000: set settings.slurm.MaxJobCount to 10001 or more")
    assert jobs_refused(*jobs, maxjobcount="10001") == []
    # Records are taken at a trial's end, until which finished jobs stay known.
    apart = [Job(number, number * 1.0, 1, 1, 0.0) for number in range(10_000)]
    assert jobs_refused(*apart) == [told]
    waiting = [Job(number, 0.0, 4, 2, 9.0, background=True) for number in range(10_001)]
    (told,) = jobs_refused(*waiting, Job(10_001, 1.0, 1, 1, 0.0))
    assert told.startswith("background.pending 10002: ")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("compute1", ["compute1"]),
        ("compute[1-3,7]", ["compute1", "compute2", "compute3", "compute7"]),
        ("n[08-10],head", ["n08", "n09", "n10", "head"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("(null)", []),
        ("", []),
    ],
)
def test_host_lists(text: str, names: list[str]) -> None:
    assert expand_host_list(text) == names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("n[1-99999999]", "more than 10000 members"),
        ("n[1-1000][1-1000]", "more than 10 members"),
        ("n[1-6000],m[1-6000]", "more than 4000 members"),
        ("n[1-1024]" + "x" * 300, "a name is longer than 255"),
        ("n," * 20000 + "n", "more than 10000 names"),
        ("n[1-3", "a bracket is not closed"),
        ("n1]", "a bracket is not closed"),
        ("n[]", "not of the form"),
        ("n[3-1]", "not of the form"),
        ("n[a]", "not of the form"),
        ("n[0-8/2]", "not of the form"),
        ("n[1-2-3-4-5]", "not of the form"),
        ("a,,b", "a name is empty"),
    ],
)
def test_damaged_and_hostile_host_lists_are_refused(text: str, why: str) -> None:
    with pytest.raises(SchedlabError, match=why) as caught:
        expand_host_list(text)
    assert "damaged" in str(caught.value.remedy)
    assert len(caught.value.message) < 250


def test_settings_are_what_was_in_force(tmp_path: Path) -> None:
    (tmp_path / "slurm.conf").write_text(
        "# x\nClusterName=c\nSchedulerType=sched/builtin # why\nReturnToService=2\n"
        "NodeName=compute1 CPUs=2\nPartitionName=debug Nodes=ALL\n"
    )
    assert SLURM.settings(tmp_path) == {
        "ReturnToService": "2",
        "SchedulerType": "sched/builtin",
    }
    (tmp_path / "scontrol-config.txt").write_text(
        "Configuration data as of 2026-03-20T09:46:40\nSchedulerType           = sched/backfill\n"
        "SLURM_VERSION           = 24.11.5\nReturnToService         = 2\nFoo = bar\n"
        "\nCgroup Support Configuration:\nAllowedRAMSpace = 100.0%\n"
    )
    assert SLURM.settings(tmp_path) == {
        "ReturnToService": "2",
        "SLURM_VERSION": "24.11.5",
        "SchedulerType": "sched/backfill",
    }
    assert key_values("") == {}


def test_unknown_scheduler() -> None:
    with pytest.raises(SchedlabError, match="not registered"):
        get_scheduler("pbs")


@pytest.mark.parametrize("text", ["abc", "-1", "10.5", "infinite", "0x20", "\uff11\uff10", "0"])
@pytest.mark.parametrize("key", ["MaxJobCount", "maxarraysize"])
def test_a_bound_of_jobs_is_a_whole_number(key: str, text: str) -> None:
    """Otherwise a trace with too many jobs would be found only when it runs."""
    (problem,) = SLURM.settings_problems({key: text})
    assert (problem.key, problem.value) == (key, text)
    assert not SLURM.settings_problems({key: "20000"})


@pytest.mark.parametrize("key", ["MinJobAge", "MessageTimeout", "ReturnToService"])
def test_a_number_has_digits_of_ascii(key: str) -> None:
    assert [one.key for one in SLURM.settings_problems({key: "\uff12"})] == [key]


def test_the_most_virtual_nodes_of_a_carrier_are_the_ports_below_those_of_connections() -> None:
    roles = ROOT / "workflow/infrastructure/ansible/roles"
    first = yaml.safe_load((roles / "slurm/defaults/main.yml").read_text())["slurm_virtual_port"]
    text = (roles / "common/vars/tuning.yml").read_text()
    (connections,) = re.findall(r"ip_local_port_range\s+value: (\d+) ", text)
    assert SLURM.virtual_most_per_carrier == int(connections) - first
