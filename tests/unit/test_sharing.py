"""How users shared a machine while all of them had jobs that waited."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from job_factory import frame, ran

from schedlab.metrics import behaviour


def shared(*starts: tuple[str, float]) -> dict[str, float | None]:
    """Two processors; every job lasts 1 s and is due at 0."""
    jobs = frame(*(ran(0, start, user=user) for user, start in starts))
    return behaviour.sharing(jobs, {})


def test_equal_use_by_equal_users_is_fair() -> None:
    alternately = shared(*(("u1", n) for n in range(4)), *(("u2", n) for n in range(4)))
    assert alternately == {"share_jain": 1.0, "share_gap": 0.0}


@pytest.mark.parametrize(
    ("end", "fair"),
    [
        ({"state": "TIMEOUT", "completed": 60.0}, True),
        ({"state": "UNFINISHED"}, True),  # to the end of the observed time, as long as the other
        ({"state": "FAILED", "given_up": [60 * 10**9]}, True),
        ({"state": "FAILED", "completed": 20.0}, False),
        ({"state": "LOST"}, None),
    ],
)
def test_a_job_without_a_last_stamp_had_its_processor(
    end: dict[str, Any], fair: bool | None
) -> None:
    one = ran(0, 0, 60.0, user="u1")
    other = {name: value for name, value in ran(0, 0, user="u2").items()
             if name not in ("finished", "completed")}  # fmt: skip
    waiting = [ran(0, None, user=user) | {"state": "UNFINISHED"} for user in ("u1", "u2")]
    late = [ran(0, 60, user="u1"), ran(0, 60, user="u2")]
    jobs = frame(one, other | end, *waiting, *late)
    found = behaviour.sharing(jobs, {}, 60.0)["share_jain"]
    assert found == (None if fair is None else pytest.approx(1.0 if fair else 0.8))


def test_one_user_before_the_other_is_unfair() -> None:
    first = shared(*(("u1", n) for n in range(4)), *(("u2", n + 4) for n in range(4)))
    # Until the first user's last job starts at 3 s, the other has nothing.
    assert first == {"share_jain": 0.5, "share_gap": 0.5}


def test_time_is_contended_only_while_every_user_has_a_job_that_waits() -> None:
    # ann has nothing that waits from 2.5 to 20.
    ann = [ran(2, 2.5, user="ann"), ran(20, 20.5, user="ann")]
    bob = [ran(0, 0, 30.0, user="bob"), ran(0, 30, user="bob")]
    window = behaviour.contended(frame(*ann, *bob))
    assert list(zip(window.begin, window.end, strict=True)) == [(2.0, 2.5), (20.0, 20.5)]
    assert window.before(np.array([1.0, 2.25, 10.0, 20.25, 99.0])).tolist() == [
        0, 0.25, 0.5, 0.75, 1.0
    ]  # fmt: skip
    # In 1 s of 30 s next to nothing of the use was decided.
    assert behaviour.sharing(frame(*ann, *bob), {}) == {"share_jain": None, "share_gap": None}


def test_use_at_other_times_is_none_of_the_shares() -> None:
    """Two processors: from 4 to 20 s ann has no job that waits, and bob has all."""
    ann = [ran(0, n, user="ann") for n in range(5)] + [
        ran(20, 20 + n, user="ann") for n in range(3)
    ]
    bob = [ran(0, n, user="bob") for n in range(24)] + [ran(0, n, user="bob") for n in range(5, 20)]
    jobs = frame(*ann, *bob)
    window = behaviour.contended(jobs)
    assert list(zip(window.begin, window.end, strict=True)) == [(0.0, 4.0), (20.0, 22.0)]
    assert behaviour.sharing(jobs, {}) == {"share_jain": 1.0, "share_gap": 0.0}


@pytest.mark.parametrize(
    ("last", "contends"), [("UNFINISHED", True), ("REJECTED", False), ("NOT_SUBMITTED", False)]
)
def test_a_job_that_never_starts_waits_unless_the_scheduler_does_not_have_it(
    last: str, contends: bool
) -> None:
    others = [ran(0, n, user="u1") for n in range(4)]
    window = behaviour.contended(frame(*others, ran(1, None, user="u2") | {"state": last}))
    assert window.length == (2.0 if contends else 0.0)


def test_contention_among_many_jobs_takes_no_loop_over_them() -> None:
    """100,000 jobs of 1,000 users, all due at 0 and started one a millisecond, user by user."""
    count = 100_000
    jobs = frame(ran(0, 1))
    jobs = jobs.loc[np.zeros(count, dtype=int)].reset_index(drop=True)
    jobs["started"] = np.arange(1, count + 1) * 1_000_000
    jobs["allocated"] = jobs["started"]
    jobs["user"] = [f"u{number % 1000}" for number in range(count)]
    jobs["priority"] = np.arange(count) % 2
    begun = time.process_time()
    window = behaviour.contended(jobs)
    assert behaviour.overtaken(jobs, behaviour.urgent(jobs)) is not None
    assert time.process_time() - begun < 5.0
    assert window.length == pytest.approx(99.001)


def test_use_is_compared_with_the_share() -> None:
    starts = [("u1", n) for n in (0, 0.001, 1, 1.001, 2, 2.001)] + [("u2", n) for n in (0, 1, 2)]
    jobs = frame(*(ran(0, start, user=user) for user, start in starts))
    found = behaviour.sharing(jobs, {"u1": 2 / 3, "u2": 1 / 3})
    assert found["share_jain"] == pytest.approx(1.0, abs=1e-3)
    assert found["share_gap"] == pytest.approx(0.0, abs=1e-3)


def test_a_single_user_has_no_share_to_compare() -> None:
    assert shared(("u1", 0), ("u1", 1)) == {"share_jain": None, "share_gap": None}
