#!/usr/bin/env python3
"""Submit the jobs of a plan at their times, whatever the scheduler does, and wait for their end.

Runs on the head of a cluster and needs only Python's standard library (3.9 or later).

    schedlab_driver.py --plan plan.json --output DIR --timeout SECONDS

plan.json (schema schedlab.plan/1)
    submissions   list of {job, arrival (s from the start)} and either {argv, stdin, workdir, env},
                  a command, or {request: {method, path, body}}, an API call with a JSON body. In
                  order of arrival. Optional keys:
                  jobs        numbers of the jobs of an array that this one submission makes; the
                              native id of its n-th job is the array's, an underscore and n - 1
                  after       numbers of earlier jobs; {job:N} in texts of the submission becomes
                              the native id of job N, once that was accepted
                  think       s between the end of the jobs in `after` and this submission, in place
                              of its arrival
                  background  true: its end is not waited for
    prepare       list of requests that are answered before the start; optional
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
import heapq
import json
import os
import re
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

from schedlab_submit import Answer, Api, run_command

# Seconds between two readings of the log. Reading costs processor time on the scheduler's node, and
# need not be frequent, because the log itself holds the instants of completion.
TICK = 0.1
# Seconds between what is prepared and the start: components hear of new objects a little later.
SETTLED = 2.0
EXISTS = 409  # HTTP status: what is to be prepared is there already


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


def jobs_of(entry: Dict[str, Any]) -> List[int]:
    """Numbers of the jobs that a submission makes."""
    return entry.get("jobs") or [entry["job"]]


def filled(value: Any, native: Dict[int, str]) -> Any:
    """Submission whose texts name jobs by their native ids in place of {job:N}."""
    if isinstance(value, dict):
        return {key: filled(inner, native) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, native) for inner in value]
    if isinstance(value, str):
        return re.sub(r"\{job:(\d+)\}", lambda found: native[int(found.group(1))], value)
    return value


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
        # Sorting keeps the order of equal arrivals, in which a job comes before those after it.
        self.submissions: List[Dict[str, Any]] = sorted(
            plan["submissions"], key=lambda entry: entry["arrival"]
        )
        self.total = sum(len(jobs_of(entry)) for entry in self.submissions)
        self.thinking = [entry for entry in self.submissions if entry.get("think") is not None]
        self.coming: List[Tuple[float, int, Dict[str, Any]]] = [
            (entry["arrival"], place, entry)
            for place, entry in enumerate(self.submissions)
            if entry.get("think") is None
        ]
        self.follower = Follower(plan["completion"]["log"], plan["completion"]["pattern"])
        self.bound = int(plan["concurrency"])
        self.ready = min(int(plan["ready"]), self.bound)
        if "api" not in plan and any(entry.get("request") for entry in self.submissions):
            raise ValueError("requests without an api")
        self.api = Api(plan["api"], self.ready) if "api" in plan else None
        self._prepare(plan.get("prepare") or [])
        self.output = output
        self.timeout = timeout
        self.lock = threading.Condition()
        self.native: Dict[int, Optional[str]] = {}  # job -> native id, None where refused
        self.stopped = False
        self.failure: Optional[str] = None  # first error of the driver's own
        self.begun = self.under_way = self.reached = self.backlog = 0  # submissions
        output.mkdir(parents=True, exist_ok=True)
        self.rows_path = output / "submissions.jsonl"

    def _prepare(self, requests: List[Dict[str, Any]]) -> None:
        for request in requests:
            if self.api is None:
                raise ValueError("requests without an api")
            answer = self.api.submit(request, SETTLED * 10)
            if answer.code not in (0, EXISTS):
                raise ValueError("{}: {}".format(request["path"], answer.message))
        if requests:
            time.sleep(SETTLED)

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
            while self.coming and self.coming[0][0] <= now:
                pool.submit(self._submit, heapq.heappop(self.coming)[2])
                due += 1
            self.backlog = max(self.backlog, due - self.begun)
            self.follower.read()
            self._release(now)
            if self.failure is not None:
                self.stopped = True
                return False
            if not self._unfinished():
                return False
            if now >= self.timeout:
                # Submissions that still wait in the pool's queue see this and return at once.
                self.stopped = True
                return True
            if now >= next_progress:
                self._progress()
                next_progress = now + 1
            wait = min(TICK, self.timeout - now)
            if self.coming:
                wait = min(wait, self.coming[0][0] - now)
            time.sleep(max(0.0, wait))

    def _release(self, now: float) -> None:
        """Let users who wait for jobs that have ended submit their next ones."""
        if not self.thinking:
            return
        remaining = set(self._unfinished(background=True))
        waiting = []
        for entry in self.thinking:
            if remaining.isdisjoint(entry["after"]):
                due = now + entry["think"]
                heapq.heappush(self.coming, (due, entry["job"], {**entry, "arrival": due}))
            else:
                waiting.append(entry)
        self.thinking = waiting

    def _known(self, entry: Dict[str, Any]) -> Optional[Dict[int, str]]:
        """Native ids of the jobs that it runs after; None if one was not accepted, or time is up.

        Such a job was handed out earlier, so it has a thread, and waiting for it has an end.
        """
        wanted = entry["after"] if entry.get("think") is None else []
        with self.lock:
            while not self.stopped and any(job not in self.native for job in wanted):
                self.lock.wait(TICK)
            found = {job: self.native.get(job) for job in wanted}
        known = {job: native for job, native in found.items() if native is not None}
        return known if len(known) == len(found) else None

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
        before = self._known(entry) if entry.get("after") else {}
        remaining = max(0.1, self.start + self.timeout - time.monotonic())
        if before:
            entry = {
                **entry,
                **filled({key: entry.get(key) for key in ("argv", "request")}, before),
            }
        submit_ns = time.time_ns()
        if before is None:
            answer = Answer(None, None, "a job that it runs after was not accepted", self.stopped)
        elif self.api is not None and entry.get("request"):
            answer = self.api.submit(entry["request"], remaining)
        else:
            answer = run_command(entry, remaining)
        accepted_ns = time.time_ns()
        numbers = jobs_of(entry)
        native = dict.fromkeys(numbers, answer.native)
        if answer.native is not None and entry.get("jobs"):
            native = {
                number: "{}_{}".format(answer.native, place) for place, number in enumerate(numbers)
            }
        row = {
            "intended_ns": self.start_ns + round(entry["arrival"] * 1e9),
            "submit_ns": submit_ns,
            "accepted_ns": accepted_ns,
            "returncode": answer.code,
            "stderr": answer.message[-2000:],
        }
        with self.lock, self.rows_path.open("a", encoding="utf-8") as rows:
            for number in numbers:
                rows.write(json.dumps({"job": number, "native_id": native[number], **row}) + "\n")
            if not answer.late:
                self.native.update(native)
                self.lock.notify_all()

    def _unfinished(self, *, background: bool = False) -> List[int]:
        """Numbers of jobs that are not submitted yet, or are submitted and have not ended."""
        with self.lock:
            native = dict(self.native)
        return [
            number
            for entry in self.submissions
            if background or not entry.get("background")
            for number in jobs_of(entry)
            if number not in native
            or (native[number] is not None and native[number] not in self.follower.ended)
        ]

    def _progress(self) -> None:
        state = {
            "submitted": len(self.native),
            "completed": self.total - len(self._unfinished(background=True)),
            "total": self.total,
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
