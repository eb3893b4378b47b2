"""The report in a real browser: no errors, visible figures, no sideways scrolling, no scripts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from test_report import make_report

from schedlab.figures import FIGURES, SEARCHES

pytestmark = pytest.mark.browser

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
# Elements that reach beyond the page, other than inside a container that scrolls by itself.
BEYOND = """
return [...document.querySelectorAll('body *')].filter(e =>
  e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
  && !e.closest('.scroll, pre, svg') && !e.closest('details:not([open]) > :not(summary)'))
  .map(e => e.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    return make_report(tmp_path_factory.mktemp("results"))


@contextmanager
def browser(profile: Path, width: int, *, dark: bool = False) -> Iterator[webdriver.Chrome]:
    assert CHROMIUM.exists(), "chromium is missing: scripts/setup --test installs it"
    assert DRIVER.exists(), "chromedriver is missing: scripts/setup --test installs it"
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        # A browser's window has a minimum width; an emulated screen has none.
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 780, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        yield driver
    finally:
        driver.quit()


def luminance(colour: str) -> float:
    """Rough luminance, 0 to 255, of a computed colour such as ``rgb(1, 2, 3)``."""
    red, green, blue = (float(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (360, False)])
def test_shows_without_errors_at_every_width(report, tmp_path, width, dark):
    with browser(tmp_path / "profile", width, dark=dark) as driver:
        driver.get(report.as_uri())
        assert driver.get_log("browser") == []
        sizes = driver.execute_script(
            "return [...document.querySelectorAll('figure svg')].map(e =>"
            " [e.getBoundingClientRect().width, e.getBoundingClientRect().height])"
        )
        assert len(sizes) == len([name for name in FIGURES if name != SEARCHES])
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


def test_text_of_figures_is_legible_on_a_phone(report, tmp_path):
    with browser(tmp_path / "profile", 360) as driver:
        driver.get(report.as_uri())
        heights = driver.execute_script(
            "return [...document.querySelectorAll('figure svg text')].map(e =>"
            " parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.clientWidth"
            " / e.ownerSVGElement.viewBox.baseVal.width)"
        )
        assert min(heights) > 6.5


@pytest.mark.parametrize("width", [1200, 360])
def test_labels_of_figures_do_not_overlap(report, tmp_path, width):
    with browser(tmp_path / "profile", width) as driver:
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


def test_works_with_javascript_disabled(report, tmp_path):
    with browser(tmp_path / "profile", 1200) as driver:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
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
