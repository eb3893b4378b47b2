"""Schemas of the tables: columns with their types, units and meanings.

Every field carries its unit and description in its metadata, every table the version of the
schema. A change to a column's meaning needs a new version.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from schedlab.schedulers.base import RUNS_AGAIN, TIMESTAMPS

VERSION = "schedlab.tables/10"
"""Version 2: samples carry the lineage of their trial; rows say whose they are.

Version 3: jobs carry the instants of their ranks.

Version 4: waits, turnarounds and slowdowns begin when a job was due, not when it was submitted; the
parts of the wait are called lateness, submission, scheduling and launch. `valid` judges the
measurement alone; jobs without an end count with lower bounds (`at_least`). Trials carry digests of
their trace and of their host's description.

Version 5: costs of daemons are by systemd unit where one has no jobs in it, and say whose they are;
trials say whether payloads ran, and what bounded the submissions under way.

Version 6: trials know their block, and what others took of the host meanwhile.

Version 7: trials know whether their nodes were virtual, and have the 90th percentile of the wait.

Version 8: jobs carry their priority and the instant from which no other job held them back.
Trials tell how urgent jobs, wide jobs and users fared, and those of a search how it went. Jobs and
trials tell what a fault or preemption did to runs; trials have the level of their background.

Version 9: jobs name the node whose loss ended a run.

