"""The neutral trace of a workload."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

from schedlab.paths import CHECKOUT
from schedlab.results.provenance import portable
from schedlab.results.records import RecordWriter, beside
from schedlab.sources import stage_files
from schedlab.stages.context import Context


def write_trace(
    context: Context, workload: str, machine: str, repetition: int, output: Path
) -> None:
    """Write the neutral trace of a workload for a machine and repetition, and its record."""
    spec = context.experiment.workload_spec(workload)
    inputs = stage_files("trace", kind=spec["kind"])
    inputs += [CHECKOUT / path for path in context.experiment.workload(workload).files()]
    record = RecordWriter("trace", output.stem, CHECKOUT, context.results, inputs=inputs)
    nodes, cpus = astuple(context.experiment.machine(machine))
    context.experiment.trace(workload, nodes, repetition, CHECKOUT, cpus).write(output)
    record.write(
        beside(output),
        outputs=[output],
        settings={"workload": _portable(spec), "machine": context.experiment.machine_spec(machine)},
    )


def _portable(value: Any) -> Any:
    """Parameters, also of inner workloads, with names of files that hold in another checkout."""
    if isinstance(value, list):
        return [_portable(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: portable(CHECKOUT / one, CHECKOUT) if key == "file" and one else _portable(one)
        for key, one in value.items()
    }
