"""``schedlab diff``: compares two results."""

from __future__ import annotations

import json
import sys

import click

from schedlab.cli.options import given_path
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError
from schedlab.outside.temporary import removed_on_signals

SAME, DIFFERENT, TROUBLE = 0, 1, 2
"""Exit status, as of diff(1)."""


@click.command(short_help="Compare two results folders or bundles.")
@click.argument("a")
@click.argument("b")
@click.option("--infrastructure", "machines", is_flag=True, help="Compare only machines, software.")
@click.option("--outcomes", is_flag=True, help="Compare only the outcomes of the trials.")
@click.option("--full", is_flag=True, help="Do not shorten long lists and files.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, which is never shortened.")
def diff(a: str, b: str, machines: bool, outcomes: bool, full: bool, as_json: bool) -> None:
    """Compare two results folders or bundles, A and B, side by side.

    Exit status 0: the infrastructure does not differ, and the outcomes show no difference. 1:
    something differs. 2: the two cannot be compared.
    """
    from schedlab.diff.result import compare, difference_facts
    from schedlab.diff.text import render

    both = machines == outcomes
    try:
        with removed_on_signals():
            one, other = given_path(a, "A"), given_path(b, "B")
            found = compare(one, other, infrastructure=machines or both, outcomes=outcomes or both)
    except (SchedlabError, OSError) as error:
        echo(f"schedlab: {error}", err=True)
        sys.exit(TROUBLE)
    if as_json:
        echo(json.dumps(difference_facts(found), indent=1, sort_keys=True))
    else:
        echo(render(found, full=full), nl=False)
    sys.exit(DIFFERENT if found.differs else SAME)
