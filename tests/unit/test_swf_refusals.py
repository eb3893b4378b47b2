"""Archived traces that are damaged, hostile or no traces: what is said, and where."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
from pathlib import Path

import pytest
from swf_factory import HEADER, line, records, write

from schedlab.errors import SchedlabError
from schedlab.swf import table as swf_table
from schedlab.swf.file import machine_size
from schedlab.workloads import Machine
from schedlab.workloads.swf import Swf


def test_machine_size_must_be_known(tmp_path: Path) -> None:
    workload = write(tmp_path, line(1), head="")
    (problem,) = workload.problems([Machine(1, 2)], tmp_path)
    assert "set machine_size" in problem.remedy
    sized = workload.model_copy(update={"machine_size": 64})
    assert sized.problems([Machine(1, 2)], tmp_path) == []
    assert sized.generate(Machine(1, 2), 1, tmp_path).jobs[0].cores == 2


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ("1 2 3\n", "3 fields instead of 18"),
        (line(2).strip() + " 7\n", "19 fields instead of 18"),
        (line(2, submit="x"), r"field 2 \(submit time\) = 'x': not a number"),
        (line(2, submit=-1), r"field 2 \(submit time\) = '-1': out of range"),
        (line(2, runtime=-5), r"field 4 \(run time\) = '-5': out of range"),
        (line(2, runtime="nan"), r"field 4 \(run time\) = 'nan': out of range"),
        (line(2, processors=1.5), r"field 5 \(allocated processors\) = '1.5': not a whole number"),
        (line(2, status=9), r"field 11 \(status\) = '9'"),
        ("\x00\x01\n", "1 fields instead of 18"),
    ],
)
def test_malformed_lines_are_refused_with_their_place(tmp_path: Path, bad: str, what: str) -> None:
    workload = write(tmp_path, line(1), bad)
    with pytest.raises(SchedlabError, match=rf"t\.swf:7: {what}") as caught:
        workload.generate(Machine(1, 2), 1, tmp_path)
    assert caught.value.remedy
    (problem,) = workload.problems([Machine(1, 2)], tmp_path)
    assert problem.key == "file"


@pytest.mark.parametrize(
    ("field", "place"),
    [("requested_time", r"field 9 \(requested time\)"), ("runtime", r"field 4 \(run time\)")],
)
def test_a_time_that_no_scheduler_takes_is_refused(tmp_path: Path, field: str, place: str) -> None:
    """Kubernetes counts seconds, and Slurm minutes, in 32 bits."""
    workload = write(tmp_path, line(1), line(2, **{field: "9e15"}))
    told = rf"t\.swf:7: {place} = 9000000000000000: at time_scale 0.1 more than 1000000000 s"
    with pytest.raises(SchedlabError, match=told):
        workload.generate(Machine(1, 2), 1, tmp_path)
    (problem,) = workload.problems([Machine(1, 2)], tmp_path)
    assert problem.key == "file" and "lower time_scale" in problem.remedy
    # Nobody replays that line.
    one = workload.model_copy(update={"jobs": 1})
    assert one.problems([Machine(1, 2)], tmp_path) == []
    write(tmp_path, line(1), line(2, **{field: "1e9"})).generate(Machine(1, 2), 1, tmp_path)


def test_jobs_wider_than_the_header_s_machine_are_a_problem_until_its_size_is_set(
    tmp_path: Path,
) -> None:
    workload = write(
        tmp_path, line(1, processors=128), line(2, processors=96), head="; MaxNodes: 64\n"
    )
    (problem,) = workload.problems([Machine(1, 2)], tmp_path)
    assert problem.key == "machine_size"
    assert "2 of 2 jobs are wider (up to 128 processors) than the 64" in problem.what
    assert "set machine_size" in problem.remedy
    for size in (64, 128):
        sized = workload.model_copy(update={"machine_size": size})
        assert sized.problems([Machine(1, 2)], tmp_path) == []


@pytest.mark.parametrize("key", ["MaxProcs", "MaxNodes"])
@pytest.mark.parametrize("value", ["\u00b2", "\u0663", "many", "1_0", "0x10", "1e3", "nan"])
def test_sizes_that_are_no_numbers_are_refused_with_line_and_field(
    tmp_path: Path, key: str, value: str
) -> None:
    workload = write(tmp_path, line(1), head=f"; Version: 2.2\n; {key}: {value}\n")
    (problem,) = workload.problems([Machine(1, 2)], tmp_path)
    assert f"t.swf:2: {key} = " in problem.what
    assert "not a whole number" in problem.what
    assert "set machine_size" in problem.remedy


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (bz2.compress(b"; x\n"), "bzip2"),
        (lzma.compress(b"; x\n"), "xz"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"\x1f\x9drest", "compress"),
        (b"\x93NUMPY\x01\x00", "binary data"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"\n  <html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        ("; Version: 2.2\n".encode("utf-16"), "UTF-16"),
        (gzip.compress(bz2.compress(b"; x\n"), mtime=0), "bzip2"),
        (gzip.compress(gzip.compress(b"; x\n", mtime=0), mtime=0), "gzip within gzip"),
        (gzip.compress(b"x" * 257 + b"ustar" + b"y" * 300, mtime=0), "tar"),
    ],
)
def test_what_is_no_trace_is_named_by_its_first_bytes(
    tmp_path: Path, content: bytes, what: str
) -> None:
    (tmp_path / "t.swf").write_bytes(content)
    workload = Swf(name="s", file="t.swf", machine_size=64)
    (problem,) = workload.problems([Machine(1, 2)], tmp_path)
    assert what in problem.what
    assert problem.remedy


@pytest.mark.parametrize(
    "bad",
    [
        "1 2 3",
        line(9).strip() + " 7",
        line(9, runtime="nan").strip(),
        line(9, runtime="inf").strip(),
    ]
    + [
        line(9, processors="1.5").strip(),
        line(9, processors="1_0").strip(),
        line(9, status=9).strip(),
    ]
    + [line(9, submit=-1).strip(), line(9, user="\u0663").strip(), line(9, runtime="-2").strip()]
    + [
        line(9, runtime='"1"').strip(),
        line(9, runtime="0x10").strip(),
        line(9, runtime="1\x00").strip(),
    ]
    + ["1 2 3 4", line(9).strip() + " " + line(9).strip(), "x " * 18, "; comment", "", "\t"],
)
def test_one_odd_line_in_a_large_trace_is_seen(tmp_path: Path, bad: str) -> None:
    lines = [line(n, submit=n) for n in range(1, 1001)]
    (tmp_path / "t.swf").write_text(HEADER + "".join(lines) + bad + "\n" + "".join(lines))
    table = swf_table.read_table(tmp_path / "t.swf")
    odd = not (bad.strip() == "" or bad.startswith(";"))
    assert list(table.malformed) == [1006] * odd
    assert len(table.rows) == 2000 + odd
    lines_of = sorted(table.rows[:, swf_table.LINE].tolist())
    assert lines_of[-1] == 2006


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/zero"), Path("a\0b"), Path("x" * 5000)):
        with pytest.raises(SchedlabError):
            list(records(path))
        workload = Swf(name="s", file=str(path), machine_size=64)
        assert len(workload.problems([Machine(1, 2)], tmp_path)) == 1


def test_mutated_traces_are_read_or_refused_in_a_message(tmp_path: Path) -> None:
    rng = random.Random(13)
    text = (HEADER + "".join(line(n, submit=n * 10, runtime=n) for n in range(1, 40))).encode()
    pieces = [
        b"\n",
        b" ",
        b"-1",
        b"-",
        b".",
        b"e9",
        b";",
        b"nan",
        b"inf",
        b"9" * 400,
        b"\x00",
        b"\r",
    ]
    pieces += [
        b"\xff",
        "\u00b2".encode(),
        b"1_0",
        b"0x1",
        b'"',
        b"\t",
        b"\x1b[2J",
        b"<",
        b"\x1f\x8b",
    ]
    refused = 0
    for _ in range(400):
        content = bytearray(text)
        for _ in range(rng.randint(1, 5)):
            place = rng.randrange(len(content))
            if rng.random() < 0.7:
                content[place:place] = rng.choice(pieces)
            else:
                del content[place : place + rng.randint(1, 40)]
        if rng.random() < 0.2:
            content = bytearray(gzip.compress(bytes(content), 1))
            content[rng.randrange(2, len(content))] = rng.randrange(256)
        (tmp_path / "t.swf").write_bytes(bytes(content))
        workload = Swf(name="s", file="t.swf", jobs=30)
        problems = workload.problems([Machine(2, 2)], tmp_path)
        try:
            workload.generate(Machine(2, 2), 1, tmp_path)
        except SchedlabError as error:
            refused += 1
            assert problems
            message = str(error)
            assert len(message) < 2000
            assert all(letter.isprintable() for letter in message.replace("\n", "")), message
    assert 50 < refused < 400


def test_truncated_gzip_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + "".join(line(n) for n in range(1, 500))).encode())
    (tmp_path / "t.swf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SchedlabError, match=r"t\.swf:\d+: cannot be read"):
        list(records(tmp_path / "t.swf"))


def test_too_short_a_trace_is_refused(tmp_path: Path) -> None:
    write(tmp_path, line(1), line(2))
    workload = Swf(name="s", file="t.swf", start=1, jobs=2)
    with pytest.raises(SchedlabError, match=r"has 2 usable jobs, 3 are wanted") as caught:
        workload.generate(Machine(1, 2), 1, tmp_path)
    assert "at most 2" in str(caught.value.remedy)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="no such trace"):
        list(records(tmp_path / "none.swf"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b'{"error": 404}', "JSON"),
        (b' \n[{"error": 404}]', "JSON"),
        ("; MaxProcs: 8\n".encode("utf-16-le"), "UTF-16"),
        ("; MaxProcs: 8\n".encode("utf-16-be"), "UTF-16"),
        (lzma.compress(b"; MaxProcs: 8\n", format=lzma.FORMAT_ALONE), "LZMA"),
    ],
)
def test_what_is_no_trace_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "t.swf").write_bytes(content)
    with pytest.raises(SchedlabError, match=f"this is {what}.*, not a trace"):
        machine_size(tmp_path / "t.swf")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("1234567890", "more than 999999999"),
        ("9" * 5000, "more than"),
        ("12x", "not a whole number"),
        ("1.5", "not a whole"),
    ],
)
def test_a_machine_s_size_is_refused_for_what_it_is(tmp_path: Path, value: str, what: str) -> None:
    (tmp_path / "t.swf").write_text(f"; MaxProcs: {value}\n")
    with pytest.raises(SchedlabError, match=f"MaxProcs = '{value[:20]}.*': {what}"):
        machine_size(tmp_path / "t.swf")
