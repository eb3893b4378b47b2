"""``schedlab dashboard``: serves the kept metrics of trials, with dashboards."""

from __future__ import annotations

import contextlib
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import click

from schedlab.cli.options import existing, with_results
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError
from schedlab.printing import counted


@click.command(short_help="Serve the kept metrics of trials on loopback, with dashboards.")
@with_results
@click.option("--no-grafana", is_flag=True, help="Serve Prometheus alone, also if Grafana is here.")
@click.option(
    "--grafana-repository",
    metavar="'URL SUITE COMPONENT'",
    help="Take Grafana from this Debian package repository, whose key is at URL/gpg.key.",
)
@click.option("--grafana-key-sha256", metavar="DIGEST", help="SHA-256 digest of that key.")
@click.argument("trials", nargs=-1)
def dashboard(
    results: Path,
    no_grafana: bool,
    grafana_repository: str | None,
    grafana_key_sha256: str | None,
    trials: tuple[str, ...],
) -> None:
    """Serve the kept Prometheus blocks of TRIALS (default: all) until Ctrl-C.

    Grafana shows them in the dashboards of resources/dashboards if grafana-server is installed, or
    if you name a repository of its package; the package is only unpacked, into the cache.
    Otherwise Prometheus' own pages draw the same queries. Both listen on loopback only, on copies.
    """
    from schedlab.dashboards.emptiness import empty_panels
    from schedlab.dashboards.panels import graph, names
    from schedlab.dashboards.serve import (
        chosen_trials,
        draws_pages,
        grafana,
        programs,
        serve,
    )
    from schedlab.outside.temporary import removed_on_signals, temporary_folder
    from schedlab.results.store import Store
    from schedlab.testbed.prometheus import USER
    from schedlab.toolchain.cache import Cache
    from schedlab.toolchain.grafana import download_grafana, installed_grafana

    if bool(grafana_repository) != bool(grafana_key_sha256):
        raise SchedlabError(
            "--grafana-repository and --grafana-key-sha256 belong together",
            remedy="give both, or neither",
        )
    if no_grafana and grafana_repository:
        raise SchedlabError(
            "--no-grafana and --grafana-repository contradict each other",
            remedy="leave out one of them",
        )
    chosen = chosen_trials(
        Store(existing(results)), trials, lambda told: echo(f"schedlab: {told}", err=True)
    )
    if no_grafana:
        found = None
    elif grafana_repository and grafana_key_sha256:
        found = download_grafana(Cache.default(), grafana_repository, grafana_key_sha256)
    else:
        found = installed_grafana()
    with (
        contextlib.suppress(KeyboardInterrupt),
        removed_on_signals(),
        temporary_folder("schedlab-dashboard.") as folder,
        ExitStack() as stack,
    ):
        served = stack.enter_context(serve(chosen, *programs(), folder))
        count = counted(len(served.trials), "trial")
        echo(f"{count}, {_clock(served.first)} to {_clock(served.last)}")
        if served.without_block:
            echo(f"of {len(served.without_block)} of them only the jobs: no block was kept")
        echo(f"Prometheus: {served.server.url}  (user {USER}, password {served.server.password})")
        if found:
            url = stack.enter_context(grafana(found, served.server, folder / "grafana"))
            span = {"from": round(served.first * 1000), "to": round(served.last * 1000)}
            for name in names():
                echo(f"Grafana, {name}: {url}/d/schedlab-{name}?{urlencode(span)}")
        elif not draws_pages(served.server):
            echo(
                "This Prometheus has no pages to draw with; its API answers queries"
                f" ({served.server.url}/api/v1/query_range). For pages install the package"
                " prometheus, or Grafana (or name its --grafana-repository). The report draws"
                " queues, waits, throughput, the daemons' cost and the load of the machines"
                " without either."
            )
        else:
            for name in names():
                echo(f"{name}: {served.server.url}{graph(name, served.first, served.last)}")
        empty = {panel.partition(":")[0] for panel in empty_panels(served)}
        if empty:
            echo(f"panels with nothing to show: {', '.join(sorted(empty))}")
        echo("Ctrl-C ends it.")
        while True:
            signal.pause()


def _clock(instant: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(instant))
