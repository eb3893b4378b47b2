"""ESP: efficiency of every cell, and what of the mix was rounded up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from schedlab.formatting import number, seconds, span
from schedlab.metrics.cells import by_cell
from schedlab.metrics.efficiency import efficiency
from schedlab.metrics.whole_runs import alone, whole
from schedlab.report.trace_scales import scale_of, trace_of
from schedlab.results.imports import Origin

KIND = "esp"


def esp_scales(sources: Iterable[Origin]) -> dict[str, dict[str, Any]]:
    """What the traces of ESP's trials tell of how they were made, by id of the trial."""
    found = {}
    for origin in sources:
        own = {one.name for one in origin.experiment.workloads if one.kind == KIND}
        for key in origin.experiment.trials():
            if key.workload not in own:
                continue
            scale = scale_of(trace_of(origin.results, key))
            if _sound(scale):
                found[origin.label(key.id)] = scale
    return found


def _sound(scale: Mapping[str, Any]) -> bool:
    """Whether all that the section shows is there: records of others can hold anything."""
    times = (scale.get("ideal_s"), scale.get("ideal_of_table_s"))
    return all(isinstance(time, (int, float)) and time > 0 for time in times) and isinstance(
        scale.get("rounded_up"), dict
    )


def esp_section(trials: pd.DataFrame, scales: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`rows` of the section, and the `rules` of submission; without rows there was no ESP."""
    rows = esp_rows(trials, scales)
    return {"rows": rows, "rules": list(dict.fromkeys(row["submission"] for row in rows))}


def esp_rows(trials: pd.DataFrame, scales: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the section, as text, one for each cell; trials beside a background are in none.

    Parameters
    ----------
    trials : pandas.DataFrame
        Rows of the trials table whose jobs ran a payload.
    scales : mapping
        Of `esp_scales`. Cells of which no trace can be read have no row.

    Returns
    -------
    list of dict
        `workload`, `cluster`, `anchor`, `efficiency` (%; empty where none is known), `interval`,
        `n`, `note`, `elapsed` and `ideal` (s), `ideal_of_table` (of the mix before rounding),
        `rounded` (types with the processors that each asks for and takes), `submission`
        (the rule), `overtaken` (others that were placed while a Z waited, mean) and `left_out`
        (how many trials do not count, and why).
    """
    rows = []
    for (_, cluster, workload, _), group in by_cell(alone(trials[trials["kind"] == KIND])):
        scale = next((scales[name] for name in map(str, group["trial"]) if name in scales), None)
        if scale is not None:
            rows.append(_row(str(workload), str(cluster), group, scale))
    return sorted(rows, key=lambda row: (row["workload"], row["cluster"]))


def _row(
    workload: str, cluster: str, trials: pd.DataFrame, scale: Mapping[str, Any]
) -> dict[str, Any]:
    good, left_out = whole(trials)
    asked = scale.get("asked")
    asked = asked if isinstance(asked, dict) else {}
    found = efficiency(good, float(scale["ideal_s"]))
    return {
        "workload": workload,
        "cluster": cluster,
        "anchor": f"result-{cluster}.{workload}",
        "efficiency": "" if found.estimate is None else number(100 * found.estimate),
        "interval": f"[{_part(found.low)}, {_part(found.high)}]" if found.known else "",
        "n": found.n,
        "note": found.note,
        "elapsed": span(good["makespan_s"]),
        "ideal": seconds(scale["ideal_s"]),
        "ideal_of_table": seconds(scale["ideal_of_table_s"]),
        "rounded": [
            _rounded(name, taken, asked.get(name))
            for name, taken in sorted(scale["rounded_up"].items())
        ],
        "submission": str(scale.get("submission", "not recorded")),
        "overtaken": _mean(good, "wide_overtaken"),
        "left_out": left_out,
    }


def _mean(trials: pd.DataFrame, column: str) -> str:
    """Mean of a column as text; empty where it is not known."""
    if column not in trials:
        return ""
    values = pd.to_numeric(trials[column], errors="coerce").dropna()
    return "" if values.empty else number(float(values.mean()))


def _rounded(name: str, taken: object, asked: object) -> str:
    """What a type asks for and takes, processors."""
    told = f" {number(asked)}" if isinstance(asked, float) else ""
    return f"{name}{told} to {taken}"


def _part(value: float | None) -> str:
    return number(None if value is None else 100 * value)
