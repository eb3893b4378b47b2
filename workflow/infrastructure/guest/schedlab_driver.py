#!/usr/bin/env python3
"""Submit the jobs of a plan at their times, whatever the scheduler does, and wait for their end.

Runs on the head of a cluster and needs only Python's standard library (3.9 or later).

    schedlab_driver.py --plan plan.json --output DIR --timeout SECONDS

plan.json (schema schedlab.plan/1)
    submissions   list of {job, arrival (s from the start)} and either {argv, stdin, workdir, env},
                  a command, or {request: {method, path, body}}, an API call with a JSON body
    api           server of the requests; see schedlab_submit.py. Only with requests
    completion    {log, pattern}: a line of `log` that matches `pattern` ends the job whose native
                  id is its first group; only lines that are written after the start are read
    concurrency   most submissions that may be under way at one time; up to this number, each
                  submission that is due has a thread of its own
    ready         number of threads that are started, and of connections to the API that are opened,
                  before the first submission, so that no submission is delayed by starting them;
                  more are added when needed

DIR/submissions.jsonl gets a line when a command returns; clock readings are CLOCK_REALTIME, ns
    {job, intended_ns, submit_ns (just before the command), accepted_ns (just after), native_id
    (first word of its output, up to a semicolon), returncode, stderr}
    For a request: returncode is 0, or the HTTP status if that is 300 or more; `api.answer` says
    from where native_id and stderr are taken.
DIR/driver.json is written at the end, also if the driver fails or gets SIGTERM
    {start_ns, end_ns, timed_out, unfinished (job numbers), failure (why status 4, else null),
    concurrency: {bound, reached (most submissions under way at one time), backlog (most that were
    due at one time and had not begun)}}

Standard output has a line {submitted, completed, total} each second. Exit status: 0 when every
job ended (a refused submission counts as ended), 3 at the time limit, 2 when the driver cannot
begin, 4 when the driver itself failed; standard error then gives the reason, and the job that was
being submitted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

from schedlab_submit import Api, run_command

# Seconds between two readings of the log. Reading costs processor time on the scheduler's node, and
# need not be frequent, because the log itself holds the instants of completion.
TICK = 0.1


class Follower:
    """Native ids of the jobs that ended, according to a log, since this object was made.

    Reads on from the last position, so that a long log costs no more than a short one.
    """

    def __init__(self, path: str, pattern: str) -> None:
        self.pattern = re.compile(pattern)
        self.stream = open(path, "rb")  # noqa: SIM115, PTH123  (open for the object's life)
        self.stream.seek(0, os.SEEK_END)
        self.rest = b""
        self.ended: Set[str] = set()

    def read(self) -> None:
        """Read what was written since the last call; keep an unfinished line for the next call."""
        lines = (self.rest + self.stream.read()).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            match = self.pattern.search(line.decode("utf-8", "replace"))
            if match:
                self.ended.add(match.group(1))


class Driver:
    """One run of a plan.

    Parameters
    ----------
    plan : dict
        Content of plan.json.
    output : pathlib.Path
        Folder of the results.
    timeout : float
        Time limit, s from the start.
    """

    def __init__(self, plan: Dict[str, Any], output: Path, timeout: float) -> None:
        self.submissions: List[Dict[str, Any]] = sorted(
            plan["submissions"], key=lambda entry: (entry["arrival"], entry["job"])
        )
        self.follower = Follower(plan["completion"]["log"], plan["completion"]["pattern"])
        self.bound = int(plan["concurrency"])
        self.ready = min(int(plan["ready"]), self.bound)
        if "api" not in plan and any(entry.get("request") for entry in self.submissions):
            raise ValueError("requests without an api")
        self.api = Api(plan["api"], self.ready) if "api" in plan else None
        self.output = output
        self.timeout = timeout
        self.lock = threading.Lock()
        self.native: Dict[int, Optional[str]] = {}  # job -> native id, None where refused
        self.stopped = False
        self.failure: Optional[str] = None  # first error of the driver's own
        self.begun = self.under_way = self.reached = self.backlog = 0  # submissions
        output.mkdir(parents=True, exist_ok=True)
        self.rows_path = output / "submissions.jsonl"

    def run(self) -> int:
        """Run the plan; return the exit status."""
        self.rows_path.write_text("", encoding="utf-8")
        # The pool adds a thread whenever none is idle, so up to the bound a submission never waits.
        pool = ThreadPoolExecutor(max_workers=self.bound)
        meeting = threading.Barrier(self.ready)
        self.start_ns, self.start = time.time_ns(), time.monotonic()
        timed_out = False
        try:
            for waiting in [pool.submit(meeting.wait) for _ in range(self.ready)]:
                waiting.result()
            self.start_ns, self.start = time.time_ns(), time.monotonic()
            timed_out = self._loop(pool)
            # After a failure do not wait for submissions: one may hang until the time limit.
            pool.shutdown(wait=self.failure is None)
        except (Exception, KeyboardInterrupt) as error:
            # Threads that wait for others would keep the program from ending.
            meeting.abort()
            self.stopped = True
            self.failure = "the driver broke down: {}: {}".format(type(error).__name__, error)
        end_ns = time.time_ns()
        result = {
            "start_ns": self.start_ns,
            "end_ns": end_ns,
            "timed_out": timed_out,
            "unfinished": self._unfinished(),
            "failure": self.failure,
            "concurrency": {
                "bound": self.bound,
                "reached": self.reached,
                "backlog": self.backlog,
            },
        }
        (self.output / "driver.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
        if self.failure is not None:
            print(f"schedlab_driver: {self.failure}", file=sys.stderr)
            return 4
        self._progress()
        return 3 if timed_out else 0

    def _loop(self, pool: ThreadPoolExecutor) -> bool:
        """Hand out submissions as they are due until all jobs ended; True when time is up first.

        Returns at once when a submission failed by an error of the driver's own.
        """
        due = 0
        next_progress = 0.0
        while True:
            now = time.monotonic() - self.start
            while due < len(self.submissions) and self.submissions[due]["arrival"] <= now:
                pool.submit(self._submit, self.submissions[due])
                due += 1
            self.backlog = max(self.backlog, due - self.begun)
            self.follower.read()
            if self.failure is not None:
                self.stopped = True
                return False
            if due == len(self.submissions) and not self._unfinished():
                return False
            if now >= self.timeout:
                # Submissions that still wait in the pool's queue see this and return at once.
                self.stopped = True
                return True
            if now >= next_progress:
                self._progress()
                next_progress = now + 1
            wait = min(TICK, self.timeout - now)
            if due < len(self.submissions):
                wait = min(wait, self.submissions[due]["arrival"] - now)
            time.sleep(max(0.0, wait))

    def _submit(self, entry: Dict[str, Any]) -> None:
        """Submit one job and write its row; keep an error for the loop, as the pool hides it."""
        if self.stopped:
            return
        with self.lock:
            self.begun += 1
            self.under_way += 1
            self.reached = max(self.reached, self.under_way)
        try:
            self._submit_and_note(entry)
        except Exception as error:
            with self.lock:
                if self.failure is None:
                    self.failure = "job {} could not be submitted: {}: {}".format(
                        entry["job"], type(error).__name__, error
                    )
        finally:
            with self.lock:
                self.under_way -= 1

    def _submit_and_note(self, entry: Dict[str, Any]) -> None:
        remaining = max(0.1, self.start + self.timeout - time.monotonic())
        submit_ns = time.time_ns()
        if self.api is not None and entry.get("request"):
            answer = self.api.submit(entry["request"], remaining)
        else:
            answer = run_command(entry, remaining)
        accepted_ns = time.time_ns()
        row = {
            "job": entry["job"],
            "intended_ns": self.start_ns + round(entry["arrival"] * 1e9),
            "submit_ns": submit_ns,
            "accepted_ns": accepted_ns,
            "native_id": answer.native,
            "returncode": answer.code,
            "stderr": answer.message[-2000:],
        }
        with self.lock, self.rows_path.open("a", encoding="utf-8") as rows:
            rows.write(json.dumps(row) + "\n")
            if not answer.late:
                self.native[entry["job"]] = answer.native

    def _unfinished(self) -> List[int]:
        """Numbers of jobs that are not submitted yet, or are submitted and have not ended."""
        with self.lock:
            native = dict(self.native)
        return [
            entry["job"]
            for entry in self.submissions
            if entry["job"] not in native
            or (
                native[entry["job"]] is not None and native[entry["job"]] not in self.follower.ended
            )
        ]

    def _progress(self) -> None:
        total = len(self.submissions)
        state = {
            "submitted": len(self.native),
            "completed": total - len(self._unfinished()),
            "total": total,
        }
        print(json.dumps(state), flush=True)


def told_to_end(number: int, _frame: Any) -> None:
    """End as after an error, so that the driver's own record is written."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Submit the jobs of a plan at their times.")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json")
    parser.add_argument("--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--timeout", type=float, required=True, help="s until giving up")
    arguments = parser.parse_args()
    try:
        plan = json.loads(arguments.plan.read_text(encoding="utf-8"))
        if plan.get("schema") != "schedlab.plan/1":
            raise ValueError("schema is {!r}, not 'schedlab.plan/1'".format(plan.get("schema")))
        driver = Driver(plan, arguments.output, arguments.timeout)
    except (OSError, ValueError, KeyError, re.error) as error:
        print(f"schedlab_driver: cannot begin: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, told_to_end)
    status = driver.run()
    if driver.failure is not None:
        # A usual exit would wait for threads whose submissions hang.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
