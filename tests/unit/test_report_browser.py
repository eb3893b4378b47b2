"""The report in a real browser: no errors, visible figures, no sideways scrolling, no scripts."""

from __future__ import annotations

import pytest
from browsing import BEYOND, WIDTHS, screen

from schedlab.figures import FIGURES, LEVELS, SEARCHES, TASK_SETS

pytestmark = pytest.mark.browser


def luminance(colour: str) -> float:
    """Rough luminance, 0 to 255, of a computed colour such as ``rgb(1, 2, 3)``."""
    red, green, blue = (float(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (360, False)])
def test_shows_without_errors_at_every_width(report, chromium, width, dark):
    driver = screen(chromium, width, dark=dark)
    driver.get(report.as_uri())
    assert driver.get_log("browser") == []
    sizes = driver.execute_script(
        "return [...document.querySelectorAll('figure svg')].map(e =>"
        " [e.getBoundingClientRect().width, e.getBoundingClientRect().height])"
    )
    apart = (LEVELS, SEARCHES, TASK_SETS)
    assert len(sizes) == len([name for name in FIGURES if name not in apart])
    assert all(w > min(width - 60, 500) and 100 < h < 2500 for w, h in sizes), sizes
    for opened in (False, True):
        driver.execute_script(
            "document.querySelectorAll('details').forEach(e => e.open = arguments[0])", opened
        )
        inner, outer = driver.execute_script(WIDTHS)
        # A scroll bar takes a part of the width.
        assert inner <= outer and width - 20 <= outer <= width
        assert driver.execute_script(BEYOND) == []
    # Text of figures follows the page's colours.
    page, ink, picture = driver.execute_script(
        "const of = (e, k) => getComputedStyle(document.querySelector(e))[k];"
        "return [of('body', 'backgroundColor'), of('body', 'color'), of('svg text', 'fill')]"
    )
    assert (luminance(page) < 60) == dark
    assert abs(luminance(ink) - luminance(page)) > 120
    assert abs(luminance(picture) - luminance(page)) > 120
    assert driver.get_log("browser") == []


def test_text_of_figures_is_legible_on_a_phone(report, chromium):
    driver = screen(chromium, 360)
    driver.get(report.as_uri())
    heights = driver.execute_script(
        "return [...document.querySelectorAll('figure svg text')].map(e =>"
        " parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.clientWidth"
        " / e.ownerSVGElement.viewBox.baseVal.width)"
    )
    assert min(heights) > 6.5


@pytest.mark.parametrize("width", [1200, 360])
def test_labels_of_figures_do_not_overlap(report, chromium, width):
    driver = screen(chromium, width)
    driver.get(report.as_uri())
    overlaps = driver.execute_script(
        """
        const found = [];
        for (const svg of document.querySelectorAll('figure svg')) {
          const frame = svg.getBoundingClientRect();
          const texts = [...svg.querySelectorAll('text')].map(e =>
            [e.textContent, e.getBoundingClientRect()]);
          texts.forEach(([a, p], i) => {
            if (p.left < frame.left - 1 || p.right > frame.right + 1
                || p.top < frame.top - 1 || p.bottom > frame.bottom + 1) found.push([a, 'cut']);
            texts.slice(i + 1).forEach(([b, q]) => {
              const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
              const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
              if (x > 1 && y > 0.25 * Math.min(p.height, q.height)) found.push([a, b]);
            });
          });
        }
        return found;
        """
    )
    assert overlaps == []


def test_works_with_javascript_disabled(report, chromium):
    driver = screen(chromium, 1200, scripts=False)
    driver.get(report.as_uri())
    closed = next(
        found for found in driver.find_elements("css selector", ".cluster details")
        if "SelectType=select/cons_tres" in found.get_attribute("textContent")
    )  # fmt: skip
    assert closed.get_attribute("open") is None
    closed.find_element("css selector", "summary").click()
    assert closed.get_attribute("open") is not None
    assert "SelectType=select/cons_tres" in closed.text
    assert driver.find_element("css selector", "figure svg").size["height"] > 100
    assert driver.get_log("browser") == []
