"""Puts SVG files into a page: unique ids, colours as CSS variables, a name for screen readers."""

from __future__ import annotations

import re
from html import escape

from markupsafe import Markup

from schedlab.figures.style import VARIABLES


def inline(svg: str, name: str, label: str) -> Markup:
    """Turn an SVG document into an element of an HTML page.

    Parameters
    ----------
    svg : str
        A file that `schedlab.figures.draw` wrote.
    name : str
        Prefix that makes its ids unique in the page.
    label : str
        Text in place of the picture.
    """
    body = svg[svg.index("<svg") :]
    # The metadata has only links. The style sheet, `*{...}`, would apply to the whole page.
    for element in ("metadata", "style", "title"):
        body = re.sub(rf"<{element}\b.*?</{element}>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'\b(?:xlink:)?href="#', f'href="#{name}-', body)
    body = body.replace("url(#", f"url(#{name}-")
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    box = re.search(r'viewBox="([^"]+)"', body)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box[1] if box else "0 0 1 1"}"'
        f' role="img" aria-label="{escape(label)}">'
    )
    return Markup(re.sub(r"^<svg[^>]*>", lambda _: head, body))  # noqa: S704
