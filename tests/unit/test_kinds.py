"""Kinds of workload that follow published tables and models."""

from __future__ import annotations

import math
import random
import statistics
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.special import gammainc
from swf_factory import line, write

from schedlab.metrics.overhead import fit
from schedlab.workloads import Machine
from schedlab.workloads import lublin as model
from schedlab.workloads.constant import Constant
from schedlab.workloads.daily import WORKING_DAY, Daily, recorded_profile
from schedlab.workloads.esp import MIX, WHOLE, Esp, processors
from schedlab.workloads.gang import Gang
from schedlab.workloads.lublin import Lublin
from schedlab.workloads.mix import Mix, Part
from schedlab.workloads.poisson import Poisson
from schedlab.workloads.registry import Workload

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "resources/traces/sample.swf"
TWO, BIG = Machine(2, 2), Machine(64, 8)


# constant


def test_constant_tasks_fill_every_processor_equally() -> None:
    trace = Constant(name="c", tasks=3, runtime=2.0).generate(TWO, 1)
    assert [(j.arrival, j.cores, j.runtime) for j in trace.jobs] == [(0.0, 1, 2.0)] * 12


def test_too_many_constant_tasks_are_refused() -> None:
    workload = Constant(name="c", tasks=1000)
    assert not workload.problems([TWO], ROOT)
    [problem] = workload.problems([TWO, BIG], ROOT)
    assert problem.key == "tasks" and problem.remedy == "at most 195"


@pytest.mark.parametrize(("latency", "exponent"), [(2.2, 1.3), (3.4, 1.1), (33.0, 1.0)])
def test_the_fit_finds_the_parameters_of_exact_data(latency: float, exponent: float) -> None:
    n = np.array([4.0, 8, 48, 240])
    found = fit(n, latency * n**exponent)
    assert found.latency.estimate == pytest.approx(latency)
    assert found.exponent.estimate == pytest.approx(exponent)
    assert found.exponent.low == pytest.approx(exponent)
    assert found.seconds(n) == pytest.approx(latency * n**exponent)


def test_utilisation_of_the_model() -> None:
    found = fit([1.0, 2, 4], [2.0, 4, 8])
    # dT = 2 n: tasks of 2 s take twice their time.
    assert found.utilisation([1.0, 10], 2.0) == pytest.approx([0.5, 0.5])


def test_intervals_of_the_fit_cover() -> None:
    rng = np.random.default_rng(11)
    n = np.repeat([4.0, 8, 48, 240], 3)
    covered = np.zeros(2)
    for _ in range(1000):
        found = fit(n, 2.2 * n**1.3 * rng.lognormal(0, 0.3, n.size))
        for place, (interval, true) in enumerate(((found.latency, 2.2), (found.exponent, 1.3))):
            assert interval.low is not None and interval.high is not None
            covered[place] += interval.low <= true <= interval.high
    # 95 %: four standard errors of 1000 are 2.8 %.
    assert covered / 1000 == pytest.approx([0.95, 0.95], abs=0.028)


@pytest.mark.parametrize(
    ("n", "delta", "why"),
    [
        ([1.0, 2], [1.0, 2], "n too small"),
        ([2.0, 2, 2], [1.0, 2, 3], "same number of tasks"),
        ([1.0, 2, 4], [1.0, -2, 3], "not positive"),
    ],
)
def test_what_cannot_be_fitted_says_why(n: list[float], delta: list[float], why: str) -> None:
    found = fit(n, delta)
    assert found.latency.estimate is None and why in found.latency.note
    with pytest.raises(ValueError, match=why):
        found.seconds(n)


# esp


def test_the_mix_has_the_sums_of_esp_2() -> None:
    assert sum(kind.jobs for kind in MIX.values()) == 230
    ideal = sum(float(kind.fraction) * kind.jobs * kind.runtime for kind in MIX.values())
    assert round(ideal) == 11_003
    assert MIX[WHOLE] == (Fraction(1), 2, 100.0)


