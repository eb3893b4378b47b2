"""The form of a trial's conditions, of which verdicts, costs and comparisons are computed.

A trial that failed has only those that were known by then, and records of older releases lack some.
What is there has its form: a text in place of a number, or a load below zero, would otherwise pass
a check of the measurement or make hosts alike that are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schedlab.results.form_checks import (
    FieldCheck,
    each,
    keys,
    number,
    perhaps,
    shown,
    text,
    texts,
    truth,
    whole,
    words,
)

_NEEDED = ("start_ns", "end_ns", "clock")
"""Conditions without which a trial has measured nothing."""


def conditions(value: Any) -> str | None:
    """Check the conditions of a trial (:mod:`schedlab.results.form_checks`)."""
    return _FORM(value) or _order(value, "start_ns", "end_ns") or _clocks(value)


def unmeasured(record: Mapping[str, Any]) -> str | None:
    """Return what a trial's record that has no reason against it lacks to be a measurement."""
    if record["verdict"]["reasons"]:
        return None
    found = record["conditions"]
    lacking = [name for name in _NEEDED if not found.get(name)]
    lacking += [f"clock.{node}.start" for node, at in found.get("clock", {}).items() if not at]
    return f"conditions lacks {lacking[0]}, although no failure is recorded" if lacking else None


def _order(value: Mapping[str, Any], first: str, last: str) -> str | None:
    """Check that what ends does not end before it starts."""
    if first in value and last in value and value[last] < value[first]:
        return f".{last} is {value[last]}, before {first} ({value[first]})"
    return None


def _clocks(value: Mapping[str, Any]) -> str | None:
    """Check that no clock was read at the end before it was read at the start."""
    for node, moments in value.get("clock", {}).items():
        first, last = (moments.get(at, {}).get("at_ns") for at in ("start", "end"))
        if first is not None and last is not None and last < first:
            return f".clock.{shown(node)[1:-1]}.end.at_ns is {last}, before the start's ({first})"
    return None


def _span(value: Any) -> str | None:
    return _SPAN(value) or _order(value, "start_ns", "end_ns")


_LARGEST = (1 << 63) - 1
"""Largest whole number that the tables hold; as an instant in ns, the year 2262."""

instant = whole(0, _LARGEST)
count = whole(0, _LARGEST)
_part = number(0)
_positive = number(0, above=True)
_SPAN = keys({"start_ns": instant, "end_ns": instant})
_MACHINE: dict[str, FieldCheck] = {"cpus": whole(1), "memory_mib": whole(1)}


def _moments(of_moment: FieldCheck) -> FieldCheck:
    return keys({}, {"start": of_moment, "end": of_moment})


_OFFSET = keys(
    {"offset_ns": whole(-_LARGEST, _LARGEST), "uncertainty_ns": count}, {"at_ns": instant}
)
# Node -> process or unit -> counter. The counters differ between releases.
_COSTS = _moments(each(each(each(_part))))
_DURING = keys(
    {},
    {
        # Counters of the kernel that only grow. Times of processes may not: a thread that has ended
        # takes its time with it.
        "processor": keys({"busy": _part, "steal": _part}, {"idle": number()}),
        "emulators": each(keys({}, {"run_seconds": number(), "wait_seconds": number()})),
        "own": number(),
        "load": number(),
        "pressure": each(_part),
        "swap": keys({"in": count, "out": count}),
    },
)
_HOST = keys(
    {},
    {
        **dict.fromkeys(("cpu", "kernel", "system", "boot"), perhaps(words)),
        **dict.fromkeys(("cores", "memory_mib"), perhaps(whole(1))),
        **dict.fromkeys(("load_start", "load_end", "steal"), perhaps(_part)),
        "during": _DURING,
    },
)
_FAULT = keys(
    {"kind": words},
    {
        "node": perhaps(text),
        "at_s": _part,
        "lasts_s": perhaps(_part),
        "commands": texts,
        "restarts": texts,
        "begin": perhaps(_span),
        "end": perhaps(_span),
        "within": truth,
        "said": perhaps(text),
        "failure": perhaps(text),
    },
)
_FORM = keys(
    {},
    {
        "accelerator": words,
        **dict.fromkeys(("campaign", "bridge"), perhaps(words)),
        "reset": words,
        "host": _HOST,
        "oversubscription": _positive,
        "restore_seconds": _part,
        "resume_skew_ns": count,
        "scrape_interval": _positive,
        "limit": _positive,
        "start_ns": instant,
        "end_ns": instant,
        "observed_seconds": _part,
        "resident_mib": count,
        "declared": each(keys(_MACHINE)),
        "machine": _moments(each(keys(_MACHINE | {"boot": words}))),
        "clock": each(_moments(_OFFSET)),
        "daemon_cost": _COSTS,
        "unit_cost": _COSTS,
        "scraped": each(_part),
        "scrape_durations": each(_part),
        "health": keys({}, {"after": texts}),
        "not_taken": texts,
        "fault": _FAULT,
    },
)
