"""Runs Python modules in processes that have Snakemake imported, which takes half of a dry run.

Reads a request a line: JSON with `module`, `arguments`, `folder`, `environment` and the files
`stdout` and `stderr`. Answers each with the status of its process. Nothing of this project is
imported before the fork: each process finds it by the PYTHONPATH of its request, as a program of
its own does.
"""

import json
import os
import runpy
import sys

import snakemake.cli  # noqa: F401


def become(request: dict) -> None:
    """Make this process what a shell would have started."""
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(name, flags), number)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:0] = [request["folder"], *os.environ["PYTHONPATH"].split(os.pathsep)]
    sys.argv = [request["module"], *request["arguments"]]


for line in iter(sys.stdin.readline, ""):
    child = os.fork()
    if not child:
        asked = json.loads(line)
        become(asked)
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
