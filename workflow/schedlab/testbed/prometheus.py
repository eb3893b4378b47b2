"""Prometheus on the controller, for the time of one trial."""

from __future__ import annotations

import contextlib
import math
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.plain import ended, plain
from schedlab.privacy.identity import identity
from schedlab.privacy.private_files import write_secret
from schedlab.results.series import write_series

USER = "schedlab"
COST = 4
"""Cost of hashing the password. The least is enough: nobody can guess 256 random bits."""


@dataclass(frozen=True)
class Server:
    """A Prometheus that answers only who has its password.

    Attributes
    ----------
    url : str
        Base URL, without the password.
    password : str
        Of the user :data:`USER`. It is in this process alone, in no file and no command line.
    log : pathlib.Path or None
        Where it writes what it has to say.
    process : subprocess.Popen or None
        Its process.
    """

    url: str
    password: str = field(repr=False)
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False, compare=False)

    def session(self) -> requests.Session:
        """Start a session that has the password."""
        session = _session()
        session.auth = (USER, self.password)
        return session

    def ask(self, path: str, timeout: float = 60.0, method: str = "GET", **parameters: str) -> Any:
        """Return the data of an answer of its API.

        Raises
        ------
        SchedlabError
            When it does not answer within `timeout` seconds, or not well.
        """
        try:
            answer = self.session().request(
                method, f"{self.url}/api/v1/{path}", params=parameters, timeout=timeout
            )
            answer.raise_for_status()
            return answer.json()["data"]
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            status = self.process.poll() if self.process else None
            why = plain(error) if status is None else f"its process {ended(status)}"
            raise SchedlabError(
                f"Prometheus could not be asked: {why}", stage="trial", log=self.log
            ) from error


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy is between the controller and its guests
    return session


