"""Run a command in the toolchain's environment: ``python -m schedlab.toolchain COMMAND...``.

Without a command the tools and their versions are listed. The tools are those that ``make setup``
prepared for this Python environment; results have a record of their own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.toolchain import Toolchain, prepare_toolchain

RECORD = Path(sys.prefix) / "share" / "schedlab" / "toolchain.json"
"""Record of the tools that belong to this Python environment."""


def variables(toolchain: Toolchain) -> dict[str, str]:
    """Variables with which built tools are on PATH and find their plugins."""
    own = str(Path(sys.executable).parent)
    folders = [str(toolchain.programs), own, processes.search_path()]
    return toolchain.environment() | {
        "PATH": os.pathsep.join(folders),
        "SCHEDLAB_TERRAFORM_PROVIDER": str(toolchain.path("terraform-provider-libvirt")),
    }


def main(arguments: list[str]) -> int:
    """Prepare the toolchain where needed, then list it or become the command."""
    try:
        if not RECORD.exists():
            prepare_toolchain(RECORD)
        toolchain = Toolchain.load(RECORD)
    except SchedlabError as error:
        print(f"schedlab: {error}", file=sys.stderr)
        return 1
    if not arguments:
        for name, entry in toolchain.record().items():
            print(f"{name:28} {entry['version']:12} {entry['program']} ({entry['source']})")
        return 0
    try:
        processes.become(arguments, variables(toolchain))
    except OSError as error:
        print(f"schedlab: {arguments[0]}: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
