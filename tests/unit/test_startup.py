"""A command imports only what it needs before it begins its work."""

from __future__ import annotations

import subprocess
import sys

import pytest

TABLES = {"numpy", "pandas", "pyarrow", "scipy"}
DRAWING = {"jinja2", "matplotlib"}
MACHINES = {"ansible_runner", "cryptography", "libvirt", "rattler", "requests"}
SHARING = {"rocrate", "snakemake", "zstandard"}
CONFIGURATION = {"pydantic", "yaml"}
HEAVY = TABLES | DRAWING | MACHINES | SHARING | CONFIGURATION

CONFIGURED = "from schedlab.stages.context import Context; from schedlab.testbed import supervisor"
"""Before a stage enters its testbed."""

COMMANDS: dict[str, tuple[str, set[str]]] = {
    "--version": ("import schedlab.cli.main", HEAVY),
    "log": ("import schedlab.cli.log", HEAVY),
    "toolchain": ("from schedlab.toolchain import prepare_toolchain", HEAVY),
    "reap": ("import schedlab.testbed.reap", HEAVY),
    "verify": ("import schedlab.bundle.verify", HEAVY - {"zstandard"}),
    "entering a testbed": (CONFIGURED, HEAVY - CONFIGURATION),
    "doctor": (f"{CONFIGURED}; import schedlab.doctor.findings", HEAVY - CONFIGURATION),
    "the Snakefile": ("import schedlab.snakefile", HEAVY - CONFIGURATION),
    "why": (
        "import schedlab.lineage.snakemake_internals, schedlab.lineage.why",
        HEAVY - CONFIGURATION,
    ),
    "trace-workload": ("import schedlab.stages.trace", HEAVY - CONFIGURATION),
    "base": ("import schedlab.stages.base_disk", HEAVY - CONFIGURATION),
    "accelerator": ("import schedlab.stages.accelerator", HEAVY - CONFIGURATION),
    "image": ("import schedlab.stages.image", HEAVY - CONFIGURATION),
    "programs": ("import schedlab.stages.programs", HEAVY - CONFIGURATION),
    "provision": ("import schedlab.stages.provision", HEAVY - CONFIGURATION - {"libvirt"}),
    "configure": (
        "import schedlab.stages.configure",
        HEAVY - CONFIGURATION - {"ansible_runner", "libvirt"},
    ),
    "trial": ("import schedlab.stages.trial", HEAVY - CONFIGURATION - {"libvirt", "requests"}),
    "exec": ("import schedlab.stages.shell", HEAVY - CONFIGURATION - {"libvirt"}),
    "tables": ("import schedlab.stages.tables", DRAWING | MACHINES | SHARING),
    "figure": (
        "import schedlab.stages.figure, schedlab.figures.throughput",
        MACHINES | SHARING | {"jinja2"},
    ),
    "report": ("import schedlab.stages.report", MACHINES | SHARING),
    "analyse": (
        "from schedlab.cli.main import main; main.get_command(None, 'analyse');"
        " import schedlab.analysis.recorded, schedlab.analysis.text",
        HEAVY - {"numpy"},
    ),
    "import": ("import schedlab.bundle.importing", HEAVY - CONFIGURATION - {"zstandard"}),
}
"""Command -> what it imports first, and the heavy libraries that are not among it."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_no_library_that_it_does_not_need(command: str) -> None:
    imports, unneeded = COMMANDS[command]
    loaded = subprocess.run(
        [sys.executable, "-c", f"{imports}\nimport sys\nprint(*sys.modules, sep='\\n')"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert sorted(unneeded.intersection(loaded)) == []
