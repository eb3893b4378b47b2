"""A headless Chromium, and what is asked of each page that it shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.actions.action_builder import ActionBuilder

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


@contextmanager
def browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """Chromium with a profile of its own; it ends with the block."""
    assert CHROMIUM.exists(), "chromium is missing: scripts/setup --test installs it"
    assert DRIVER.exists(), "chromedriver is missing: scripts/setup --test installs it"
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def screen(
    driver: webdriver.Chrome, width: int, *, dark: bool = False, scripts: bool = True
) -> webdriver.Chrome:
    """Let the browser be as one that was just started on such a screen, without a page."""
    ActionBuilder(driver).clear_actions()
    driver.get("about:blank")
    # A browser's window has a minimum width; an emulated screen has none.
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 780, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [scheme]})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    driver.get_log("browser")  # messages of the page before
    return driver