def test_esp_takes_parts_of_the_machine() -> None:
    trace = Esp(name="e", time_scale=0.1, interval=2.0).generate(BIG, 5)
    assert len(trace.jobs) == 230
    by_runtime = {round(job.runtime, 4): job.cores for job in trace.jobs}
    assert by_runtime[26.7] == 16 and by_runtime[53.4] == 256 and by_runtime[10.0] == 512
    # 0.1582 x 512 = 80.998, 0.0957 x 512 = 48.998: the only ones that are not whole.
    assert trace.scale["rounded_up"] == {"H": 88, "K": 49}
    assert processors("H", BIG) == 81  # 11 nodes of 8
    assert trace.scale["ideal_of_table_s"] == pytest.approx(1100.29, abs=0.01)
    assert trace.scale["ideal_s"] > trace.scale["ideal_of_table_s"]
    assert trace.scale["bounded_slowdown_threshold"] == 1.0
    assert [job.arrival for job in trace.jobs[:3]] == [0.0, 2.0, 4.0]


def test_esp_on_a_small_machine_lists_what_it_rounds() -> None:
    scale = Esp(name="e").generate(TWO, 5).scale
    assert scale["rounded_up"] == dict.fromkeys("ABFGHIJKL", 1)
    assert scale["asked"]["A"] == 0.125 and set(scale["asked"]) == set("ABFGHIJKL")
    assert (scale["jobs_rounded_up"], scale["jobs_capped"]) == (204, 0)
    assert scale["asked_core_s"] == pytest.approx(4 * scale["ideal_of_table_s"])
    assert scale["taken_core_s"] == pytest.approx(4 * scale["ideal_s"])
    assert scale["submission"] == Esp(name="e").rule


def test_esp_is_seeded_and_spreads_the_whole_machine_jobs() -> None:
    workload = Esp(name="e")
    trace = workload.generate(BIG, 5)
    assert trace == workload.generate(BIG, 5)
    assert trace != workload.generate(BIG, 6)
    late = [(job.job, job.priority) for job in trace.jobs if job.cores == BIG.cores]
    assert late == [(228, 1), (229, 1)]
    ideal = trace.scale["ideal_s"]
    arrivals = [job.arrival for job in trace.jobs]
    assert arrivals == pytest.approx([0.0] * 228 + [ideal / 3, 2 * ideal / 3], abs=1e-6)
    assert {job.priority for job in trace.jobs[:228]} == {0}
    assert "after two thirds of the ideal time; a Z has priority 1" in trace.scale["submission"]


def test_esp_with_an_interval_has_its_whole_machine_jobs_among_the_others() -> None:
    trace = Esp(name="e", interval=1.0, z_priority=3).generate(BIG, 5)
    whole = [(job.job, job.priority) for job in trace.jobs if job.cores == BIG.cores]
    assert whole == [(76, 3), (153, 3)]
    assert "after two thirds of them; a Z has priority 3" in trace.scale["submission"]
    plain = Esp(name="e", z_priority=0).generate(BIG, 5)
    assert [job.job for job in plain.jobs if job.cores == BIG.cores] == [76, 153]
    assert {job.priority for job in plain.jobs} == {0}
    assert "the scheduler's choice" in plain.scale["submission"]


# lublin


def test_sizes_of_the_model() -> None:
    drawn = model.sizes(random.Random(3), 40_000, 128)
    serial = drawn.count(1) / len(drawn)
    # Those that round to one processor from 2^0.8 = 1.7 on do not exist: serial jobs are all.
    assert serial == pytest.approx(model.SERIAL, abs=0.01)
    powers = sum(math.log2(size).is_integer() for size in drawn) / len(drawn)
    assert powers >= model.SERIAL + model.POWER_OF_TWO - 0.01
    logs = [math.log2(size) for size in drawn if size > 1]
    # Mean of the two uniforms: (p low + middle + (1 - p) top) / 2.
    mean = (0.86 * 0.8 + 4.5 + 0.14 * 7) / 2
    assert statistics.fmean(logs) == pytest.approx(mean, abs=0.06)
    assert max(drawn) <= 128


