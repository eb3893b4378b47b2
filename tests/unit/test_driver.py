"""The guest driver, with a replacement of sbatch that writes the scheduler's log."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

GUEST = Path(__file__).resolve().parents[2] / "workflow" / "infrastructure" / "guest"

# Answers with a job id, and writes the job's end into the log after DELAY s in the background.
SBATCH = """\
#!/bin/sh
script=$(cat)
[ "$FATE" = refused ] && { echo "sbatch: error: no such partition" >&2; exit 1; }
[ "$FATE" = hangs ] && exec sleep 60
id=$((100 + ${1#--job=}))
end() { sleep "$DELAY"; printf '[t] _job_complete: JobId=%s done\\n' $id >> "$LOG"; }
[ "$FATE" = lost ] || end > /dev/null 2>&1 &
printf '%s;cluster\\n' $id
printf '%s|%s|%s\\n' "$id" "$script" "$PWD" >> "$LOG.calls"
printf '%s\\n' "$*" >> "$LOG.words"
"""


def plan_of(folder: Path, *jobs: dict[str, Any], concurrency: int = 4) -> Path:
    """Plan whose jobs are given by arrival, delay and fate."""
    (folder / "sbatch").write_text(SBATCH)
    (folder / "sbatch").chmod(0o755)
    log = folder / "slurmctld.log"
    # Lines from before the start must not count: job 0 will get this id again.
    log.write_text("[t] _job_complete: JobId=100 done\n")
    submissions = [
        {
            "job": number,
            "arrival": job.get("arrival", 0.0),
            "argv": [str(folder / "sbatch"), f"--job={number}", *job.get("more", ())],
            **{key: job[key] for key in ("jobs", "after", "think", "background") if key in job},
            "stdin": f"payload {number}",
            "workdir": str(folder),
            "env": {
                "LOG": str(log),
                "DELAY": str(job.get("delay", 0.1)),
                "FATE": job.get("fate", ""),
            },
        }
        for number, job in enumerate(jobs)
    ]
    plan = {
        "schema": "schedlab.plan/1",
        "submissions": submissions,
        "completion": {"log": str(log), "pattern": r"_job_complete: JobId=(\d+) done"},
        "concurrency": concurrency,
        "ready": 2,
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder / "plan.json"


def drive(plan: Path, timeout: float = 20.0) -> tuple[subprocess.CompletedProcess[str], Path]:
    output = plan.parent / "out"
    command = [sys.executable, str(GUEST / "schedlab_driver.py"), "--plan", str(plan)]
    command += ["--output", str(output), "--timeout", str(timeout)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300), output


def rows_of(output: Path) -> dict[int, dict[str, Any]]:
    lines = (output / "submissions.jsonl").read_text().splitlines()
    return {row["job"]: row for row in map(json.loads, lines)}


def test_open_loop_until_every_job_ended(tmp_path: Path) -> None:
    # The first job outlasts the arrival of the others: the driver must not wait for it.
    plan = plan_of(tmp_path, {"delay": 1.5}, {"arrival": 0.3}, {"arrival": 0.6})
    before = time.time_ns()
    done, output = drive(plan)
    assert done.returncode == 0, done.stderr
    rows = rows_of(output)
    assert [rows[job]["native_id"] for job in range(3)] == ["100", "101", "102"]
    result = json.loads((output / "driver.json").read_text())
    assert (result["timed_out"], result["unfinished"]) == (False, [])
    assert before < result["start_ns"] < result["end_ns"]
    assert result["end_ns"] - result["start_ns"] > 1.4e9, "ended before the first job"
    for job, arrival in enumerate((0.0, 0.3, 0.6)):
        row = rows[job]
        assert row["intended_ns"] == result["start_ns"] + round(arrival * 1e9)
        assert row["submit_ns"] >= row["intended_ns"]
        assert row["submit_ns"] < row["accepted_ns"]
        assert (row["returncode"], row["stderr"]) == (0, "")
    calls = sorted((tmp_path / "slurmctld.log.calls").read_text().splitlines())
    assert calls[0] == f"100|payload 0|{tmp_path}"
    progress = [json.loads(line) for line in done.stdout.splitlines()]
    assert progress[-1] == {"submitted": 3, "completed": 3, "total": 3}
    assert len(progress) >= 2


def test_refused_submission_counts_as_ended(tmp_path: Path) -> None:
    done, output = drive(plan_of(tmp_path, {"fate": "refused"}, {}))
    assert done.returncode == 0, done.stderr
    row = rows_of(output)[0]
    assert (row["returncode"], row["native_id"]) == (1, None)
    assert row["stderr"] == "sbatch: error: no such partition"


def test_a_dependency_names_the_native_id_of_a_job_that_was_accepted(tmp_path: Path) -> None:
    later = {"after": [0], "more": ["--dependency=afterany:{job:0}"]}
    done, output = drive(plan_of(tmp_path, {}, later))
    assert done.returncode == 0, done.stderr
    words = (tmp_path / "slurmctld.log.words").read_text().splitlines()
    assert words == ["--job=0", "--job=1 --dependency=afterany:100"]
    rows = rows_of(output)
    assert rows[1]["submit_ns"] >= rows[0]["accepted_ns"]


def test_what_runs_after_a_refused_job_is_not_submitted(tmp_path: Path) -> None:
    later = {"after": [0], "more": ["{job:0}"]}
    done, output = drive(plan_of(tmp_path, {"fate": "refused"}, later, concurrency=2))
    assert done.returncode == 0, done.stderr
    row = rows_of(output)[1]
    assert (row["native_id"], row["returncode"]) == (None, None)
    assert "was not accepted" in row["stderr"]


def test_a_user_who_waits_submits_after_the_end_and_the_time_to_think(tmp_path: Path) -> None:
    done, output = drive(plan_of(tmp_path, {"delay": 0.8}, {"after": [0], "think": 0.5}))
    assert done.returncode == 0, done.stderr
    rows = rows_of(output)
    assert rows[1]["intended_ns"] - rows[0]["submit_ns"] >= 1.3e9
    assert rows[1]["submit_ns"] >= rows[1]["intended_ns"]


def test_the_end_of_the_background_is_not_waited_for(tmp_path: Path) -> None:
    done, output = drive(plan_of(tmp_path, {"fate": "lost", "background": True}, {"arrival": 0.2}))
    assert done.returncode == 0, done.stderr
    result = json.loads((output / "driver.json").read_text())
    assert (result["timed_out"], result["unfinished"]) == (False, [])


# Ends the two tasks of an array, as its scheduler writes them.
ARRAYS = """\
#!/bin/sh
printf '[t] _job_complete: JobId=7_%s(8) done\\n' 0 1 >> "$LOG"
echo 7
"""


def test_one_submission_of_an_array_is_a_row_for_each_of_its_jobs(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"jobs": [0, 1]})
    (tmp_path / "sbatch").write_text(ARRAYS)
    content = json.loads(plan.read_text())
    content["completion"]["pattern"] = r"_job_complete: JobId=(\S+?)\(8\) done"
    plan.write_text(json.dumps(content))
    done, output = drive(plan)
    assert done.returncode == 0, done.stderr
    rows = rows_of(output)
    assert [rows[job]["native_id"] for job in (0, 1)] == ["7_0", "7_1"]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "submitted": 2, "completed": 2, "total": 2
    }  # fmt: skip


def test_missing_command_counts_as_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {})
    (tmp_path / "sbatch").unlink()
    done, output = drive(plan)
    assert done.returncode == 0, done.stderr
    row = rows_of(output)[0]
    assert row["returncode"] is None
    assert "No such file" in row["stderr"]


def test_time_limit(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {}, {"fate": "lost"}, {"fate": "hangs"}, {"arrival": 3600.0})
    done, output = drive(plan, timeout=5)
    assert done.returncode == 3, done.stderr
    result = json.loads((output / "driver.json").read_text())
    assert result["timed_out"] is True
    assert result["unfinished"] == [1, 2, 3]
    rows = rows_of(output)
    assert sorted(rows) == [0, 1, 2]
    assert "time limit" in rows[2]["stderr"]


def test_an_error_of_the_driver_ends_it_at_once_with_the_job_and_the_reason(
    tmp_path: Path,
) -> None:
    """It does not wait for the time limit, although a submission hangs and a job is not due yet."""
    plan = plan_of(tmp_path, {"fate": "hangs"}, {}, {"arrival": 3600.0})
    content = json.loads(plan.read_text())
    del content["submissions"][1]["argv"]
    plan.write_text(json.dumps(content))
    done, output = drive(plan, timeout=7200)
    assert done.returncode == 4
    reason = "job 1 could not be submitted: KeyError: 'argv'"
    assert done.stderr == f"schedlab_driver: {reason}\n"
    result = json.loads((output / "driver.json").read_text())
    assert (result["failure"], result["timed_out"]) == (reason, False)
    assert result["unfinished"] == [0, 1, 2]
    assert rows_of(output) == {}, "the submission that hangs was waited for"


def test_all_that_are_due_are_under_way_at_one_time(tmp_path: Path) -> None:
    """Fifty at once: each submission is answered only when the last of them has come."""
    plan = plan_of(tmp_path, *[{}] * 50, concurrency=1000)
    (tmp_path / "sbatch").write_text(
        '#!/bin/sh\n: > "$LOG.$1"; id=$((100 + ${1#--job=}))\n'
        'while [ "$(ls "$LOG".--job=* | wc -l)" -lt 50 ]; do sleep 0.2; done\n'
        "printf '[t] _job_complete: JobId=%s done\\n' $id >> \"$LOG\"; echo $id\n"
    )
    done, output = drive(plan, timeout=240)
    assert done.returncode == 0, done.stderr
    result = json.loads((output / "driver.json").read_text())
    assert result["concurrency"]["reached"] == 50
    assert result["concurrency"]["bound"] == 1000
    rows = rows_of(output).values()
    assert max(row["submit_ns"] for row in rows) < min(row["accepted_ns"] for row in rows)


def test_what_exceeds_the_bound_is_the_backlog(tmp_path: Path) -> None:
    done, output = drive(plan_of(tmp_path, *[{"delay": 0.0}] * 8, concurrency=2))
    assert done.returncode == 0, done.stderr
    found = json.loads((output / "driver.json").read_text())["concurrency"]
    assert (found["bound"], found["reached"]) == (2, 2)
    assert 6 <= found["backlog"] <= 8


def test_a_driver_that_is_told_to_end_leaves_its_record(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {}, {"arrival": 3600.0})
    command = [sys.executable, str(GUEST / "schedlab_driver.py"), "--plan", str(plan)]
    command += ["--output", str(tmp_path / "out"), "--timeout", "7200"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.readline()  # it is under way
        run.terminate()
        message = run.stderr.read()
        assert run.wait(timeout=300) == 4
    assert "SIGTERM" in message
    result = json.loads((tmp_path / "out" / "driver.json").read_text())
    assert result["start_ns"] < result["end_ns"]
    assert "SIGTERM" in result["failure"]
    assert 1 in result["unfinished"]


def test_a_driver_whose_log_is_taken_away_leaves_its_record(tmp_path: Path) -> None:
    """Nothing reads the driver's progress any more, so it cannot be written."""
    plan = plan_of(tmp_path, {"arrival": 3600.0})
    command = [sys.executable, str(GUEST / "schedlab_driver.py"), "--plan", str(plan)]
    command += ["--output", str(tmp_path / "out"), "--timeout", "7200"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.readline()
        run.stdout.close()
        message = run.stderr.read()
        assert run.wait(timeout=300) == 4
    result = json.loads((tmp_path / "out" / "driver.json").read_text())
    assert "BrokenPipeError" in result["failure"]
    assert result["failure"] in message
    assert result["end_ns"]


def test_pool_bounds_the_commands_at_once_and_the_rows_show_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, *[{"delay": 0.0}] * 6, concurrency=1)
    done, output = drive(plan)
    assert done.returncode == 0, done.stderr
    rows = sorted(rows_of(output).values(), key=lambda row: row["submit_ns"])
    for first, second in zip(rows, rows[1:], strict=False):
        assert second["submit_ns"] >= first["accepted_ns"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"schema": "schedlab.plan/2"}, "schema"),
        ({"completion": {"log": "/nowhere/log", "pattern": "x"}}, "/nowhere/log"),
        ({"completion": {}}, "log"),
    ],
)
def test_plans_that_cannot_begin(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    plan = plan_of(tmp_path, {})
    plan.write_text(json.dumps(json.loads(plan.read_text()) | change))
    done, output = drive(plan)
    assert done.returncode == 2
    assert what in done.stderr
    assert not (output / "driver.json").exists()


def test_clock_answers_each_line() -> None:
    with subprocess.Popen(
        [sys.executable, str(GUEST / "schedlab_clock.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(3):
            before = time.time_ns()
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert before <= int(process.stdout.readline()) <= time.time_ns()
        process.stdin.close()
        assert process.wait(timeout=300) == 0


TOO_MANY = """
import sys, threading
sys.path.insert(0, sys.argv.pop(1))
import schedlab_driver
start, threads = threading.Thread.start, []

def few(self):
    threads.append(self)
    if len(threads) > 3:
        raise RuntimeError("can't start new thread")
    start(self)

threading.Thread.start = few
sys.exit(schedlab_driver.main())
"""


def test_a_driver_that_cannot_get_its_threads_says_so_and_ends(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"argv": ["true"]})
    content = json.loads(plan.read_text()) | {"ready": 50, "concurrency": 60}
    plan.write_text(json.dumps(content))
    done = subprocess.run(
        [sys.executable, "-c", TOO_MANY, str(GUEST), "--plan", str(plan),
         "--output", str(tmp_path / "out"), "--timeout", "20"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert (
        "can't start new thread"
        in json.loads((tmp_path / "out/driver.json").read_text())["failure"]
    )
