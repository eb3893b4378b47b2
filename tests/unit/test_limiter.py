"""What limits a cell, by the limits in force and what was measured (SYNTHETIC trials)."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from search_factory import CYCLE, DEPTH, PARTS, cell, row

from schedlab.metrics.limiter import first_failed, limiter, of_cell
from schedlab.report.saturation_section import saturation
from schedlab.schedulers.limits import Limit
from schedlab.tables.validity import ACROSS

ROW: dict[str, Any] = PARTS | {
    "utilisation_steady": 0.5,
    "observed_s": 10.0,
    "daemon_cost": [],
    "limits": "[]",
}


def limited(**changes: Any) -> tuple[str, str]:
    found = limiter(ROW | changes)
    return found.name, found.lift


def allowed(counted: float | None) -> str:
    limit = {"name": "requests of x", "setting": "xQps", "per_second": 5.0, "counted": counted}
    return json.dumps([limit])


def cost(seconds: float, group: str = "scheduler") -> list[dict[str, Any]]:
    return [{"node": "head", "process": "ctld", "group": group, "cpu_s": seconds, "serial": True}]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, ""),
        ({"utilisation_steady": 0.95}, "the machine"),
        ({"lateness_mean_s": 5.0}, "submitter"),
        ({"limits": allowed(45.0)}, "limit of requests of x"),
        ({"limits": allowed(30.0)}, ""),
        ({"limits": allowed(None)}, ""),
        ({"daemon_cost": cost(9.0)}, "processor time of ctld"),
        ({"daemon_cost": cost(9.0, "client")}, ""),
        ({"scheduling_mean_s": 5.0}, "scheduling"),
        ({"launch_mean_s": 5.0}, "launcher"),
        ({"submission_mean_s": 5.0}, "acceptance by the API server or controller"),
        # The first rule that holds names it.
        ({"limits": allowed(45.0), "scheduling_mean_s": 5.0}, "limit of requests of x"),
    ],
)
def test_the_limiter_is_named_by_the_first_rule_that_holds(
    changes: dict[str, Any], name: str
) -> None:
    assert limited(**changes)[0] == name


COUNTED = [
    ({"limits": allowed(45.0)}, "limit of requests of x", "the number of requests"),
    (
        {
            "limits": json.dumps(
                [Limit("quota of ctld", "q", None, None, (), 0.5, "ctld")._asdict()]
            ),
            "daemon_cost": cost(4.5),
        },
        "quota of ctld",
        "the processor time of ctld",
    ),
    ({"daemon_cost": cost(9.0)}, "processor time of ctld", "the processor time of daemons"),
]


@pytest.mark.parametrize(("changes", "name", "what"), COUNTED)
def test_what_was_counted_is_judged_whatever_is_withheld(
    changes: dict[str, Any], name: str, what: str
) -> None:
    withheld = {column for columns in ACROSS.values() for column in columns}
    waits = {"scheduling_mean_s": 5.0} | dict.fromkeys(withheld)
    assert limited(**(waits | changes))[0] == name
    # Without the time nothing is named, and not what a later rule would name.
    found = limiter(ROW | waits | changes | {"observed_s": None})
    assert found.name == "" and found.evidence.startswith("not judged") and what in found.evidence


def test_requests_are_divided_by_the_time_in_which_they_were_counted() -> None:
    limit = json.loads(allowed(45.0))[0]
    counted = [limit | {"seconds": 20.0, "client": "a part of x"}]
    assert limited(limits=json.dumps(counted)) == ("", "")
    counted[0]["seconds"] = 9.0
    found = limiter(ROW | {"limits": json.dumps(counted), "observed_s": None})
    assert found.name == "limit of requests of x"
    assert "5 requests/s of its busiest client (a part of x)" in found.evidence


def test_a_limit_of_a_client_is_named_with_the_setting_that_lifts_it() -> None:
    assert limited(limits=allowed(45.0)) == ("limit of requests of x", "xQps")


@pytest.mark.parametrize(
    ("limits", "rate", "changes", "name"),
    [
        (CYCLE, 0.39, {}, "cycles"),
        # Fewer jobs than cycles could start; something else holds them up.
        (CYCLE, 0.2, {}, "scheduling"),
        (CYCLE, 0.39, {"lateness_mean_s": 20.0}, "submitter"),
        (CYCLE, 0.39, {"scheduling_mean_s": 0.1}, ""),
        # Without cycles the processors would take hardly more jobs.
        (CYCLE, 0.032, {"held_mean_s": 120.0, "launch_mean_s": 80.0}, "launcher"),
        (CYCLE, 0.032, {"held_mean_s": 120.0, "completion_mean_s": 80.0}, "completion"),
        (DEPTH, 1.0, {}, "depth"),
        (DEPTH, 3.9, {}, "the machine"),
        (DEPTH, 3.9, {"completion_mean_s": 0.6}, "completion"),
        (DEPTH, 1.0, {"held_mean_s": None}, "scheduling"),
        (CYCLE, 0.39, {"processors_mean": 4.0}, "scheduling"),
        (CYCLE, 0.09, {"processors_mean": 4.0}, "cycles"),
    ],
)
def test_cycles_are_named_only_where_they_start_what_they_can(
    limits: list[Limit], rate: float, changes: dict[str, Any], name: str
) -> None:
    assert limiter(row(limits, rate, 1.0, **changes)).name == name


@pytest.mark.parametrize(("why", "words"), [("jobs", "no good end"), ("wait", "longest_wait")])
def test_no_limiter_is_named_where_no_queue_grew(why: str, words: str) -> None:
    """One failed job, or waits above a bound that the search was given, are no sign of a limit."""
    rows = cell(CYCLE, 0.4, 1.0)
    rows[1]["why_not"] = [why]
    trials = pd.DataFrame(rows)
    named = of_cell(trials)
    assert named is not None and named.name == named.lift == ""
    assert named.evidence.startswith("not judged: no rate made the queue grow")
    assert words in named.evidence
    (shown,) = saturation(trials)["rows"]
    assert shown["limiter"] == "not named" and words in shown["brackets"]
    (told,) = saturation(trials, confirming=["knee"])["not_lifted"]
    assert "no rate made the queue grow" in told["why"]
    # A higher rate at which the queue grew is judged, and not that one.
    higher = row(CYCLE, 0.39, 1.0) | {"rate": 0.8}
    assert of_cell(pd.DataFrame([*rows, higher])) == limiter(higher)


def test_the_limiter_is_read_from_the_search_in_the_middle() -> None:
    """The lowest failure of several searches is likely to be a queue that would have gone again."""
    lowest = {"rate": 0.2, "search": 1, "scheduling_mean_s": 0.1, "launch_mean_s": 5.0}
    alarm = row(CYCLE, 0.2, 1.0) | lowest
    own = [row(CYCLE, 0.39, 1.0, search=2) | {"rate": rate} for rate in (0.45, 0.8)]
    last = row(CYCLE, 0.39, 1.0, search=3) | {"rate": 0.5}
    assert of_cell(pd.DataFrame([alarm])) == limiter(alarm) != limiter(own[0])
    for rows in ([alarm, *own, last], [last, *own[::-1], alarm], [alarm, *own]):
        assert (first_failed(pd.DataFrame(rows)) or {})["rate"] == 0.45
        assert of_cell(pd.DataFrame(rows)) == limiter(own[0])
    # Searches of equal clusters have the same numbers.
    equal = [one | {"search": 1, "snapshot": one["search"]} for one in (alarm, *own, last)]
    assert (first_failed(pd.DataFrame(equal)) or {})["rate"] == 0.45


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"wait_mean_s": 30.0}, ""),
        ({"wait_mean_s": None}, ""),
        ({"wait_mean_s": 0.15}, "submitter"),
        ({"launch_mean_s": 0.1, "wait_mean_s": 30.0}, ""),
        ({"scheduling_mean_s": 20.0, "wait_mean_s": 30.0}, "scheduling"),
        (dict.fromkeys([*PARTS, "wait_mean_s"]), ""),
    ],
)
def test_parts_of_a_wait_are_not_judged_by_one_another_where_one_is_unknown(
    changes: dict[str, Any], name: str
) -> None:
    """Records that lack allocations leave lateness and submission, which are most of themselves."""
    unknown = {"scheduling_mean_s": float("nan"), "launch_mean_s": None}
    assert limited(**(unknown | changes))[0] == name


FULL = {"scheduling_mean_s": 60.0, "held_mean_s": 10.0, "launch_mean_s": 1.0}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        # Half of the cores is the background's: those that are left are busy, or held.
        ({"background_filled": 0.5, "places": 2.0, "utilisation_steady": 0.49}, "the machine"),
        ({"background_filled": 0.5, "utilisation_steady": 0.49}, "the machine"),
        ({"background_filled": 0.5, "utilisation_steady": 0.3,
          "achieved_rate_jobs_per_s": 0.199}, "the machine"),
        ({"utilisation_steady": 0.49}, "scheduling"),
        # One job of 3 fits on 4 cores.
        ({"places": 1.0, "processors_mean": 3.0, "utilisation_steady": 0.735}, "the machine"),
        ({"places": 1.0, "processors_mean": 3.0, "utilisation_steady": 0.6,
          "achieved_rate_jobs_per_s": 0.0995}, "the machine"),
        ({"places": 1.0, "processors_mean": 3.0, "utilisation_steady": 0.6,
          "achieved_rate_jobs_per_s": 0.08}, "scheduling"),
        ({"processors_mean": 3.0, "utilisation_steady": 0.735}, "the machine"),
        # They run most of the time that they hold all cores.
        ({"utilisation_steady": 0.85, "achieved_rate_jobs_per_s": 0.395}, "the machine"),
        ({"utilisation_steady": 0.3, "achieved_rate_jobs_per_s": 0.395, "launch_mean_s": 6.0},
         "launcher"),
    ],
)  # fmt: skip
def test_a_full_machine_is_known(changes: dict[str, Any], name: str) -> None:
    found = limiter(row([], 0.1, 10.0, **FULL | changes))
    assert found.name == name and (name != "the machine" or "% at most" in found.evidence
                                   or "hold all" in found.evidence)  # fmt: skip
