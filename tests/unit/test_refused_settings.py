"""Settings that would break or evade the measurement are refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_factory import load, refusal

from schedlab.schedulers import get_scheduler, scheduler_names
from schedlab.schedulers.installation import SETTINGS
from schedlab.schedulers.slurm.bounds import TAKING

SLURM = get_scheduler("slurm")
# What slurm.conf(5) describes as a program or a plugin that runs one, as a file or a folder, or as
# a host, an address, a port or a user.
PROGRAMS = """
    CliFilterPlugins Epilog EpilogSlurmctld HealthCheckProgram JobCompPassScript JobSubmitPlugins
    MailProg PlugStackConfig PluginDir Prolog PrologSlurmctld RebootProgram ResumeFailProgram
    ResumeProgram ResvEpilog ResvProlog SallocDefaultCommand SlurmctldPlugstack
    SlurmctldPrimaryOffProg SlurmctldPrimaryOnProg SrunEpilog SrunProlog SuspendProgram TaskEpilog
    TaskProlog UnkillableStepProgram
"""
FILES = """
    AccountingStorageLoc AccountingStoragePass JobCompLoc JobCompPass JobCredentialPrivateKey
    JobCredentialPublicCertificate SlurmSchedLogFile SlurmctldLogFile SlurmctldPidFile SlurmdLogFile
    SlurmdPidFile SlurmdSpoolDir StateSaveLocation TmpFS
"""
NAMES = """
    AccountingStorageBackupHost AccountingStorageExternalHost AccountingStorageHost
    AccountingStoragePort AccountingStorageUser AuthAltParameters AuthAltTypes AuthInfo AuthType
    BackupAddr BackupController ClusterName ControlAddr ControlMachine CredType CryptoType DownNodes
    FrontendName JobCompHost JobCompPort JobCompUser NodeName NodeSet PartitionName SlurmUser
    SlurmctldAddr SlurmctldHost SlurmctldPort SlurmdPort SlurmdUser SrunPortRange