def free_port() -> int:
    """Return a TCP port of the loopback address that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scrape_config(
    targets: Sequence[tuple[str, str, str, int]], interval: float, cluster: str
) -> dict[str, object]:
    """Build Prometheus' configuration.

    Parameters
    ----------
    targets : sequence of (str, str, str, int)
        Job name, node name, address, port.
    interval : float
        Scrape interval in seconds.
    cluster : str
        Cluster id, attached as a label.
    """
    jobs: dict[str, list[dict[str, object]]] = {}
    for job, node, address, port in targets:
        jobs.setdefault(job, []).append(
            {"targets": [f"{address}:{port}"], "labels": {"instance": node, "cluster": cluster}}
        )
    duration = f"{round(interval * 1000)}ms"
    return {
        "global": {"scrape_interval": duration, "scrape_timeout": duration},
        "scrape_configs": [{"job_name": j, "static_configs": s} for j, s in sorted(jobs.items())],
    }


@contextlib.contextmanager
def prometheus(
    executable: Path,
    folder: Path,
    config: dict[str, object],
    timeout: float = 30.0,
    options: Sequence[str] = (),
) -> Iterator[Server]:
    """Run Prometheus with its data in `folder`; yield how it is reached.

    Its API can read and delete all data, so other users of this machine must not reach it. It
    listens on no Unix socket, so it asks for a password, which is another one each time.

    Raises
    ------
    SchedlabError
        When it is not ready within `timeout` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config_path = folder / "prometheus.yml"
    config_path.write_text(yaml.safe_dump(config, sort_keys=True))
    log = folder / "prometheus.log"
    port, password = free_port(), secrets.token_urlsafe(32)
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()
    access = write_secret(
        folder / "web.yml", yaml.safe_dump({"basic_auth_users": {USER: hashed}}).encode()
    )
    command = [
        str(executable),
        f"--config.file={config_path}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.config.file={access}",
        "--web.enable-admin-api",
        "--log.level=warn",
        *options,
    ]
    with log.open("w") as handle:
        process = processes.start(command, stdout=handle, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", password, log, process)
    try:
        deadline = time.monotonic() + timeout
        while True:
            ready = _ready(server)
            # Looked at after the answer: if another program took the port first, that one answers
            # and Prometheus has ended.
            if process.poll() is not None or time.monotonic() > deadline:
                raise SchedlabError(
                    f"Prometheus is not ready: {log.read_text()[-500:]}", stage="trial", log=log
                )
            if ready:
                break
            time.sleep(0.1)
        yield server
    finally:
        processes.end(process, 20)
        # Prometheus reads it at each request; it is no part of the trial's record.
        access.unlink(missing_ok=True)
        identity().clean_file(log)


def _ready(server: Server) -> bool:
    try:
        return server.session().get(f"{server.url}/-/ready", timeout=2).ok
    except requests.RequestException:
        return False


def targets_down(server: Server) -> dict[str, str]:
    """Tell for each target (``job/instance``) why its last scrape failed; nothing if it did not."""
    return {
        f"{t['labels']['job']}/{t['labels']['instance']}": ""
        if t["health"] == "up"
        else t.get("lastError") or "not scraped yet"
        for t in server.ask("targets", 10)["activeTargets"]
    }


def wait_for_targets(server: Server, timeout: float = 30.0) -> None:
    """Wait until every target was scraped once.

    Raises
    ------
    SchedlabError
        When targets are down after `timeout` seconds; it names them.
    """
    deadline = time.monotonic() + timeout
    while True:
        state = targets_down(server)
        if state and not any(state.values()):
            return
        if time.monotonic() > deadline:
            down = [f"{name} ({why})" for name, why in sorted(state.items()) if why]
            raise SchedlabError(
                f"Prometheus could not scrape within {timeout:g} s: "
                f"{', '.join(down) or 'it has no target'}",
                stage="trial",
            )
        time.sleep(0.2)


def read_exporter(address: str, port: int) -> list[Sample]:
    """Read an exporter's present values directly.

    Raises
    ------
    SchedlabError
        When it does not answer, or answers in another format than Prometheus' text format.
    """
    url = f"http://{address}:{port}/metrics"
    try:
        answer = _session().get(url, timeout=20)
        answer.raise_for_status()
        families = list(text_string_to_metric_families(answer.text))
    except (requests.RequestException, ValueError) as error:
        raise SchedlabError(
            f"{url} does not answer in Prometheus' text format: {plain(error)}",
            stage="trial",
            remedy="check the exporter's unit on that node (role monitoring)",
        ) from error
    return [sample for family in families for sample in family.samples]


def evaluate(
    server: Server, query: str, timeout: float = 60.0
) -> list[tuple[dict[str, str], float]]:
    """Return the present value of each series of a query, with its labels.

    Raises
    ------
    SchedlabError
        Prometheus does not answer within `timeout` seconds, or not well.
    """
    found = server.ask("query", timeout, query=query)["result"]
    return [(item["metric"], float(item["value"][1])) for item in found]


def export_samples(server: Server, seconds: float, output: Path) -> int:
    """Write every raw sample of the last `seconds` seconds.

    Parameters
    ----------
    server : Server
        Prometheus.
    seconds : float
        How far back.
    output : pathlib.Path
        Gets the series, sorted by metric and labels (:mod:`schedlab.results.series`).

    Returns
    -------
    int
        Number of samples.
    """
    return write_series(output, _all_series(server, f"{math.ceil(seconds * 1000)}ms"))


def scrapes(server: Server, seconds: float) -> dict[str, dict[str, float]]:
    """Measure the scrapes of the last `seconds`.

    Returns
    -------
    dict
        By target (``job/instance``): ``scraped``, the number of scrapes that succeeded, and
        ``scrape_durations``, the median time (s) of all, which the timeout limits.
    """
    return {
        "scraped": _of_targets(server, "sum_over_time(up[{}])", seconds),
        "scrape_durations": _of_targets(
            server, "quantile_over_time(0.5, scrape_duration_seconds[{}])", seconds
        ),
    }


def _of_targets(server: Server, query: str, seconds: float) -> dict[str, float]:
    """Value for each target (``job/instance``) of a query over a window of the last `seconds`."""
    found = server.ask("query", query=query.format(f"{math.ceil(seconds * 1000)}ms"))["result"]
    return {
        f"{item['metric']['job']}/{item['metric']['instance']}": float(item["value"][1])
        for item in found
    }


def _all_series(server: Server, window: str) -> Iterator[dict[str, Any]]:
    # One metric at a time, because the answer for all metrics would be in memory three times.
    for name in sorted(server.ask("label/__name__/values")):
        found = server.ask("query", query=f"{name}[{window}]")["result"]
        for item in sorted(found, key=lambda row: sorted(row["metric"].items())):
            labels = {k: v for k, v in item["metric"].items() if k != "__name__"}
            yield {"metric": name, "labels": labels, "values": item["values"]}


def snapshot_block(server: Server, data: Path, target: Path) -> None:
    """Let Prometheus write its data as a block, and move the block to ``target/block``."""
    name = server.ask("admin/tsdb/snapshot", 120, "POST")["name"]
    shutil.move(data / "snapshots" / name, target / "block")
