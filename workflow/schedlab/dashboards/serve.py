"""Serves the kept metrics of trials on loopback: Prometheus, and Grafana where there is one."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
import yaml

from schedlab import processes
from schedlab.dashboards.history import open_metrics, span
from schedlab.errors import SchedlabError
from schedlab.paths import DASHBOARDS
from schedlab.printing import some
from schedlab.privacy.private_files import write_secret
from schedlab.results.records import was_stopped
from schedlab.results.store import Store, origin_of
from schedlab.tables.kept import check_block, kept_trial
from schedlab.tables.trial_rows import TrialRows
from schedlab.testbed.prometheus import USER, Server, free_port, prometheus
from schedlab.toolchain.build import download_prometheus
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.grafana import Grafana

OPTIONS = (
    "--storage.tsdb.retention.time=100y",
    # A trial's last samples must not be taken for those of the next trial on its cluster.
    "--query.lookback-delta=10s",
)
DAY = 86400


@dataclass(frozen=True)
class Served:
    """What is served.

    Attributes
    ----------
    server : Server
        Prometheus.
    trials : list of str
        Ids of the trials.
    without_block : list of str
        Those of which only the records were kept, and no samples.
    first, last : float
        Range of their time, Unix time in s.
    """

    server: Server
    trials: list[str]
    without_block: list[str]
    first: float
    last: float


def chosen_trials(
    store: Store, wanted: Sequence[str], tell: Callable[[str], None] = lambda _: None
) -> list[TrialRows]:
    """Read some trials of a results folder, or all that ran and are not damaged.

    Parameters
    ----------
    store : Store
        The results folder.
    wanted : sequence of str
        Ids of trials; none for all.
    tell : callable
        Called with a line on each damaged trial that is left out.

    Raises
    ------
    SchedlabError
        There is no such trial, none ran, or one that is wanted by name is damaged.
    """
    known = store.trials()
    unknown = [name for name in wanted if name not in known]
    if unknown or not known:
        raise SchedlabError(
            f"{store.results} has no trial {some(unknown, 5)}".rstrip(),
            remedy=f"use some of {some(list(known), 50)}" if known else "run `make report` first",
        )
    found = []
    for name, path in known.items():
        if wanted and name not in wanted:
            continue
        folder, origin = (store.results / path).parent, origin_of(path)
        try:
            if was_stopped(store.checked(path)):
                continue
            check_block(folder, origin)
            found.append(kept_trial(folder, origin))
        except SchedlabError as error:
            if wanted:
                raise
            remedy = f"; remedy: {error.remedy}" if error.remedy else ""
            tell(f"{name} is left out: {error.message}{remedy}")
    if not found:
        raise SchedlabError(
            f"no chosen trial of {store.results} ran", remedy="see `schedlab trials`"
        )
    return sorted(found, key=lambda rows: int(rows.trial["start_ns"]))


def programs() -> tuple[Path, Path]:
    """Return Prometheus and promtool: those on PATH, or of the distribution's package.

    Raises
    ------
    SchedlabError
        A program is not on PATH, and the package cannot be had.
    """
    program, promtool = (
        Path(found)
        if (found := shutil.which(name, path=processes.search_path()))
        else download_prometheus(Cache.default(), name)
        for name in ("prometheus", "promtool")
    )
    return program, promtool


@contextlib.contextmanager
def serve(
    trials: Sequence[TrialRows], program: Path, promtool: Path, folder: Path
) -> Iterator[Served]:
    """Serve the metrics of trials with Prometheus, from copies of their blocks.

    Parameters
    ----------
    trials : sequence of TrialRows
        Trials in the order of their time.
    program, promtool : pathlib.Path
        Prometheus and its tool.
    folder : pathlib.Path
        An empty folder for the copies.

    Raises
    ------
    SchedlabError
        Prometheus does not start, or a program fails.
    """
    data = folder / "data"
    data.mkdir()
    without = []
    for rows in trials:
        blocks = [
            path for path in (rows.folder / "prometheus" / "block").glob("*") if path.is_dir()
        ]
        for block in blocks:
            # Prometheus merges and deletes blocks, so it gets a copy.
            shutil.copytree(block, data / block.name, dirs_exist_ok=True)
        if not blocks:
            without.append(str(rows.trial["trial"]))
    # promtool reads its input once for every two hours between its first and last sample.
    days: dict[int, list[TrialRows]] = defaultdict(list)
    for rows in trials:
        days[int(span(rows)[0] // DAY)].append(rows)
    for each in days.values():
        text = folder / "history.txt"
        with text.open("w", encoding="utf-8") as file:
            file.writelines(open_metrics(each))
        processes.run(
            [promtool, "tsdb", "create-blocks-from", "openmetrics", "-q", text, data],
            capture_output=True,
            text=True,
            check=True,
        )
        text.unlink()
    spans = [span(rows) for rows in trials]
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(prometheus(program, folder, {}, options=OPTIONS))
        except SchedlabError as error:
            # Its log is in the folder of the copies, which is removed, and no stage is at work.
            names = some([str(rows.trial["trial"]) for rows in trials], 5)
            raise SchedlabError(
                f"{error.message}; it was given the blocks of {names}",
                remedy="name the trials to serve, and leave out that whose block it cannot open",
            ) from error
        yield Served(
            server,
            [str(rows.trial["trial"]) for rows in trials],
            without,
            min(first for first, _ in spans),
            max(last for _, last in spans),
        )


def draws_pages(server: Server) -> bool:
    """Tell whether a Prometheus has pages of its own.

    Debian's program reads them from its package's files and from those of a dozen other packages,
    which are there only where the package is installed.
    """
    try:
        return server.session().get(f"{server.url}/graph", timeout=60.0).ok
    except requests.RequestException:
        return False


@contextlib.contextmanager
def grafana(
    program: Grafana, served: Server, folder: Path, timeout: float = 120.0
) -> Iterator[str]:
    """Run Grafana with the dashboards on top of Prometheus; yield its URL.

    Everybody on this machine may look, and nobody may change anything: there is no account.

    Raises
    ------
    SchedlabError
        When it is not ready within `timeout` seconds.
    """
    folder.mkdir(mode=0o700)
    port = free_port()
    log = folder / "grafana.log"
    for kind, content in _provisioning(served).items():
        target = folder / "provisioning" / kind / "schedlab.yaml"
        target.parent.mkdir(parents=True)
        write_secret(target, yaml.safe_dump(content).encode())
    settings = folder / "grafana.ini"
    settings.write_text(_settings(folder, port))
    command = [*program.command, "--config", settings]
    if program.home:
        command += ["--homepath", program.home]
    with log.open("w") as output:
        process = processes.start(command, stdout=output, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + timeout
        while not _healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SchedlabError(
                    f"Grafana is not ready: {log.read_text(errors='replace')[-500:]}",
                    remedy="without it, open the addresses that `schedlab dashboard --no-grafana`"
                    " prints",
                )
            time.sleep(0.2)
        yield url
    finally:
        processes.end(process, 20)


def _healthy(url: str) -> bool:
    session = requests.Session()
    session.trust_env = False
    try:
        return session.get(f"{url}/api/health", timeout=2).ok
    except requests.RequestException:
        return False


def _provisioning(served: Server) -> dict[str, dict[str, object]]:
    """Content of Grafana's provisioning files: the data source and the dashboards."""
    source = {
        "name": "schedlab",
        "uid": "schedlab",
        "type": "prometheus",
        "access": "proxy",
        "url": served.url,
        "isDefault": True,
        "basicAuth": True,
        "basicAuthUser": USER,
        "secureJsonData": {"basicAuthPassword": served.password},
        "jsonData": {"timeInterval": "1s"},
    }
    provider = {"name": "schedlab", "type": "file", "options": {"path": str(DASHBOARDS)}}
    return {
        "datasources": {"apiVersion": 1, "datasources": [source]},
        "dashboards": {"apiVersion": 1, "providers": [provider]},
    }


def _settings(folder: Path, port: int) -> str:
    sections: dict[str, dict[str, object]] = {
        "paths": {
            name: folder / place
            for name, place in (
                ("data", "data"), ("logs", "logs"), ("plugins", "plugins"),
                ("provisioning", "provisioning"),
            )
        },
        "server": {"http_addr": "127.0.0.1", "http_port": port},
        "security": {
            "disable_initial_admin_creation": "true",
            "secret_key": secrets.token_urlsafe(32),
        },
        "auth": {"disable_login_form": "true"},
        "auth.anonymous": {"enabled": "true", "org_role": "Viewer"},
        "analytics": {"reporting_enabled": "false", "check_for_updates": "false"},
        "news": {"news_feed_enabled": "false"},
    }  # fmt: skip
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in content.items())
        for name, content in sections.items()
    )
