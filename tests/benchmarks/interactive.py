"""Size of the report of 120,000 jobs, and how long a browser takes for its interactive part.

    .venv/bin/python tests/benchmarks/interactive.py [--jobs 120000] [--keep FOLDER]

The tables are of SYNTHETIC trials (`tests/unit/trial_factory.py`): two workloads of three variants
on one and two nodes, one repetition each, because the time line draws the first one of each cell.
The report is opened from its file in headless Chromium without a network, and everything that it
offers is used by mouse and keyboard: values of trials, filters, time line with zoom, sorting and
copying. Prints processor seconds of each figure and of the report, its size and where the size
comes from, wall-clock seconds of each step in the browser, and the targets: at most 15 MB, nothing
in the console, and no trial without its time line.
Exit status 0: met, 1: missed, 2: no browser.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait
from targets import ROOT, Target, give_up, judge

sys.path.insert(0, str(ROOT / "tests" / "unit"))

import bundle_factory  # noqa: E402
from browsing import CHROMIUM, DRIVER, browser, screen  # noqa: E402
from trial_factory import make_experiment  # noqa: E402

from schedlab.config import Experiment  # noqa: E402
from schedlab.figures import FIGURES  # noqa: E402
from schedlab.stages.context import Context  # noqa: E402
from schedlab.stages.figure import draw_figure  # noqa: E402
from schedlab.stages.report import write_report  # noqa: E402
from schedlab.stages.tables import write_tables  # noqa: E402

TARGETS = {
    "report_mb": Target(15, most=True),
    "console_messages": Target(0, most=True),
    "trials_without_time_line": Target(0, most=True),
}
TRIALS = 12
READY = "return document.documentElement.dataset.interactive === 'yes'"
# One frame is drawn after what was asked for.
DRAWN = "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done, 0));"


def sweep(jobs: int) -> Experiment:
    """Experiment with so many jobs in all its trials together."""
    each: dict[str, Any] = {"jobs": jobs // TRIALS}
    return make_experiment(
        repetitions=1,
        schedulers=[{"name": name, "scheduler": "slurm"} for name in ("slurm", "other", "third")],
        workloads=[
            {"name": "burst", "kind": "burst", "runtime": 0} | each,
            {"name": "poisson", "kind": "poisson", "rate": 2.0, "runtime": 0.5} | each,
        ],
    )


def timed(what: str, step: Callable[[], object], clock: Callable[[], float]) -> None:
    """Do a step and print what it took."""
    before = clock()
    step()
    print(f"{what:28}{clock() - before:7.2f} s", flush=True)


def build(results: Path, experiment: Experiment) -> Path:
    """Tables, figures and report; prints processor seconds."""
    context, report = Context(experiment, results), results / "report.html"
    bundle_factory.make_stages(results, experiment)
    bundle_factory.add_trials(results, experiment)
    timed("tables", lambda: write_tables(context), time.process_time)
    for name in FIGURES:
        timed(f"figure {name}", lambda name=name: draw_figure(results, name), time.process_time)  # type: ignore[misc]
    timed("report", lambda: write_report(context, report), time.process_time)
    return report


def parts(report: Path) -> None:
    """Print what the size of the report consists of."""
    text = report.read_text(encoding="utf-8")
    sizes = {
        "figures": sum(len(svg.encode()) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)),
        "data and scripts": sum(
            len(script.encode()) for script in re.findall(r"<script.*?</script>", text, re.DOTALL)
        ),
    }
    sizes["text"] = len(text.encode()) - sum(sizes.values())
    for name, size in sizes.items():
        print(f"{name:28}{size / 1e6:7.2f} MB")


def drive(driver: webdriver.Chrome, report: Path) -> dict[str, float]:
    """Use every element; prints wall-clock seconds until each is drawn."""

    def step(what: str, act: Callable[[], object]) -> None:
        def both() -> None:
            act()
            driver.execute_async_script(DRAWN)

        timed(what, both, time.monotonic)

    def opened() -> None:
        driver.get(report.as_uri())
        WebDriverWait(driver, 300).until(lambda d: d.execute_script(READY))

    driver.set_script_timeout(300)
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    step("browser: open", opened)
    values, lines = driver.find_elements(By.CSS_SELECTOR, "#explore .plot")
    quantity = Select(driver.find_element(By.ID, "explore-quantity"))
    step("choose a quantity", lambda: quantity.select_by_visible_text("Makespan (s)"))
    step("next trial by key", lambda: values.send_keys(Keys.ARROW_RIGHT))
    chosen = Select(driver.find_element(By.ID, "explore-trial"))
    offered = [option.text for option in chosen.options]
    step("choose a trial", lambda: chosen.select_by_value(offered[-1]))
    over = lines.find_element(By.CSS_SELECTOR, ".u-over")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", over)
    drag = ActionChains(driver).move_to_element_with_offset(over, -100, 0).click_and_hold()
    step("zoom by mouse", drag.move_by_offset(150, 0).release().perform)
    low, high = (float(str(lines.get_attribute(f"data-{end}"))) for end in ("from", "to"))
    for key in ("+", Keys.ARROW_RIGHT, "-", "0"):
        step("time line by key", lambda key=key: lines.send_keys(key))  # type: ignore[misc]
    assert 0 < low < high < float(str(lines.get_attribute("data-to"))), "the zoom had no effect"
    box = driver.find_element(By.CSS_SELECTOR, "input[name=workload][value=poisson]")
    step("filter", box.click)
    assert len(chosen.options) == TRIALS // 2, "the filter had no effect"
    step("no filter", box.click)
    sort = driver.find_element(By.CSS_SELECTOR, "#results button.sort")
    step("sort a table by key", lambda: sort.send_keys(Keys.ENTER))
    step("copy a citation", lambda: driver.execute_script(
        "document.querySelector('button.cite').click()"))  # fmt: skip
    said = driver.find_element(By.CSS_SELECTOR, "#explore .status").text
    assert said.startswith("Copied: "), said
    messages = driver.get_log("browser")
    for message in messages:
        print(message)
    return {
        "console_messages": len(messages),
        "trials_without_time_line": TRIALS - len(offered),
    }


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=120_000)
    parser.add_argument("--keep", type=Path, help="an empty folder, which is left with the report")
    options = parser.parse_args()
    if not (CHROMIUM.exists() and DRIVER.exists()):
        give_up("chromium or chromedriver is missing: scripts/setup --test installs them")
    with tempfile.TemporaryDirectory() as folder:
        results = options.keep or Path(folder) / "results"
        results.mkdir(exist_ok=True)
        report = build(results, sweep(options.jobs))
        parts(report)
        with browser(Path(folder) / "profile") as driver:
            screen(driver, 1200)
            measured = drive(driver, report)
            if options.keep:
                driver.save_screenshot(str(results / "screen.png"))
    measured["report_mb"] = report.stat().st_size / 1e6
    return judge(measured, TARGETS)


if __name__ == "__main__":
    sys.exit(main())
