"""Shows a run: as plain lines, and as a view that a terminal draws again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schedlab.lineage.durations import duration
from schedlab.paths import REPORT
from schedlab.printing import printable
from schedlab.stages.live import Progress
from schedlab.watch.run import RunState
from schedlab.watch.sight import Host, Sight

BAR = 30
"""Width of a bar, characters."""


def headline(sight: Sight) -> str:
    """Tell in one line how far the run is."""
    run = sight.run
    if sight.problem:
        return sight.problem
    if run is None:
        done = (sight.results / REPORT).is_file()
        told = f"no run; it has a report, {REPORT}" if done else "no run yet"
        return f"{sight.results}: {told}"
    ended = run.finished == run.total
    state = "works" if run.alive and not ended else ("finished" if ended else "ended early")
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run.began))
    line = f"{sight.results}: {state} (begun {began}), {run.finished} of {run.total} jobs finished"
    failed = sum(stage.failed for stage in run.stages)
    if failed:
        line += f", {failed} failed"
    left = run.time_left(sight.now) if run.alive else ""
    return line + (f", {left}" if left else "")


def host_line(host: Host) -> str:
    """Tell the load of this machine."""
    stalls = ", ".join(f"{name} {part:.0f} %" for name, part in host.stalled.items())
    return (
        f"host: {host.busy:.1f} of {host.cores} processors busy, load {host.load:.1f}, "
        f"{host.memory_free_mib / 1024:.1f} of {host.memory_mib / 1024:.1f} GiB memory free"
        + (f"; waited for: {stalls}" if stalls else "")
    )


def plain(sight: Sight) -> list[str]:
    """Return the view as lines of text."""
    lines = [headline(sight)]
    for job, progress in sight.progress.items():
        passed = duration(max(0.0, sight.now - job.since))
        lines.append(f"  {job.what} ({passed})" + (f": {progress}" if str(progress) else ""))
    if sight.run and sight.run.alive:
        lines.append(f"  {host_line(sight.host)}")
    if sight.finding:
        lines.append(f"  last finding: {sight.finding}")
    return [printable(line) for line in lines]


class Changes:
    """Chooses plain lines: what is new since the last look, and everything once in a while.

    Parameters
    ----------
    period : float
        Longest time without a line, s.
    """

    def __init__(self, period: float = 60.0) -> None:
        self._period = period
        self._last = float("-inf")
        self._known: object = None

    def lines(self, sight: Sight) -> list[str]:
        """Return the lines to write at a look; none if nothing has changed."""
        run = sight.run
        known = (
            run and (run.began, run.finished, run.alive, [job.what for job in run.at_work]),
            sight.finding,
        )
        if known == self._known and sight.now - self._last < self._period:
            return []
        self._known, self._last = known, sight.now
        clock = time.strftime("%H:%M:%S", time.localtime(sight.now))
        first, *rest = plain(sight)
        return [f"{clock} {first}", *rest]


def view(sight: Sight) -> RenderableType:
    """Return the view for a terminal."""
    parts: list[RenderableType] = [Text(printable(headline(sight)), style="bold")]
    if sight.run:
        parts += [Text(), _stages(sight, sight.run)]
        parts += _jobs(sight)
    parts += [Text(), Text(host_line(sight.host))]
    if sight.finding:
        bad = sight.finding.startswith(("WARNING", "FAILED"))
        style = "red" if bad else ""
        parts.append(Text.assemble("last finding: ", (printable(sight.finding), style)))
    return Group(*parts)


def _stages(sight: Sight, run: RunState) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage", no_wrap=True)
    for name in ("done", "running", "time left"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in run.stages:
        working = sum(job.rule == stage.rule for job in run.at_work) if run.alive else 0
        seconds = run.seconds_left(stage, sight.now)
        left = "not known" if seconds is None else duration(seconds) if seconds else ""
        done = f"{stage.finished} of {stage.total}"
        if stage.failed:
            done += f" ({stage.failed} failed)"
        style = "bold" if working else "dim" if stage.finished == stage.total else ""
        table.add_row(Text(stage.rule), done, str(working or ""), left, style=style)
    return table


def _jobs(sight: Sight) -> Iterator[RenderableType]:
    for job, progress in sight.progress.items():
        passed = duration(max(0.0, sight.now - job.since))
        yield Text()
        yield Text.assemble((printable(job.what), "bold"), f"  {passed}")
        if not isinstance(progress, Progress):
            yield Text(printable(progress), style="dim", no_wrap=True, overflow="ellipsis")
            continue
        for name, count in _counts(progress):
            full = round(BAR * count / progress.total) if progress.total else 0
            bar = "\N{FULL BLOCK}" * full + "\N{LIGHT SHADE}" * (BAR - full)
            yield Text(f"  {name:10} {bar} {count} of {progress.total}")
        if progress.loads:
            table = Table(box=None, pad_edge=False, show_header=False)
            for daemon, load in progress.loads.items():
                table.add_row(Text(f"  {printable(daemon)}"), f"{load:.2f} cores")
            yield Text("  load of the daemons", style="dim")
            yield table


def _counts(progress: Progress) -> list[tuple[str, int]]:
    running = [] if progress.running is None else [("running", progress.running)]
    return [("submitted", progress.submitted), *running, ("completed", progress.completed)]
