"""Values of Slurm's settings that slurmctld would refuse, or take for others, start nothing.

The types are those of slurm_conf_options in src/common/read_config.c, the rest is of slurm.conf(5).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from config_factory import load, refusal

from schedlab.schedulers import get_scheduler
from schedlab.schedulers.slurm import forms

SLURM = get_scheduler("slurm")
REFUSED = [
    ("SlurmctldTimeout", "abc", "a whole number from 0 to 65533 or INFINITE"),
    ("slurmctldtimeout", "-1", "a whole number"),
    ("KillWait", "65534", "a whole number"),
    ("KillWait", "0x10", "a whole number"),
    ("KillWait", "010", "a whole number"),
    ("KillWait", "1.0", "a whole number"),
    ("KillWait", "\uff11", "a whole number"),
    ("MinJobAge", "99999999999", "a whole number from 0 to 4294967293 or INFINITE"),
    ("EpilogMsgTime", "4294967294", "a whole number"),
    ("DefMemPerCPU", "18446744073709551614", "a whole number"),
    ("DefMemPerCPU", "9" * 5000, "a whole number"),
    ("MaxNodeCount", "65537", "a whole number from 1 to 65536"),
    ("MaxNodeCount", "INFINITE", "a whole number from 1 to 65536"),
    ("SchedulerTimeSlice", "4", "a whole number from 5"),
    ("UsePAM", "maybe", "YES or NO"),
    ("SelectType", "select/nope", "one of select/cons_tres, select/linear"),
    ("SelectType", "select/Linear", "one of select/cons_tres"),
    ("SelectType", "cons_tres", "one of select/cons_tres"),
    ("SelectTypeParameters", "CR_Cores", "a list, with commas, of CR_CPU"),
    ("SchedulerType", "sched/wiki", "one of sched/backfill"),
    ("PriorityType", "priority/fifo", "one of priority/basic"),
    ("MpiDefault", "mpich", "one of none"),
    ("SlurmdDebug", "debug9", "one of quiet"),
    ("DebugFlags", "Backfill,nope", "a list, with commas, of Accrue"),
    ("PropagateResourceLimits", "ALL,HEAP", "ALL or NONE, or a list, with commas, of AS"),
    ("PropagateResourceLimits", "CORE,HEAP", "ALL or NONE, or a list"),
    ("PropagateResourceLimits", "all", "in capital letters"),
    ("PropagateResourceLimits", "NONE,CORE", "ALL or NONE, or a list"),
    ("PropagateResourceLimitsExcept", "memlock", "in capital letters"),
    ("AccountingStorageTRES", "foo", "a list, with commas, of cpu, mem"),
    ("PriorityWeightTRES", "foo", "TRES=NUMBER"),
    ("PriorityWeightTRES", "foo=1", "TRES=NUMBER"),
    ("PriorityWeightTRES", "cpu", "TRES=NUMBER"),
    ("PriorityWeightTRES", "cpu=much", "TRES=NUMBER"),
    ("PriorityWeightTRES", "cpu=1, mem=2", "one value"),
    ("PriorityWeightTRES", '"cpu=1, mem=2"', "TRES=NUMBER"),
    ("PriorityWeightTRES", "cpu=1,gres/gpu=2", "TRES=NUMBER"),
    ("PrEpPlugins", "prep/foo", "one of script, prep/script"),
    ("TaskPlugin", "Affinity", "of task/affinity, affinity"),
    ("TaskPlugin", "task/none,task/affinity", "one of task/none, none or a list"),
    ("MpiDefault", "PMIX", "one of none"),
    ("JobCompType", "jobcomp/filetxt", "one of jobcomp/none"),
    ("MCSParameters", "nonsense", "a list, with commas, of ondemand"),
    ("RequeueExit", "300", "exit codes up to 255"),
    ("RequeueExitHold", "1,250-256", "exit codes up to 255"),
    ("RequeueExit", "9-1", "exit codes up to 255"),
    ("SchedulerParameters", "=5", "=5 is not a part of it"),
    ("SchedulerParameters", "max_rpc_count=1001", "max_rpc_count= takes"),
    ("JobAcctGatherParams", '"UsePss, OverMemoryKill"', "the blank beside the comma"),
    ("SlurmctldParameters", '"rl_enable, conmgr_threads=4"', "the blank beside the comma"),
    ("PreemptParameters", '"strict_order, min_exempt_priority=4"', "the blank beside the comma"),
    ("SlurmctldParameters", '"rl_enable, rl_bucket_size=4"', "the blank beside the comma"),
    ("PreemptParameters", "Min_Exempt_Priority=4", "write min_exempt_priority"),
    ("EnforcePartLimits", "SOME", "one of ALL"),
    ("PriorityUsageResetPeriod", "HOURLY", "one of NONE"),
    ("PriorityDecayHalfLife", "7 days", "one value"),
    ("PriorityDecayHalfLife", "7d", "minutes, MINUTES:SECONDS"),
    ("PriorityCalcPeriod", "0", "at least 1 min"),
    ("PriorityCalcPeriod", "INFINITE", "at least 1 min"),
    ("PriorityMaxAge", "99999-0", "minutes"),
    ("Licenses", "a:x", "NAME:NUMBER"),
    ("RequeueExit", "1-x", "exit codes"),
    ("JobAcctGatherFrequency", "task=x", "task= takes a whole number"),
    ("JobAcctGatherFrequency", "tsak=3", "did you mean task?"),
    ("SchedulerParameters", "bf_continue,bf_interval=abc", "bf_interval= takes a whole number"),
    ("SchedulerParameters", "bf_interval", "bf_interval= takes a whole number from 1 to 10800"),
    ("SchedulerParameters", "bf_interval=10801", "bf_interval= takes a whole number"),
    ("SchedulerParameters", "default_queue_depth=-1", "default_queue_depth= takes"),
    ("SchedulerParameters", "bf_hetjob_prio=mean", "one of min, max, avg"),
    ("SchedulerParameters", "bf_intervall=3", "did you mean bf_interval?"),
    ("SchedulerParameters", "bf_continue=no", "takes no value"),
    ("SchedulerParameters", "defer,DEFER", "written twice"),
    ("SlurmctldParameters", "rl_enable,rl_bucket_size=x", "rl_bucket_size= takes"),
    ("SlurmctldParameters", "node_reg_mem_percent=101", "a number from 0 to 100"),
    ("CommunicationParameters", "keepalivetime=soon", "keepalivetime= takes"),
]
TAKEN = [
    ("KillWait", "0"),
    ("KillWait", "unlimited"),
    ("MinJobAge", "4294967293"),
    ("usepam", "yes"),
    ("SelectType", '"select/cons_tres"'),
    ("PropagateResourceLimits", "NONE"),
    ("PropagateResourceLimitsExcept", "RLIMIT_MEMLOCK"),
    ("PropagateResourceLimitsExcept", '"MEMLOCK, RLIMIT_CORE"'),
    ("AccountingStorageTRES", "CPU,billing"),
    ("PriorityWeightTRES", "CPU=1000,Mem=0.5G,fs/disk=2"),
    ("PrEpPlugins", "prep/script"),
    ("GresTypes", "shard,gpu"),
    ("TaskPlugin", "none"),
    ("MpiDefault", "pmix"),
    ("SchedulerParameters", "max_rpc_count=10"),
    ("JobAcctGatherParams", "UsePss,OverMemoryKill"),
    ("JobAcctGatherParams", '"overmemorykill, usepss"'),
    ("SlurmctldParameters", '"conmgr_threads=4, rl_enable"'),
    ("TaskPluginParam", "Cores,Verbose,Autobind=threads"),
    ("PriorityFlags", "DEPTH_OBLIVIOUS,NO_FAIR_TREE"),
    ("SelectTypeParameters", "cr_core_memory,CR_LLN"),
    ("DebugFlags", "backfill,SelectType"),
    ("SlurmdDebug", "7"),
    ("PriorityDecayHalfLife", "7-0"),
    ("PriorityDecayHalfLife", "-1"),
    ("PriorityMaxAge", "1-12:30:00"),
    ("PriorityCalcPeriod", "0:30"),
    ("Licenses", "a:1;b=2,c"),
    ("RequeueExit", "1-9,18"),
    ("RequeueExit", "0,200-255"),
    ("JobAcctGatherFrequency", "30"),
    ("JobAcctGatherFrequency", "task=30,energy=0"),
    ("SuspendTime", "-1"),
    ("SchedulerParameters", '"defer, bf_interval=-1"'),
    ("SchedulerParameters", "SCHED_INTERVAL=0"),
    ("SlurmctldParameters", "node_reg_mem_percent=99.5"),
    ("MailDomain", "a.b"),
]


@pytest.mark.parametrize(("key", "text", "what"), REFUSED)
def test_a_value_that_slurmctld_would_not_take(key: str, text: str, what: str) -> None:
    (problem,) = SLURM.settings_problems({key: text})
    assert (problem.key, problem.value) == (key, text)
    assert what in f"{problem.what}; {problem.remedy}"


@pytest.mark.parametrize(("key", "text"), TAKEN)
def test_a_value_that_slurmctld_takes(key: str, text: str) -> None:
    assert SLURM.settings_problems({key: text}) == []


def test_a_part_of_a_list_may_be_meant_although_it_is_not_known() -> None:
    values = {"SchedulerParameters": "bf_new=3"}
    assert SLURM.settings_problems(values)
    assert not SLURM.settings_problems({"unlisted": "MyKey bf_new", **values})


@pytest.mark.parametrize(
    ("values", "key", "what"),
    [
        ({"PreemptMode": "CANCEL"}, "PreemptMode", "needs a PreemptType"),
        ({"PreemptType": "preempt/qos"}, "PreemptType", "needs a PreemptMode"),
        ({"PreemptMode": "SUSPEND", "PreemptType": "preempt/qos"}, "PreemptMode", "needs GANG"),
        ({"PreemptMode": "CANCEL,REQUEUE"}, "PreemptMode", "exclude one another"),
        ({"SelectTypeParameters": "CR_CPU,CR_Core"}, "SelectTypeParameters", "exclude"),
        ({"SelectTypeParameters": "CR_LLN"}, "SelectTypeParameters", "needs CR_CPU"),
        ({"selecttypeparameters": "CR_Memory"}, "selecttypeparameters", "needs CR_CPU"),
        (
            {"SelectTypeParameters": "CR_CPU,CR_ONE_TASK_PER_CORE"},
            "SelectTypeParameters",
            "does not go with CR_CPU",
        ),
        (
            {
                "MaxNodeCount": "5",
                "SelectType": "select/linear",
                "SelectTypeParameters": "CR_Memory",
            },
            "MaxNodeCount",
            "does not know",
        ),
        # CR_Core is the default of the adapter.
        ({"SelectType": "select/linear"}, "SelectType", "does not go with CR_CORE"),
        (
            {"SelectType": "select/linear", "SelectTypeParameters": "CR_Core_Memory"},
            "SelectTypeParameters",
            "does not go with CR_CORE_MEMORY",
        ),
        ({"TaskPluginParam": "Sockets,Cores"}, "TaskPluginParam", "SOCKETS and CORES exclude"),
        ({"TaskPluginParam": "Autobind=none,Autobind=cores"}, "TaskPluginParam", "exclude"),
        ({"GresTypes": "mps"}, "GresTypes", "mps needs gpu"),
        ({"GresTypes": "nic,shard"}, "GresTypes", "shard needs gpu"),
        (
            {
                "GresTypes": "gpu,shard",
                "SelectType": "select/linear",
                "SelectTypeParameters": "CR_Memory",
            },
            "GresTypes",
            "shard needs select/cons_tres",
        ),
        (
            {"SlurmctldParameters": "rl_enable,enable_stepmgr"},
            "SlurmctldParameters",
            "enable_stepmgr needs PrologFlags: Contain",
        ),
        (
            {"SlurmctldParameters": "enable_stepmgr", "PrologFlags": "Alloc"},
            "SlurmctldParameters",
            "enable_stepmgr needs PrologFlags: Contain",
        ),
        ({"DefMemPerCPU": "1", "DefMemPerNode": "2"}, "DefMemPerCPU", "takes the place"),
        ({"MaxMemPerCPU": "1", "MaxMemPerNode": "2"}, "MaxMemPerCPU", "takes the place"),
        (
            {"PropagateResourceLimits": "NONE", "PropagateResourceLimitsExcept": "CORE"},
            "PropagateResourceLimits",
            "takes the place",
        ),
        ({"PriorityFlags": "DEPTH_OBLIVIOUS,FAIR_TREE"}, "PriorityFlags", "FAIR_TREE off"),
        ({"PriorityFlags": "FAIR_TREE,NO_FAIR_TREE"}, "PriorityFlags", "FAIR_TREE off"),
        (
            {"SchedulerParameters": "max_rpc_count=1,max_rpc_cnt=2"},
            "SchedulerParameters",
            "takes the place",
        ),
        (
            {"SchedulerParameters": "sched_interval=-1,bf_interval=-1"},
            "SchedulerParameters",
            "no job that waits ever starts",
        ),
        (
            {"SchedulerType": "sched/builtin", "SchedulerParameters": "sched_interval=-1"},
            "SchedulerParameters",
            "no job that waits ever starts",
        ),
        ({"MCSPlugin": "mcs/group"}, "MCSPlugin", "needs MCSParameters"),
        ({"MCSParameters": "ondemand"}, "MCSParameters", "needs an MCSPlugin"),
        ({"PrologFlags": "NoHold,Contain"}, "PrologFlags", "does not go with"),
        (
            {"PrologFlags": "X11", "ProctrackType": "proctrack/linuxproc"},
            "PrologFlags",
            "proctrack/linuxproc",
        ),
        ({"CommunicationParameters": "DisableIPv4"}, "CommunicationParameters", "IPv6"),
        ({"PriorityDecayHalfLife": "0"}, "PriorityDecayHalfLife", "PriorityUsageResetPeriod"),
        ({"JobAcctGatherParams": "UsePss,NoShared"}, "JobAcctGatherParams", "exclude"),
    ],
)
def test_values_that_do_not_go_together(values: dict[str, str], key: str, what: str) -> None:
    (problem,) = SLURM.settings_problems(values)
    assert (problem.key, problem.value) == (key, values[key])
    assert what in problem.what


@pytest.mark.parametrize(
    "values",
    [
        {"PreemptMode": "OFF"},
        {"PreemptMode": "GANG"},
        {"PreemptType": "preempt/partition_prio", "PreemptMode": "suspend,gang"},
        {"SelectType": "select/linear", "SelectTypeParameters": "CR_Memory"},
        {"PriorityDecayHalfLife": "0", "PriorityUsageResetPeriod": "DAILY"},
        {"MCSPlugin": "mcs/group", "MCSParameters": "ondemand"},
        {"MCSPlugin": "mcs/group", "MCSParameters": "Enforced,select,privatedata:a|b"},
        {"SlurmctldParameters": "enable_stepmgr", "PrologFlags": "contain"},
        {"PrologFlags": "X11"},
        {"DefMemPerCPU": "1", "MaxMemPerNode": "2"},
        {"SchedulerParameters": "bf_interval=-1"},
        {"SchedulerParameters": "sched_interval=-1"},
    ],
)
def test_values_that_go_together(values: dict[str, str]) -> None:
    assert SLURM.settings_problems(values) == []


def test_no_cluster_has_more_nodes_than_slurm_may_know(tmp_path: Path) -> None:
    few = {"settings": {"slurm": {"MaxNodeCount": 1}}, "schedulers": ["slurm"]}
    (line,) = refusal(tmp_path, nodes=[1, 2], **few)
    assert "settings.slurm.MaxNodeCount = '1': clusters have up to 2 nodes" in line
    assert load(tmp_path, nodes=[1], **few)


@pytest.mark.parametrize(
    ("values", "release", "what"),
    [
        ({"MetricsType": "metrics/openmetrics"}, "trixie", "24.11, and only Slurm from 25.11 on"),
        ({"SelectType": "select/cons_res"}, "trixie", "only Slurm up to 22.05 has select/cons_res"),
        ({"PrologFlags": "Alloc,runinjob"}, "noble-server.img", "Ubuntu 24.04 has Slurm 23.11"),
        ({"SchedulerParameters": "defer_batch"}, "bookworm", "from 23.11 on has defer_batch"),
    ],
)
def test_a_release_has_what_its_version_of_slurm_has(
    values: dict[str, str], release: str, what: str
) -> None:
    given = {"submission": "cli", **values}
    (problem,) = SLURM.release_problems(given, release)
    assert problem.key in values and what in problem.what
    assert not SLURM.release_problems(given, "forky")


def test_every_form_of_the_tables_can_be_told() -> None:
    entries = [forms.entry(words) for words in forms.lines("keys.txt")]
    assert len({one.name.lower() for one in entries}) == len(entries)
    assert all(forms.allowed(one.forms) for one in entries if one.forms)
    lists = {one.name for one in entries if forms.Form("parameters") in one.forms}
    assert lists == {words[0] for words in forms.lines("parameters.txt")}
    parts = [one for name in lists for one in forms.parts(name.lower()).values()]
    assert len(parts) == len(forms.lines("parameters.txt"))
    assert all(forms.allowed(one.forms) for one in parts if one.forms)
