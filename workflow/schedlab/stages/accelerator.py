"""Find out whether hardware virtualisation works on this machine."""

from __future__ import annotations

from schedlab import design
from schedlab.images.probe import probe_accelerator
from schedlab.paths import ACCELERATOR, CHECKOUT, RECORD
from schedlab.results.records import RecordWriter, verify_outputs
from schedlab.sources import stage_files
from schedlab.stages.context import Context


def probe(context: Context) -> None:
    """Probe the accelerator, and print a notice when guests will be emulated."""
    base = context.base(design.images(context.experiment)[0])
    verify_outputs(base / RECORD)
    record = RecordWriter(
        "accelerator",
        "host",
        CHECKOUT,
        context.results,
        parents={"base": base / RECORD},
        inputs=stage_files("accelerator"),
    )
    finding = probe_accelerator(base, context.experiment.accelerator)
    record.write(context.results / ACCELERATOR, accelerator=finding)
    if finding["accelerator"] == "tcg":
        print(
            "NOTICE: no hardware virtualisation here; clusters are EMULATED in software (TCG).\n"
            f"  reason: {finding['reason']}\n"
            "  Compare clusters of this run with each other;\n"
            "  absolute figures do not hold for hardware.",
            flush=True,
        )
    else:
        print(f"accelerator: {finding['accelerator']} ({finding['reason']})", flush=True)
