"""The neutral trace of a workload."""

from __future__ import annotations

from pathlib import Path

from schedlab.paths import CHECKOUT
from schedlab.results.provenance import portable
from schedlab.results.records import RecordWriter, beside
from schedlab.sources import stage_files
from schedlab.stages.context import Context


def write_trace(context: Context, workload: str, nodes: int, repetition: int, output: Path) -> None:
    """Write the neutral trace of a workload for a node count and repetition, and its record."""
    spec = context.experiment.workload_spec(workload)
    inputs = stage_files("trace", kind=spec["kind"])
    if spec.get("file"):
        inputs.append(CHECKOUT / spec["file"])
        spec["file"] = portable(inputs[-1], CHECKOUT)
    record = RecordWriter("trace", output.stem, CHECKOUT, context.results, inputs=inputs)
    context.experiment.trace(workload, nodes, repetition, CHECKOUT).write(output)
    record.write(
        beside(output),
        outputs=[output],
        settings={"workload": spec, "machine": context.experiment.machine_spec()},
    )
