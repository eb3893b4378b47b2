"""Standard Workload Format: reading, the archive's rules, slicing, scaling."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from swf_factory import HEADER, NASA, ROOT, line, records, write
from workload_factory import TWO

from schedlab.swf import kept as kept_arrays
from schedlab.swf import table as swf_table
from schedlab.swf.file import header_lines, machine_size
from schedlab.swf.sample import sample_text
from schedlab.swf.table import read_table
from schedlab.workloads import Machine
from schedlab.workloads.registry import workload_from
from schedlab.workloads.swf import Swf


def test_scaling_in_time_and_size(tmp_path: Path) -> None:
    workload = write(
        tmp_path,
        line(1, submit=1000, processors=128, runtime=50),
        line(2, submit=1030, processors=33, user=-1),
        line(3, submit=1040.5, processors=1, requested_time=900, user=8),
        line(4, submit=1041, processors=65, requested_time=1),
    )
    trace = workload.generate(Machine(2, 2), 1, tmp_path)
    assert [job.arrival for job in trace.jobs] == [0.0, 3.0, 4.05, 4.1]
    assert [job.runtime for job in trace.jobs] == [5.0, 10.0, 10.0, 10.0]
    # 4 of 128 processors: 128 -> 4, 33 -> 1.03 -> 2, 1 -> 0.03 -> 1, 65 -> 2.03 -> 3 -> 2 x 2.
    assert [(job.nodes, job.cpus) for job in trace.jobs] == [(2, 2), (1, 2), (1, 1), (2, 2)]
    assert [job.user for job in trace.jobs] == ["u3", "unknown", "u8", "u3"]
    assert [job.walltime for job in trace.jobs] == [70.0, 80.0, 150.0, 80.0]
    assert trace.scale == {
        "bounded_slowdown_threshold": 1.0,
        "file": "t.swf",
        "first_traced_job": 1,
        "time_scale": 0.1,
        "shake": 0.0,
        "traced_processors": 128,
        "size_scale": 4 / 128,
        "jobs_rounded_up": 3,
        "jobs_capped": 0,
        # (128 x 5 + (33 + 1 + 65) x 10) / 32, and 4 x 5 + (2 + 1 + 4) x 10.
        "asked_core_s": 50.9375,
        "taken_core_s": 90.0,
        "jobs_without_limit": 2,
        "jobs_with_longer_limit": 1,
        "jobs_with_dependency_ignored": 0,
        "dropped": {},
    }


def test_the_limit_of_the_workload_is_what_requests_are_compared_with(tmp_path: Path) -> None:
    """At a tenth of the time the jobs ask for 90 s and for 0.1 s; all get 80 s, or 100 s."""
    swf = write(tmp_path, line(1, runtime=50, requested_time=900), line(2, requested_time=1))
    part = {"user": "ann", "workload": swf.model_dump(exclude={"name"})}
    for walltime, longer in ((80.0, 1), (100.0, 2)):
        own = swf.model_copy(update={"walltime": walltime})
        assert own.generate(TWO, 1, tmp_path).scale["jobs_with_longer_limit"] == longer
        mix = workload_from({"name": "m", "kind": "mix", "walltime": walltime, "parts": [part]})
        (facts,) = mix.generate(TWO, 1, tmp_path).scale["parts"]
        assert facts["jobs_with_longer_limit"] == longer


def test_larger_jobs_than_the_machine_are_capped(tmp_path: Path) -> None:
    workload = write(tmp_path, line(1, processors=256, preceding=1))
    trace = workload.generate(Machine(2, 2), 1, tmp_path)
    assert trace.jobs[0].cores == 4
    assert (trace.scale["jobs_capped"], trace.scale["jobs_with_dependency_ignored"]) == (1, 1)


def test_what_is_no_plain_file_is_refused_with_the_true_reason(tmp_path: Path) -> None:
    (folder,) = Swf(name="s", file=".").problems([Machine(2, 2)], tmp_path)
    (device,) = Swf(name="s", file="/dev/null").problems([Machine(2, 2)], tmp_path)
    assert (folder.what, device.what) == ("a folder", "no plain file, but a device or a pipe")
    assert folder.remedy == device.remedy == "name a trace: a file in SWF"


def test_status_rules(tmp_path: Path) -> None:
    lines = [
        line(1, status=5, runtime=0),
        line(2, status=5, runtime=-1),
        line(3, status=5, processors=-1),
        line(4, status=5, runtime=7),
        line(5, status=0),
        line(6, status=2),
        line(5, status=3),
        line(8, status=4),
        line(9, status=-1),
        line(10, runtime=-1),
        line(11, processors=-1),
        line(12, processors=0, requested_processors=16),
        line(13, runtime=0),
    ]
    (tmp_path / "t.swf").write_text(HEADER + "".join(lines))
    table = read_table(tmp_path / "t.swf")
    usable = [table.record(int(position)).number for position in table.usable()]
    assert usable == [4, 5, 9, 12, 13]
    workload = Swf(name="s", file="t.swf", jobs=5)
    assert workload.scale_of(Machine(1, 2), 1, tmp_path)["dropped"] == {
        "cancelled before it started": 3,
        "no processors": 1,
        "no runtime": 1,
        "part of an interrupted job": 1,
        "part of an interrupted job that has no line as a whole": 2,
    }


def test_slice_counts_usable_jobs_and_starts_at_zero(tmp_path: Path) -> None:
    write(tmp_path, *[line(n, submit=10 * n, status=5 * (n == 2), runtime=n) for n in range(1, 7)])
    (tmp_path / "t.swf").write_text(
        (tmp_path / "t.swf").read_text().replace("20 -1 2 64", "20 -1 0 64")
    )
    workload = Swf(name="s", file="t.swf", start=1, jobs=2, shake=0, time_scale=1.0)
    jobs = workload.generate(Machine(1, 2), 1, tmp_path).jobs
    assert [(job.arrival, job.runtime) for job in jobs] == [(0.0, 3.0), (10.0, 4.0)]


def test_shaking_moves_only_arrivals_and_only_a_little(tmp_path: Path) -> None:
    write(tmp_path, *[line(n, submit=100 * n, runtime=n) for n in range(1, 41)])
    workload = Swf(name="s", file="t.swf", jobs=40, time_scale=0.01, shake=30)
    first, again, other = (workload.generate(Machine(1, 2), s, tmp_path) for s in (1, 1, 2))
    assert first == again
    assert first.jobs != other.jobs
    shaken = sorted(first.jobs, key=lambda job: job.job)
    assert [job.runtime for job in shaken] == [round(0.01 * n, 6) for n in range(1, 41)]
    assert min(job.arrival for job in shaken) == 0.0
    moves = [job.arrival - job.job for job in shaken]
    assert 0.3 < max(moves) - min(moves) <= 0.6


def test_gzip_and_plain_are_told_apart_by_content(tmp_path: Path) -> None:
    text = HEADER + line(1)
    (tmp_path / "t.swf").write_bytes(gzip.compress(text.encode()))
    assert [record.number for record in records(tmp_path / "t.swf")] == [1]
    assert machine_size(tmp_path / "t.swf") == 128


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (HEADER, 128),
        ("; MaxNodes: 64\n", 64),
        (";MaxProcs:\t32 (of 64)\n", 32),
        ("; MaxProcs: 128.0\n", 128),
        ("; MaxProcs: -1\n; MaxNodes: 64\n", 64),
        ("; MaxProcs: -1\n; MaxNodes: 0\n", None),
        ("", None),
    ],
)
def test_machine_size_from_the_header(tmp_path: Path, head: str, size: int | None) -> None:
    write(tmp_path, line(1), "; MaxProcs: 7\n", head=head)
    assert machine_size(tmp_path / "t.swf") == size


def test_the_order_of_the_lines_is_no_matter(tmp_path: Path) -> None:
    lines = [line(n, submit=10 * (n // 2), runtime=n) for n in range(1, 61)]
    shuffled = lines[:]
    random.Random(3).shuffle(shuffled)
    workload = write(tmp_path, *lines).model_copy(update={"start": 5, "jobs": 20})
    expected = workload.generate(Machine(2, 2), 1, tmp_path)
    assert [job.runtime for job in expected.jobs][:2] == [0.6, 0.7]
    (tmp_path / "t.swf").write_text(HEADER + "".join(shuffled))
    assert workload.generate(Machine(2, 2), 1, tmp_path) == expected


def test_a_byte_order_mark_and_other_ends_of_lines_are_read(tmp_path: Path) -> None:
    text = HEADER + line(1) + line(2, submit=5)
    for content in (
        b"\xef\xbb\xbf" + text.encode(),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
        text.replace("\n", "\r").encode() + (b";" + b"-" * 99 + b"\r") * 20_000,
        gzip.compress(b"\xef\xbb\xbf" + text.encode()),
        text.rstrip().encode(),
    ):
        (tmp_path / "t.swf").write_bytes(content)
        assert machine_size(tmp_path / "t.swf") == 128
        assert read_table(tmp_path / "t.swf").rows[:, swf_table.LINE].tolist() == [6, 7]


def test_only_what_is_replayed_is_validated(tmp_path: Path) -> None:
    lines = [
        line(1, status=5, runtime="-5", processors=1.5),  # dropped
        line(3, status=3, runtime="x"),  # dropped
        line(3, processors="64.0", user="3.0", wait="x").replace(" 1 -1 1 ", " staff -1 batch "),
        line(4, submit=10, runtime=50),
        line(5, submit=20, runtime="x"),  # after the slice
        line(6, submit=30).rsplit(" ", 3)[0] + "\n",  # torn, after the slice
    ]
    workload = write(tmp_path, *lines).model_copy(update={"jobs": 2})
    assert workload.problems([Machine(1, 2)], tmp_path) == []
    trace = workload.generate(Machine(1, 2), 1, tmp_path)
    assert [(job.runtime, job.user) for job in trace.jobs] == [(10.0, "u3"), (5.0, "u3")]
    assert trace.scale["dropped"] == {
        "cancelled before it started": 1,
        "part of an interrupted job": 1,
    }
    longer = workload.model_copy(update={"jobs": 3})
    (problem,) = longer.problems([Machine(1, 2)], tmp_path)
    assert "t.swf:10: field 4 (run time) = 'x': not a number" in problem.what


def test_a_large_trace_is_read_alike_fast_or_slowly_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(swf_table, "_KEPT", 1)
    monkeypatch.setattr(kept_arrays, "_UNSETTLED", 0.0)
    rng = random.Random(5)
    lines = [
        line(
            n,
            submit=rng.choice([n, n + 0.25]),
            runtime=rng.randint(-1, 99),
            user=rng.randint(-1, 9),
        )
        for n in range(1, 3001)
    ]
    path = tmp_path / "t.swf"
    path.write_text(HEADER + "".join(lines))
    fast = swf_table.read_table(path)
    (kept,) = (tmp_path / "cache" / "traces").glob("*.npy")
    swf_table._table.cache_clear()
    again = swf_table.read_table(path)
    assert (fast.rows == again.rows).all()
    kept.write_bytes(kept.read_bytes()[:100])
    swf_table._table.cache_clear()
    assert (swf_table.read_table(path).rows == fast.rows).all(), "a torn cache is made anew"
    (kept,) = (tmp_path / "cache" / "traces").glob("*.npy")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:200] + b"\x40" + whole[201:])
    swf_table._table.cache_clear()
    assert (swf_table.read_table(path).rows == fast.rows).all(), "one wrong byte is seen"
    monkeypatch.setattr(swf_table, "_SMALL", 10**9)
    slow = swf_table._read(path)
    assert (slow.rows == fast.rows).all()
    assert (slow.reasons == fast.reasons).all()
    assert all(table.rows.flags.f_contiguous for table in (fast, again, slow)), "by column"
    path.write_text(HEADER + line(7))
    assert [record.number for record in records(path)] == [7], "a changed file is read anew"


def test_a_trace_that_was_just_written_is_not_taken_for_an_earlier_one(tmp_path: Path) -> None:
    # Two versions within one tick of the file system's clock cannot be told apart.
    path = tmp_path / "t.swf"
    path.write_text(HEADER + line(7))
    status = path.stat()
    assert not kept_arrays.settled(status)
    before = swf_table._table.cache_info()
    assert [record.number for record in records(path)] == [7]
    assert swf_table._table.cache_info() == before, "nothing is kept of it"


def test_a_trace_that_changes_while_it_is_read_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(swf_table, "_KEPT", 1)
    monkeypatch.setattr(kept_arrays, "_UNSETTLED", 0.0)
    path = tmp_path / "t.swf"
    path.write_text(HEADER + line(7))
    read = swf_table._read

    def slowly(source: Path) -> swf_table.Table:
        table = read(source)
        source.write_text(HEADER + line(8) + line(9))
        return table

    monkeypatch.setattr(swf_table, "_read", slowly)
    swf_table.read_table(path)
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_sample_is_what_its_generator_makes() -> None:
    path = ROOT / "resources" / "traces" / "sample.swf"
    assert path.read_text() == sample_text()
    rows = list(records(path))
    assert len(rows) == 100
    table = read_table(path)
    assert table.rows[table.reasons > 0, swf_table.NUMBER].tolist() == [7]
    assert [record.number for record in rows if record.status == 0] == [12]
    gaps = [b.submit - a.submit for a, b in zip(rows, rows[1:], strict=False)]
    assert min(gaps) >= 100, "burst-free"
    work = sum(max(0, r.processors) * r.runtime for r in rows)
    assert 0.1 < work / (16 * rows[-1].submit) < 0.5, "light load"


@pytest.mark.skipif(not NASA.is_file(), reason=f"real trace absent: {NASA} (set SCHEDLAB_TRACES)")
def test_real_nasa_trace() -> None:
    rows = list(records(NASA))
    comments = {key: value for _, key, value in header_lines(NASA)}
    assert len(rows) == int(comments["MaxJobs"]) == 18239
    assert machine_size(NASA) == 128
    assert not read_table(NASA).reasons.any()
    # The header's 1 Oct 00:00:03 PDT to 31 Dec 23:03:45 PST, one hour more than the dates show.
    span = 92 * 86400 - (56 * 60 + 18) + 3600
    assert 0.999 * span < max(record.submit for record in rows) <= span
    workload = Swf(name="nasa", file=str(NASA), start=5000, jobs=200, time_scale=0.001)
    trace = workload.generate(Machine(2, 2), 1)
    assert len(trace.jobs) == 200
    assert trace.scale["bounded_slowdown_threshold"] == pytest.approx(0.01)
    chosen = sorted(rows[5000:5200], key=lambda record: record.submit)
    by_number = sorted(trace.jobs, key=lambda job: job.job)
    assert [job.runtime for job in by_number] == [
        round(record.runtime * 0.001, 6) for record in chosen
    ]
    assert trace.scale["first_traced_job"] == chosen[0].number