"""
RECORDS = "FirstJobId LogTimeFormat MaxJobId SlurmSchedLogLevel SlurmctldDebug"


@pytest.mark.parametrize(
    "key", [*f"{PROGRAMS} {FILES} {NAMES} {RECORDS}".split(), "SlurmdParameters"]
)
def test_what_is_on_the_guests_is_no_setting_of_slurm(key: str) -> None:
    for spelling in (key, key.lower(), key.upper()):
        for text in ("/x/y", "1", "name"):
            (problem,) = SLURM.settings_problems({spelling: text})
            assert (problem.key, problem.value) == (spelling, text)
            assert problem.what and problem.remedy


@pytest.mark.parametrize(
    ("key", "text", "what"),
    [
        ("Include", "/etc/slurm/more.conf", "includes another file"),
        ("INCLUDE", "more.conf", "includes another file"),
        ("StepProlog", "x", "has programs run"),
        ("NewProgram", "x", "has programs run"),
        ("StatisticsLogFile", "x", "names a file"),
        ("ScriptPath", "x", "names a file"),
        ("MetricsPort", "1", "names hosts"),
        ("Extra", "a,/etc/shadow", "names a file"),
        ("Extra", "dir=/tmp", "names a file"),
        ("Extra", "../x", "names a file"),
        ("Extra", "./x", "names a file"),
        ("Extra", "~/x", "names a file"),
        ("Extra", "~root/x", "names a file"),
        ("Extra", "https://h/x", "names a file"),
        ("Extra", '"a /x"', "names a file"),
    ],
)
def test_a_key_that_is_said_to_be_meant_is_refused_likewise(key: str, text: str, what: str) -> None:
    (problem,) = SLURM.settings_problems({"unlisted": key, key: text})
    assert problem.key == key and what in problem.what


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("AuthInfo", "socket=/run/other"),
        ("AuthInfo", "cred_expire=20,socket=/run/other"),
        ("AuthInfo", "cred_expire=4"),
        ("SlurmdDebug", "/etc/shadow"),
        ("SchedulerParameters", "bf_continue,x=/etc/shadow"),
        ("AccountingStorageType", "accounting_storage/slurmdbd"),
        ("JobCompType", "jobcomp/script"),
        ("JobCompType", '"jobcomp/script"'),
        ("CertgenParameters", "certgen_script=x"),
        ("CertmgrParameters", "a=1,generate_csr_script=scripts/x"),
        ("SchedulerParameters", "x/../../etc"),
        ("JobCompType", "jobcomp/elasticsearch"),
        # It opens /var/log/slurm_jobcomp.log, and slurmctld's user may not.
        ("JobCompType", "jobcomp/filetxt"),
        ("AccountingStorageEnforce", "limits"),
        ("AccountingStorageTRES", "gres/gpu"),
        ("PriorityWeightFairshare", "1000"),
        ("BurstBufferType", "burst_buffer/lua"),
        ("NodeFeaturesPlugins", "node_features/helpers"),
        ("AcctGatherEnergyType", "acct_gather_energy/rapl"),
        ("JobContainerType", "job_container/tmpfs"),
        ("SwitchType", "switch/hpe_slingshot"),
        ("TopologyPlugin", "topology/tree"),
        ("TaskPlugin", "task/affinity,task/cgroup"),
        ("ProctrackType", "proctrack/cgroup"),
        ("FastSchedule", "0"),
    ],
)
def test_values_that_need_what_the_guests_do_not_have(key: str, text: str) -> None:
    assert [one.key for one in SLURM.settings_problems({key: text})] == [key]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("SchedulerType", "sched/builtin"),
        ("AuthInfo", "cred_expire=20"),
        ("SelectTypeParameters", "CR_Socket"),
        ("TaskPlugin", "task/affinity"),
        ("PriorityType", "priority/multifactor"),
        ("PrologFlags", "Alloc"),
        ("PrologEpilogTimeout", "10"),
        ("EpilogMsgTime", "100"),
        ("LaunchParameters", "disable_send_gids"),
        ("MpiParams", "ports=60001-63000"),
        ("SlurmctldParameters", "rl_enable,rl_bucket_size=50"),
        ("AccountingStorageType", "accounting_storage/none"),
        ("AccountingStorageType", '"accounting_storage/none"'),
        ("SuspendExcNodes", "compute1"),
        ("Licenses", "a:1,b:2"),
        ("KillWait", "29"),
        ("SlurmctldSyslogDebug", "quiet"),
    ],
)
def test_what_tunes_slurm_stays_a_setting(key: str, text: str) -> None:
    assert not SLURM.settings_problems({key: text})


@pytest.mark.parametrize("name", sorted(set(scheduler_names()) - {"slurm"}))
def test_other_schedulers_have_their_listed_settings_alone(name: str) -> None:
    """None of these takes a file, a program or an address."""
    scheduler = get_scheduler(name)
    for key in ("Include", "unlisted", "config", "kubeconfig", "extraArgs", "prolog", "plugins",
                "exec", "bindAddress", "auditLogPath", "ttlSecondsAfterFinished"):  # fmt: skip
        assert [one.key for one in scheduler.settings_problems({key: "/x"})] == [key]
    for key in set(scheduler.native_settings) - set(SETTINGS):
        for text in ("/etc/shadow", "../x", "x /y", "1\ny: 2", "$(x)", ""):
            assert key in {one.key for one in scheduler.settings_problems({key: text})}


@pytest.mark.parametrize(
    ("name", "key", "text"),
    [
        *(
            (name, key, text)
            for name in ("kubernetes", "volcano")
            for key in ("schedulerQps", "controllerQps", "schedulerBurst", "controllerBurst")
            for text in ("0", "-1", "abc", "1e3", "1000000", "05", "50.", "nan", "inf")
        ),
        ("kubernetes", "schedulerQps", "50." + "0" * 5000),
        ("kubernetes", "schedulerBurst", "50.5"),
        ("kubernetes", "logLevel", "11"),
        *(
            ("volcano", "schedulePeriod", text)
            for text in ("0s", "1", "1.5s", "1h", "-1s", "1e3ms")
        ),
        *(("volcano", "actions", text) for text in ("allocate,backfill", "nope", "enqueue")),
        *(("flux", "queueDepth", text) for text in ("0", "-1", "1000001", "010", "unlimited")),
        ("flux", "policy", "sjf"),
        ("flux", "matchPolicy", "best"),
        ("flux", "scheduler", "slurm"),
    ],
)
def test_numbers_and_words_that_a_daemon_would_refuse_or_bend(
    name: str, key: str, text: str
) -> None:
    assert [one.key for one in get_scheduler(name).settings_problems({key: text})] == [key]


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"settings": {"slurm": {"MinJobAge": 1}}}, "settings.slurm.MinJobAge = '1'"),
        # slurmctld takes 2 s for it, whatever its manual says.
        ({"settings": {"slurm": {"MinJobAge": 0}}}, "settings.slurm.MinJobAge = '0'"),
        ({"settings": {"slurm": {"minjobage": 600}}}, "settings.slurm.minjobage = '600'"),
        (
            {"schedulers": [{"name": "slurm", "settings": {"minJobAge": "899"}}]},
            "schedulers[0].settings.minJobAge = '899'",
        ),
        (
            {"limits": {"trial": 3600}, "settings": {"slurm": {"MinJobAge": "3600"}}},
            "settings.slurm.MinJobAge = '3600'",
        ),
    ],
)
def test_slurm_knows_jobs_until_their_records_are_read(
    tmp_path: Path, keys: dict[str, Any], place: str
) -> None:
    (line,) = refusal(tmp_path, **{"schedulers": ["slurm"], **keys})
    assert place in line and "forgets finished jobs" in line
    trial = keys.get("limits", {"trial": 600})["trial"]
    assert f"write {trial + TAKING} or more" in line


@pytest.mark.parametrize("age", [900, 3600])
def test_an_age_that_is_long_enough_is_accepted(tmp_path: Path, age: int) -> None:
    assert load(tmp_path, schedulers=["slurm"], settings={"slurm": {"MinJobAge": age}})
    assert load(
        tmp_path,
        schedulers=["slurm"],
        settings={"slurm": {"MinJobAge": 1 + TAKING}},
        limits={"trial": 1},
    )
    assert load(tmp_path, schedulers=["slurm"], limits={"trial": 20_000})


def test_no_trial_ends_before_volcanos_second_cycle(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"schedulers": ["volcano"], "head": {"memory": "3 GiB"}}
    found = refusal(tmp_path, **keys, settings={"volcano": {"schedulePeriod": "600s"}})
    assert "settings.volcano.schedulePeriod = '600s': not shorter than a trial" in "".join(found)
    assert load(tmp_path, **keys, settings={"volcano": {"schedulePeriod": "599s"}})
