"""Virtual nodes of a Flux instance: Flux plays their jobs, and no payload runs.

The instance's configuration says that its nodes are virtual:

    [schedlab.virtual]
    nodes = 1024
    carriers = 1
    delays = "in words"
    start = [[0.05, 0.08], [0.08, 0.3]]
    completion = []

Each job then also asks for Flux's mock execution (attributes.system.exec.test), which takes the
payload's time, a delay of the start and one of the completion (s). A delay is drawn from intervals
that are equally likely; without intervals there is none. A job says by what both are drawn: its
trial and its number (attribute `user.draw`). A generator of this process would be in the memory
that is saved once and restored for every trial, and so draw the same for all of them.
"""

import json
import random
import re

TIME = re.compile(r"(\S+) sleep$")  # of the payload, s: the last but one of its arguments
SHORTEST = 1e-6  # s; a mock execution of no time does not end


def virtual(handle):
    """What the instance's configuration says of its virtual nodes; {} where its nodes are real."""
    return handle.rpc("config.get", {}).get().get("schedlab", {}).get("virtual", {})


def drawn(intervals, source):
    """A delay (s) from intervals that are equally likely; 0 where there are none."""
    return source.uniform(*source.choice(intervals)) if intervals else 0.0


def mocked(jobspec, table):
    """Let Flux play a job in place of running it.

    Parameters
    ----------
    jobspec : str
        JSON text of a job that runs the payload, and says by what its delays are drawn.
    table : dict
        Table of the configuration.

    Returns
    -------
    str
        JSON text of the same job. Its attribute `user.played` has `start` and `duration`: s from
        the start of the mock execution to that of the payload, and to the end; and `completion`,
        the last part of it, which the payload would not have run in.

    Raises
    ------
    ValueError
        When the job does not run the payload, or does not say by what its delays are drawn.
    """
    spec = json.loads(jobspec)
    try:
        found = TIME.search(" ".join(spec["tasks"][0]["command"]))
        source = random.Random(spec["attributes"]["user"]["draw"])
        start, completion = drawn(table["start"], source), drawn(table["completion"], source)
        duration = max(SHORTEST, start + float(found.group(1)) + completion)
        system = spec["attributes"]["system"]
        system["exec"] = {"test": {"run_duration": f"{duration:.6f}s"}}
        spec["attributes"]["user"]["played"] = {
            "start": start,
            "duration": duration,
            "completion": completion,
        }
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no job with a payload: {type(error).__name__}: {error}") from error
    return json.dumps(spec)


def played(jobspec):
    """What is played of a job; None of one that runs."""
    return ((jobspec or {}).get("attributes", {}).get("user") or {}).get("played")