@pytest.mark.parametrize("size", [1, 32, 128])
def test_runtimes_of_the_model(size: int) -> None:
    logs = [math.log(t) for t in model.runtimes(random.Random(4), [size] * 20_000)]
    short = 0.78 - 0.0054 * size
    mean = short * 4.2 * 0.94 + (1 - short) * 312 * 0.03
    # E[g^2] of a gamma distribution: a (a + 1) b^2.
    square = short * 4.2 * 5.2 * 0.94**2 + (1 - short) * 312 * 313 * 0.03**2
    assert statistics.fmean(logs) == pytest.approx(mean, abs=0.06)
    assert statistics.pstdev(logs) == pytest.approx(math.sqrt(square - mean**2), rel=0.03)
    assert max(logs) <= 12


def test_arrivals_of_the_model_follow_its_day() -> None:
    weights = np.array(model.daily_weights())
    assert weights.sum() == pytest.approx(48)
    # The cycle's mean, 8.17 x 3.96 half hours: most jobs come in the afternoon, fewest at night.
    assert 26 <= int(np.argmax(weights)) <= 30
    assert weights[:12].max() < 0.7
    found = np.array(model.arrivals(random.Random(5), 60_000, 0.0))
    assert (np.diff(found) >= 0).all()
    # Mean gap e^g of a g below 13 with a gamma distribution: its density times e^g is that of
    # another scale, b / (1 - b), times (1 - b)^-a.
    shape, scale = 10.2303 * 1.0225, 0.4871
    below = gammainc(shape, 13 * (1 - scale) / scale) / gammainc(shape, 13 / scale)
    gap = (1 - scale) ** -shape * below
    assert found[-1] / len(found) == pytest.approx(gap, rel=0.1)
    by_bucket = np.bincount((found % 86_400 // 1800).astype(int), minlength=48)
    assert by_bucket / by_bucket.mean() == pytest.approx(weights, abs=0.35)
    assert np.corrcoef(by_bucket, weights)[0, 1] > 0.95


def test_lublin_is_scaled_seeded_and_begins_at_its_hour() -> None:
    workload = Lublin(name="l", jobs=200, time_scale=0.01)
    trace = workload.generate(TWO, 7)
    assert trace == workload.generate(TWO, 7)
    assert trace != workload.generate(TWO, 8)
    assert trace.jobs[0].arrival == 0.0
    assert {job.cores for job in trace.jobs} <= {1, 2, 4}
    assert trace.scale["size_scale"] == 4 / 128
    assert trace.scale["bounded_slowdown_threshold"] == pytest.approx(0.1)
    taken = sum(job.cores * job.runtime for job in trace.jobs)
    assert trace.scale["taken_core_s"] == pytest.approx(taken, abs=1e-5)
    _, size, _ = workload._model(7)
    rounded = sum(job.cores * 128 > 4 * one for job, one in zip(trace.jobs, size, strict=True))
    assert 0 < trace.scale["jobs_rounded_up"] == rounded and trace.scale["jobs_capped"] == 0
    assert trace.scale["asked_core_s"] < taken
    assert workload.generate(TWO, 8).scale["taken_core_s"] != trace.scale["taken_core_s"]
    first = workload.model_copy(update={"jobs": 20}).generate(TWO, 7)
    assert first.jobs == trace.jobs[:20]
    slow = Lublin(name="l", jobs=200, time_scale=0.01, hour=2.0).generate(TWO, 7)
    assert slow.jobs[-1].arrival != trace.jobs[-1].arrival


# daily


def test_a_profile_has_a_finite_sum() -> None:
    with pytest.raises(ValueError, match="less than or equal to 1000000000"):
        Daily(name="d", profile=[1e308] * 24)


def test_daily_arrivals_have_the_profile() -> None:
    trace = Daily(name="d", jobs=24_000, days=3, hour=2.0).generate(TWO, 9)
    hours = np.array([job.arrival / 2.0 for job in trace.jobs])
    assert hours.min() >= 0 and hours.max() < 72
    counts = np.bincount((hours % 24).astype(int), minlength=24)
    expected = np.array(WORKING_DAY) * len(hours) / sum(WORKING_DAY)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()
    by_day = np.bincount((hours // 24).astype(int), minlength=3)
    assert (np.abs(by_day - 8000) < 5 * math.sqrt(8000)).all()


def test_daily_bursts_arrive_together() -> None:
    trace = Daily(name="d", jobs=10, burst=4, sizes=[1, 2]).generate(TWO, 9)
    arrivals = [job.arrival for job in trace.jobs]
    assert [arrivals.count(instant) for instant in sorted(set(arrivals))] == [4, 4, 2]
    plain = Daily(name="d", jobs=10, burst=4).generate(TWO, 9)
    assert [job.arrival for job in plain.jobs] == arrivals


def test_a_profile_with_one_hour_has_all_jobs_in_it() -> None:
    profile = [0.0] * 24
    profile[13] = 1.0
    trace = Daily(name="d", jobs=50, hour=10.0, profile=profile).generate(TWO, 9)
    assert all(130 <= job.arrival < 140 for job in trace.jobs)


def test_a_profile_is_read_from_a_trace() -> None:
    workload = Daily(name="d", file=SAMPLE)
    assert not workload.problems([TWO], ROOT)
    assert workload.files() == [Path(SAMPLE)]
    profile = workload.generate(TWO, 1, ROOT).scale["profile"]
    assert profile == recorded_profile(ROOT / SAMPLE)[0]
    assert sum(profile) == 99  # of 100 jobs one was cancelled before it started


START = "; UnixStartTime: 749458803\n"  # Friday, 07:00:03 UTC, 0 h in California


@pytest.mark.parametrize(
    ("header", "hour", "clock"),
    [
        (START + "; TimeZoneString: US/Pacific\n", 0, "time zone US/Pacific"),
        (START + "; TimeZone: -28800\n", 23, "UTC -8 h"),
        (START + "; TimeZone: -28800\n; TimeZoneString: none such\n", 23, "UTC -8 h"),
        (START + "; TimeZone: -28800\n; TimeZoneString: US/Pacific\n", 0, "US/Pacific"),
        (START + "; StartTime: Fri Oct 01 00:00:03 PDT 1993\n", 0, "StartTime"),
        ("; StartTime: Fri Oct  1 13:00:03 1993\n", 13, "StartTime"),
        (START, 7, "UTC: the log names no time zone"),
        ("; TimeZoneString: US/Pacific\n", 0, "hours since the log's start"),
        ("", 0, "hours since the log's start"),
    ],
)
def test_a_profile_has_the_hours_of_the_traced_machine(
    tmp_path: Path, header: str, hour: int, clock: str
) -> None:
    (tmp_path / "t.swf").write_text(header + line(1, submit=10))
    workload = Daily(name="d", file="t.swf")
    assert not workload.problems([TWO], tmp_path)
    scale = workload.generate(TWO, 1, tmp_path).scale
    assert scale["profile"].index(1.0) == hour and clock in scale["clock"]


def test_hours_change_with_the_summer_time_of_the_log(tmp_path: Path) -> None:
    # Summer time ended at 09:00 UTC on 31 October 1993.
    end = 752058000 - 749458803
    header = START + "; TimeZoneString: US/Pacific\n"
    (tmp_path / "t.swf").write_text(
        header + line(1, submit=end - 60) + line(2, submit=end + 60) + line(3, submit=end + 3600)
    )
    profile, _ = recorded_profile(tmp_path / "t.swf")
    assert {hour: count for hour, count in enumerate(profile) if count} == {1: 2.0, 2: 1.0}


@pytest.mark.parametrize(
    "header",
    [
        "; UnixStartTime: soon\n",
        START + "; TimeZoneString: Pacific\n",
        START + "; TimeZone: 1e9\n",
        START + "; TimeZone: 99999\n",
        START + "; TimeZone: -8\n",
        START + "; TimeZone: +0200\n",
        START + "; TimeZone: 3600\n; TimeZone: 7200\n",
        "; UnixStartTime: 999999999999999\n",
    ],
)
def test_a_header_from_which_the_hour_cannot_be_read_is_refused(
    tmp_path: Path, header: str
) -> None:
    (tmp_path / "t.swf").write_text(header + line(1, submit=10))
    [problem] = Daily(name="d", file="t.swf").problems([TWO], tmp_path)
    key, value = header.splitlines()[-1].removeprefix("; ").split(": ")
    assert problem.key == "file" and f"{key} = '{value}'" in problem.what
    assert "does not tell the hour of the day" in problem.what
    assert problem.remedy == "correct that line, or give the profile"


@pytest.mark.parametrize(
    ("fields", "key", "what"),
    [
        ({"sizes": [1, 5]}, "sizes[1]", "larger than the smallest"),
        ({"profile": [0.0] * 24}, "profile", "all are 0"),
        ({"profile": [1.0] * 24, "file": SAMPLE}, "profile", "beside `file`"),
        ({"file": "none.swf"}, "file", "no such trace"),
    ],
)
def test_daily_parameters_that_make_no_trace(fields: dict, key: str, what: str) -> None:
    [problem] = Daily(name="d", **fields).problems([TWO], ROOT)
    assert problem.key == key and what in problem.what


@pytest.mark.parametrize(
    "workload",
    [
        Poisson(name="p", jobs=40, sizes=[1, 3, 5], runtime=2.0),
        Daily(name="d", jobs=40, sizes=[1, 3, 5], runtime=2.0),
    ],
)
def test_sizes_that_nodes_cannot_have_are_told(workload: Workload) -> None:
    # 3 processors are 2 nodes of 2, and 5 are 3 nodes of 2.
    trace = workload.generate(Machine(3, 2), 1)
    assert trace.scale["rounded_up"] == {"3": 4, "5": 6}
    odd = sum(job.cores > 1 for job in trace.jobs)
    assert 0 < trace.scale["jobs_rounded_up"] == odd
    assert trace.scale["taken_core_s"] - trace.scale["asked_core_s"] == 2.0 * odd
    mixed = Mix(name="m", parts=[Part(user="ann", workload=workload)])
    jobs = mixed.generate(Machine(3, 2), 1)
    [part] = jobs.scale["parts"]
    assert part["taken_core_s"] == sum(2.0 * job.cores for job in jobs.jobs), "of its own seed"
    whole = workload.generate(Machine(1, 8), 1)
    assert "jobs_rounded_up" not in whole.scale, "as before where nothing is rounded"


def test_half_of_an_odd_machine_is_told() -> None:
    scale = Gang(name="g", jobs=5).generate(Machine(3, 2), 1).scale
    # Two jobs take 2 of 3 nodes instead of 3 processors.
    assert scale["jobs_rounded_up"] == 2
    assert (scale["asked_core_s"], scale["taken_core_s"]) == (24.0, 26.0)
    assert "jobs_rounded_up" not in Gang(name="g").generate(Machine(2, 2), 1).scale


def test_runtimes_that_rounding_changes_are_told(tmp_path: Path) -> None:
    scale = write(tmp_path, line(1, runtime=14), line(2, runtime=9000)).model_copy(
        update={"time_scale": 1e-7}
    )
    assert scale.generate(TWO, 1, tmp_path).scale["jobs_with_rounded_runtime"] == 1
