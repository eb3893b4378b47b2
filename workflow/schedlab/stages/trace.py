"""The neutral trace of a workload."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

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
    if spec.get("file"):
        inputs.append(CHECKOUT / spec["file"])
        spec["file"] = portable(inputs[-1], CHECKOUT)
    record = RecordWriter("trace", output.stem, CHECKOUT, context.results, inputs=inputs)
    nodes, cpus = astuple(context.experiment.machine(machine))
    context.experiment.trace(workload, nodes, repetition, CHECKOUT, cpus).write(output)
    record.write(
        beside(output),
        outputs=[output],
        settings={"workload": spec, "machine": context.experiment.machine_spec(machine)},
    )
