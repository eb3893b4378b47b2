"""``schedlab lock``: pins the packages of a Conda channel that an image is made with."""

from __future__ import annotations

from pathlib import Path

import click

from schedlab.cli.options import Output
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError


@click.command()
@click.argument("software")
@click.option("--channel", help="Name, URL or folder of the channel.  [default: conda-forge]")
@click.option(
    "--output",
    type=Output(),
    help="The lock file; by default, for conda-forge alone, that of the checkout.",
)
def lock(software: str, channel: str | None, output: Path | None) -> None:
    """Pin the newest packages of SOFTWARE (a scheduler) in a Conda channel: versions and digests.

    Images are made from exactly these packages, and from no others. The channel is read once, now.
    """
    from schedlab.schedulers import get_scheduler, scheduler_names
    from schedlab.schedulers.installation import CHANNEL
    from schedlab.schedulers.lockfile import channel_url
    from schedlab.toolchain.cache import Cache
    from schedlab.toolchain.channel import write_lock

    adapters = [get_scheduler(name) for name in scheduler_names()]
    known = {one.installation.name: one.installation for one in adapters if one.installation}
    if software not in known:
        raise SchedlabError(
            f"{software} is not software that images have from a channel",
            remedy=f"use one of {', '.join(sorted(known))}",
        )
    installation, channel = known[software], channel or CHANNEL
    channel_url(channel)  # refuses what is none, and what would show a secret below
    if output is None and channel != CHANNEL:
        raise SchedlabError(
            f"the lock file in the checkout is of {CHANNEL}, not of {channel}",
            remedy="add --output FILE, and name the file in the experiment's settings under lock",
        )
    output = output or installation.lock
    with Cache.default().scratch(f"lock-{software}") as scratch:
        pinned = write_lock(installation, channel, output, scratch)
    echo(f"wrote {output}: {len(pinned.records)} packages of {pinned.channel}")
    wanted = [spec.partition(" ")[0] for spec in installation.packages]
    for record in pinned.records:
        if record.name.normalized in wanted:
            echo(f"  {record.name.normalized} {record.version}")