Version 10: jobs carry the starts of ranks that stamped no end, and every run that was given up;
trials tell how many jobs fit on the machine, and daemons' costs how often a quota held them
back, and whether they are serial.
Trials of a search tell its precision, and why they did not sustain their rate.
"""

# Millions of rows repeat a few strings, so they are stored once, in a dictionary.
_WORD = pa.dictionary(pa.int32(), pa.string())
_INSTANTS_OF_RANKS = pa.list_(pa.int64())


class Column(NamedTuple):
    """One column.

    Parameters
    ----------
    name : str
        Column name.
    type : pyarrow.DataType
        Type; every column may hold nulls.
    unit : str
        Unit; `1` for counts and ratios, empty where none applies.
    description : str
        What it holds.
    """

    name: str
    type: pa.DataType
    unit: str
    description: str


KEYS = (
    Column("trial", pa.string(), "", "id of the trial: cluster.workload.repetition"),
    Column("cluster", pa.string(), "", "id of the cluster: scheduler-n(nodes)"),
    Column("scheduler", pa.string(), "", "name of the variant, which is that of its series"),
    Column("adapter", pa.string(), "", "scheduler that the variant is one of"),
    Column("snapshot", pa.int32(), "1", "which of equal clusters, each made anew, from 1"),
    Column("source", pa.string(), "", "name of the import that it is from; empty for one's own"),
    Column("workload", pa.string(), "", "name of the workload"),
    Column("repetition", pa.int32(), "1", "repetition, from 1"),
)

_INSTANTS = {
    "intended": "when the job was due: the trace wanted its submission",
    "submit": "just before the submission command",
    "accepted": "the scheduler had the job",
    "allocated": "the scheduler gave it nodes",
    "started": "first instruction of the first rank; without a payload, as it was reported",
    "finished": "last instruction of the last rank; without a payload, as it was reported",
    "completed": "the scheduler knew of its end",
    "interrupted": "a run was first given up: lost node, preemption, or the scheduler stopped",
    "restarted": "first instruction of its last run; null if it ran once",
}

JOBS = (
    *KEYS,
    Column("job", pa.int32(), "1", "number in the trace, from 0"),
    Column("lineage", pa.string(), "", "digest of the trial's record and of all before it"),
    Column("user", pa.string(), "", "user in the trace"),
    Column("nodes", pa.int32(), "1", "nodes requested"),
    Column("cpus", pa.int32(), "1", "processors requested on each node"),
    Column("runtime_requested", pa.float64(), "s", "what the payload was told to last"),
    Column("walltime", pa.float64(), "s", "time limit requested"),
    Column("priority", pa.int32(), "1", "priority in the trace; larger is more urgent"),
    Column("released", pa.int64(), "ns", "the last job that it runs after had ended; null if none"),
    *(
        column
        for name in (*TIMESTAMPS, *RUNS_AGAIN)
        for column in (
            Column(name, pa.int64(), "ns", f"{_INSTANTS[name]}; since the trial's start"),
            Column(f"{name}_source", pa.string(), "", f"where `{name}` is from, and resolution"),
        )
    ),
    Column(
        "lost_node",
        pa.string(),
        "",
        "node whose loss `interrupted` it; null: something else did, or no record says",
    ),
    Column("given_up", _INSTANTS_OF_RANKS, "ns", "every time that a run was given up, in order"),
    Column("given_up_node", pa.list_(pa.string()), "", "for each of them as `lost_node`"),
    Column("restarts", _INSTANTS_OF_RANKS, "ns", "`started` of ranks that had started before"),
    Column("placement", pa.list_(pa.string()), "", "nodes that it ran on, each once"),
    Column("allocated_nodes", pa.int32(), "1", "nodes of the allocation, one for each rank"),
    Column("allocated_cpus", pa.int32(), "1", "processors of the allocation, over all nodes"),
    Column("native_id", pa.string(), "", "the scheduler's number of the job"),
    Column("state", pa.string(), "", "COMPLETED, FAILED, REJECTED, LOST, ... (schedulers.base)"),
    Column("native_state", pa.string(), "", "state in the scheduler's words"),
    Column("exit_code", pa.int32(), "1", "exit code; 128 + n after signal n"),
    Column("ranks", pa.int32(), "1", "ranks whose payload stamped its start; 0 where none ran"),
    Column("launch_skew_ns", pa.int64(), "ns", "first instruction, last rank minus first rank"),
    Column("rank_started", _INSTANTS_OF_RANKS, "ns", "`started` of each rank that ended, in order"),
    Column("rank_finished", _INSTANTS_OF_RANKS, "ns", "`finished` of each such rank"),
    Column("rank_open", _INSTANTS_OF_RANKS, "ns", "`started` of each rank that stamped no end"),
)

SAMPLES = (
    Column("trial", _WORD, "", "id of the trial"),
    Column("lineage", _WORD, "", "digest of the trial's record and of all before it"),
    Column("t_ns", pa.int64(), "ns", "instant of the sample since the trial's start"),
    Column("metric", _WORD, "", "Prometheus metric"),
    Column("instance", _WORD, "", "node; the label `instance`"),
    Column("labels", _WORD, "", "all labels, as JSON with sorted keys"),
    Column("value", pa.float64(), "", "value, in the metric's own unit"),
)

_COST = pa.list_(
    pa.struct(
        [
            ("node", pa.string()),
            ("process", pa.string()),
            ("group", pa.string()),
            ("serial", pa.bool_()),
            ("cpu_s", pa.float64()),
            ("process_cpu_s", pa.float64()),
            ("unit_cpu_s", pa.float64()),
            ("rss_bytes", pa.float64()),
            ("peak_rss_bytes", pa.float64()),
            ("unit_peak_bytes", pa.float64()),
            ("quota_periods", pa.float64()),
            ("throttled_periods", pa.float64()),
            ("throttled_s", pa.float64()),
        ]
    )
)

_F = pa.float64()
_N = pa.int32()

CONDITIONS = (
    Column("kind", pa.string(), "", "kind of the workload"),
    Column("background_filled", _F, "1", "part of the processors that the background takes"),
    Column("background_pending", _N, "1", "jobs of the background that wait"),
    Column("background_level_of", pa.string(), "", "workload of whose levels this is one"),
    Column("payload", pa.bool_(), "", "jobs ran their payload; false: the submitter's ceiling"),
    Column("order", _N, "1", "place in the random order of its campaign's trials, from 0"),
    Column("nodes", _N, "1", "compute nodes"),
    Column("cpus_per_node", _N, "1", "processors of a compute node"),
    Column("cores", _N, "1", "processors of all the compute nodes"),
    Column("carriers", _N, "1", "machines that carry the nodes, which are virtual; null: real"),
    Column("lineage", pa.string(), "", "digest of the trial's record and of all before it"),
    Column("parent", pa.string(), "", "digest of the record of the cluster's configuration"),
    Column("trace", pa.string(), "", "digest of the jobs submitted and their machine's size"),
    Column("host", pa.string(), "", "digest of the host's description; null where not recorded"),
    Column("duration_s", _F, "s", "the whole trial, with restore and collection"),
    Column("accelerator", pa.string(), "", "kvm, or tcg (software emulation)"),
    Column("oversubscription", _F, "1", "virtual processors per host core"),
    Column("campaign", pa.string(), "", "when the run of the workflow began that it is of; UTC"),
    Column("boot", pa.string(), "", "digest of the host's boot"),
    Column("block", pa.string(), "", "digest of both; null where one is not recorded"),
    Column("bridge", pa.bool_(), "", "ran again to share a block with cells added later"),
    Column("host_cores", _N, "1", "cores of the host"),
    Column("host_cpu", pa.string(), "", "the host's processor"),
    Column("load_start", _F, "1", "host's load average (1 min) before the workload"),
    Column("load_end", _F, "1", "host's load average (1 min) after the workload"),
    Column("others", _F, "1", "part of the host's processor time that others took, steal included"),
    Column("stalled", _F, "1", "part of the workload in which the host stood still for memory"),
    Column("steal_s", _F, "s", "processor time stolen from the host during the workload"),
    Column("restore_s", _F, "s", "restoring the cluster"),
    Column("scrape_interval_s", _F, "s", "between two samples"),
    Column("clock_uncertainty_s", _F, "s", "largest uncertainty of a node's clock offset"),
    Column("clock_drift_s", _F, "s", "largest change of a node's clock offset during the trial"),
    Column("clock_offset_s", _F, "s", "head's clock minus the host's, before the workload"),
    Column("conditions", pa.string(), "", "all conditions of the record, as JSON"),
    Column("settings", pa.string(), "", "the scheduler's settings in force, as JSON"),
    Column("parity", pa.string(), "", "the scheduler's rows of the parity manifest, as JSON"),
    Column("counters", pa.string(), "", "the scheduler's own counters, as JSON"),
    Column("limits", pa.string(), "", "limits by the scheduler's settings, as JSON; see Limit"),
)

RUN_ORDER = ["campaign", "order"]
"""Columns that sort trials as they ran: every run of the workflow counts its trials from 0."""

PASSED, FAILED, UNKNOWN = "passed", "failed", "not measured"
"""Verdicts of a check."""

_CHECKS = pa.list_(
    pa.struct(
        [
            ("name", pa.string()),
            ("value", pa.float64()),
            ("limit", pa.float64()),
            ("unit", pa.string()),
            ("verdict", pa.string()),
            ("reason", pa.string()),
            ("withholds", pa.list_(pa.string())),
        ]
    )
)
_WORDS = pa.list_(pa.string())

VERDICT = (
    Column("valid", pa.bool_(), "", "the measurement passed every check of the whole trial"),
    Column("reasons", _WORDS, "", "why it did not"),
    Column("checks", _CHECKS, "", "every check: value, limit, verdict, and what it withholds"),
    Column("withheld", _WORDS, "", "metrics that a check withholds: empty in this row"),
    Column("at_least", _WORDS, "", "metrics that are lower bounds: some jobs came to no end"),
)

OUTCOME = (
    Column("timed_out", pa.bool_(), "", "the trial's limit came before the end of all jobs"),
    Column("limit_s", _F, "s", "the limit (limits.trial)"),
    Column("observed_s", _F, "s", "until when jobs were observed, since the trial's start"),
    Column("daemons", _WORDS, "", "the scheduler's daemons that died or started again, in words"),
    Column("fault", pa.string(), "", "kind of the fault that was provoked; null: none"),
    Column("fault_node", pa.string(), "", "compute node that it was of"),
    Column("told", _WORDS, "", "fates other than completed, with what the scheduler said most"),
    Column("concurrency", _N, "1", "most submissions that were under way at one time"),
    Column("concurrency_bound", _N, "1", "most that could be; jobs that are due wait only above"),
    Column("backlog", _N, "1", "most submissions that were due at one time and had not begun"),
    Column("places", _F, "1", "jobs of the trace that fit on the machine beside the background"),
)

FATES = (
    "completed",
    "failed",
    "rejected",
    "lost",
    "duplicated",
    "unfinished",
    "not_submitted",
)
"""Columns of the trials table that count the jobs of each fate."""

METRICS = (
    Column("jobs", _N, "1", "jobs of the trace: the denominator"),
    Column("completed", _N, "1", "jobs that ended well"),
    Column("failed", _N, "1", "jobs that ran and ended badly, or were cancelled"),
    Column("rejected", _N, "1", "submissions that the scheduler refused"),
    Column("lost", _N, "1", "jobs accepted and then in no record"),
    Column("duplicated", _N, "1", "jobs with two runs, of which none was given up or both ended"),
    Column("unfinished", _N, "1", "jobs pending or running at the trial's end"),
    Column("not_submitted", _N, "1", "jobs that the driver had not come to at the end"),
    Column("makespan_s", _F, "s", "last instruction of all, or the trial's end - first submit"),
    Column(
        "throughput_jobs_per_s", _F, "1/s", "completed / (last end, or the trial's - first submit)"
    ),
    Column("throughput_busy_jobs_per_s", _F, "1/s", "median of completions in each busy second"),
    Column("utilisation", _F, "1", "busy core time / (cores x makespan)"),
    Column("utilisation_steady", _F, "1", "the same between 10 and 90 % of the job starts"),
    Column(
        "fragmentation",
        _F,
        "1",
        "idle core time while a job that would fit waits / all; without the background's cores",
    ),
    Column("wait_mean_s", _F, "s", "started - intended"),
    Column("wait_median_s", _F, "s", "started - intended"),
    Column("wait_p90_s", _F, "s", "started - intended; only from 10 jobs"),
    Column("wait_p99_s", _F, "s", "started - intended; only from 100 jobs"),
    Column("wait_max_s", _F, "s", "started - intended"),
    Column("submission_mean_s", _F, "s", "accepted - submit"),
    Column("submission_median_s", _F, "s", "accepted - submit"),
    Column("scheduling_mean_s", _F, "s", "allocated - accepted"),
    Column("scheduling_median_s", _F, "s", "allocated - accepted"),
    Column("launch_mean_s", _F, "s", "started - allocated"),
    Column("launch_median_s", _F, "s", "started - allocated"),
    Column("completion_mean_s", _F, "s", "completed - finished"),
    Column("completion_median_s", _F, "s", "completed - finished"),
    Column("held_mean_s", _F, "s", "completed - allocated"),
    Column("processors_mean", _F, "1", "processors of a job"),
    Column("turnaround_mean_s", _F, "s", "finished - intended"),
    Column("turnaround_median_s", _F, "s", "finished - intended"),
    Column("bounded_slowdown_mean", _F, "1", "max(1, (wait + r) / max(r, threshold))"),
    Column("bounded_slowdown_median", _F, "1", "max(1, (wait + r) / max(r, threshold))"),
    Column("bounded_slowdown_threshold_s", _F, "s", "threshold; scaled with the trace"),
    Column("launch_skew_median_s", _F, "s", "over jobs of more than one rank"),
    Column("launch_skew_max_s", _F, "s", "over jobs of more than one rank"),
    Column("fairness_jain", _F, "1", "Jain's index over users of mean bounded slowdown"),
    Column("share_jain", _F, "1", "Jain's index over users of use / share, while all users wait"),
    Column("share_gap", _F, "1", "largest distance of a user's part of that use from its share"),
    Column(
        "urgent_wait_s",
        _F,
        "s",
        "median wait of urgent jobs; of kind priority whatever their level",
    ),
    Column("urgent_overtaken", _F, "1", "others that were placed while such a job waited; mean"),
    Column("wide_wait_s", _F, "s", "median wait of the widest jobs of several widths"),
    Column("wide_overtaken", _F, "1", "others that were placed while such a job waited; mean"),
    Column("interrupted", _N, "1", "jobs of which the scheduler gave up a run"),
    Column("restarted", _N, "1", "jobs that ran more than once"),
    Column("fault_begin_s", _F, "s", "when the fault came, since the trial's start"),
    Column("fault_end_s", _F, "s", "when it was taken back; null: after the workload"),
    Column("fault_next_start_s", _F, "s", "controller told to start again, to the next job start"),
    Column("fault_hit", _N, "1", "jobs that a node had when it failed"),
    Column("fault_detection_s", _F, "s", "node failed, to the first of its jobs given up"),
    Column("fault_requeue_s", _F, "s", "job given up, to its next start; median"),
    Column("fault_starts_away", _N, "1", "jobs given a node, or started on it, while drained"),
    Column("fault_return_s", _F, "s", "node given back, to the next start on it"),
    Column("lateness_mean_s", _F, "s", "submit - intended"),
    Column("lateness_median_s", _F, "s", "submit - intended"),
    Column("lateness_p99_s", _F, "s", "submit - intended; only from 100 jobs"),
    Column("lateness_max_s", _F, "s", "submit - intended"),
    Column("submission_rate_jobs_per_s", _F, "1/s", "accepted / (last accepted - first submit)"),
    Column("search", _N, "1", "which search of its cell the trial is a step of, from 1"),
    Column("rate", _F, "1/s", "arrivals that the trial of a search was to offer"),
    Column("precision", _F, "1", "of the search: half of it is the least growth that counts"),
    Column("offered_rate_jobs_per_s", _F, "1/s", "arrivals in a search"),
    Column("achieved_rate_jobs_per_s", _F, "1/s", "jobs that left the queue in a search"),
    Column("queue_slope_jobs_per_s", _F, "1/s", "growth of the queue in a search"),
    Column("queue_slope_low_jobs_per_s", _F, "1/s", "lower one-sided 95 % bound of that growth"),
    Column("sustained", pa.bool_(), "", "the rate of a search is sustained; null if unknown"),
    Column("why_not", _WORDS, "", "why not: queue, jobs (bad ends), wait; cycles: unknown"),
    Column("area_bound_s", _F, "s", "least makespan for the area that the background leaves"),
    Column("critical_path_s", _F, "s", "least makespan for the longest job after its arrival"),
    Column("ideal_makespan_s", _F, "s", "the larger of the two bounds"),
    Column("scheduler_cpu_s", _F, "s", "processor time of the daemons during the workload"),
    Column("scheduler_cpu_per_job_s", _F, "s", "the same for each job of the trace"),
    Column("scheduler_peak_rss_bytes", _F, "B", "sum of the daemons' peak memory at the end"),
    Column("daemon_cost", _COST, "s, B", "processor time and memory of each daemon on each node"),
)

TRIALS = (*KEYS, *CONDITIONS, *VERDICT, *OUTCOME, *METRICS)


def schema(columns: tuple[Column, ...], table: str) -> pa.Schema:
    """Arrow schema of a table, with the metadata.

    Parameters
    ----------
    columns : tuple of Column
        Columns in their order.
    table : str
        Name of the table.
    """
    return pa.schema(
        [
            pa.field(c.name, c.type, metadata={"unit": c.unit, "description": c.description})
            for c in columns
        ],
        metadata={"schema": VERSION, "table": table},
    )


JOBS_SCHEMA = schema(JOBS, "jobs")
SAMPLES_SCHEMA = schema(SAMPLES, "samples")
TRIALS_SCHEMA = schema(TRIALS, "trials")


def unit(table: pa.Schema, column: str) -> str:
    """Unit of a column, as its metadata has it.

    Raises
    ------
    KeyError
        When the table has no such column.
    """
    return bytes((table.field(column).metadata or {}).get(b"unit", b"")).decode()
