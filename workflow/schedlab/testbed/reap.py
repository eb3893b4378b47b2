"""Remove what interrupted runs of this checkout left behind."""

from __future__ import annotations

from pathlib import Path

import click

from schedlab.testbed.supervisor import remove_abandoned, system_libvirt_answers


def reap(results: Path) -> list[str]:
    """Remove abandoned scratch folders, and objects on the system libvirt; say what was removed.

    In an embedded testbed the kernel has removed guests, networks and processes already, together
    with their namespaces.
    """
    removed = [str(path) for path in remove_abandoned(results)]
    if system_libvirt_answers():
        import libvirt

        from schedlab.testbed.session import identity_of, ignore_error, remove_objects

        libvirt.registerErrorHandler(ignore_error, None)
        connection = libvirt.open("qemu:///system")
        try:
            removed += remove_objects(connection, identity_of(results))
        finally:
            connection.close()
    for name in removed:
        click.echo(f"removed {name}")
    if not removed:
        click.echo("nothing was left behind")
    return removed
