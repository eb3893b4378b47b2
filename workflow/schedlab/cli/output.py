"""Output of text. Only this module writes to a terminal."""

from __future__ import annotations

import click

from schedlab.printing import printable


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text of any origin, made printable, to standard output or standard error."""
    click.echo(printable(text), err=err, nl=nl)
