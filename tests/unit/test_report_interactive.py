"""The report's interactive part in a real browser, opened from a file, by mouse and by keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from browsing import BEYOND, WIDTHS, screen
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

# What a test copies is looked at here, in place of the machine's clipboard.
CLIPBOARD = """
window.copied = [];
Object.defineProperty(navigator, 'clipboard',
  {value: {writeText: async text => { window.copied.push(text); }}});
"""
SHOWN_ROWS = """
return [...document.querySelectorAll('#results .results tbody tr')]
  .filter(row => row.getClientRects().length).map(row => row.id);
"""


def opened(driver: webdriver.Chrome, report: Path) -> webdriver.Chrome:
    driver.get(report.as_uri())
    script = "return document.documentElement.dataset.interactive === 'yes'"
    WebDriverWait(driver, 60).until(lambda d: d.execute_script(script))
    driver.execute_script(CLIPBOARD)
    return driver


@pytest.fixture
def page(report: Path, chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    yield opened(screen(chromium, 1200), report)
    # Whatever the test did: nothing went wrong in the page.
    assert chromium.get_log("browser") == []


def text_of(driver: webdriver.Chrome, selector: str, place: int = 0) -> str:
    return driver.find_elements(By.CSS_SELECTOR, selector)[place].text


def values(report: Path, trial: str) -> dict[str, Any]:
    """Row of the trials table, read apart from the report."""
    import pyarrow.parquet as pq

    table = pq.read_table(report.parent / "tables" / "trials.parquet").to_pandas()
    found: dict[str, Any] = table.set_index("trial").loc[trial].to_dict()
    return found


def test_pointing_at_a_trial_tells_its_name_and_value(page, report):
    Select(page.find_element(By.ID, "explore-quantity")).select_by_visible_text("Makespan (s)")
    circles = page.find_elements(By.CSS_SELECTOR, "#explore circle")
    assert len(circles) == 23  # the invalid trial has no makespan
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", circles[5])
    ActionChains(page).move_to_element(circles[5]).perform()
    told = re.fullmatch(r"(\S+): makespan ([\d.]+) s", text_of(page, "#explore output"))
    assert told, text_of(page, "#explore output")
    assert float(told[2]) == pytest.approx(values(report, told[1])["makespan_s"], rel=1e-3)


def test_arrow_keys_go_from_trial_to_trial_and_the_button_copies_how_to_trace_it(page, report):
    field = page.find_element(By.CSS_SELECTOR, "#explore .plot")
    field.send_keys(Keys.ARROW_RIGHT)
    first = text_of(page, "#explore output")
    field.send_keys(Keys.ARROW_RIGHT)
    second = text_of(page, "#explore output")
    field.send_keys(Keys.ARROW_LEFT)
    assert first == text_of(page, "#explore output") != second
    page.find_element(By.XPATH, "//button[text()='Copy a citation']").click()
    (copied,) = page.execute_script("return window.copied")
    trial = first.split(":")[0]
    assert f"schedlab trace {trial}" in copied and values(report, trial)["lineage"] in copied


def test_a_filter_leaves_only_rows_and_trials_of_what_is_chosen(page):
    before = page.execute_script(SHOWN_ROWS)
    page.find_element(By.CSS_SELECTOR, "input[name=workload][value=gang]").click()
    assert page.execute_script(SHOWN_ROWS) == ["result-slurm-n1.gang", "result-slurm-n2.gang"]
    assert len(page.find_elements(By.CSS_SELECTOR, "#explore circle")) == 5
    options = [o.text for o in Select(page.find_element(By.ID, "explore-trial")).options]
    assert all(".gang." in option for option in options) and len(options) == 6
    assert "6 of 24 trials" in text_of(page, "#explore .status")
    page.find_element(By.CSS_SELECTOR, "input[name=workload][value=gang]").click()
    assert page.execute_script(SHOWN_ROWS) == before


def test_tables_sort_by_number_and_say_so(page):
    table = page.find_element(By.CSS_SELECTOR, "#results table.results")
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    place = next(i for i, head in enumerate(heads) if head.text.startswith("Makespan"))
    button = heads[place].find_element(By.CSS_SELECTOR, "button.sort")
    assert button.get_attribute("aria-label") == "Sort by Makespan s"
    for order, wanted in (("ascending", False), ("descending", True)):
        button.send_keys(Keys.ENTER)
        assert heads[place].get_attribute("aria-sort") == order
        assert button.text == ("▲" if order == "ascending" else "▼")
        cells = page.execute_script(
            "return [...document.querySelectorAll('#results .results tbody tr')]"
            ".map(row => row.cells[arguments[0]].querySelector('b').textContent)", place
        )  # fmt: skip
        numbers = [float(cell) for cell in cells]
        assert numbers == sorted(numbers, reverse=wanted) and len(set(numbers)) > 4


def test_a_number_of_the_main_table_is_copied_with_its_trace_command(page, report):
    cell = page.find_element(By.CSS_SELECTOR, "[data-cite='slurm-n1.burst/makespan']")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
    ActionChains(page).move_to_element(cell).perform()
    cell.find_element(By.CSS_SELECTOR, "button.cite").click()
    (copied,) = page.execute_script("return window.copied")
    estimate = cell.find_element(By.TAG_NAME, "b").text
    assert copied.startswith(f"slurm-n1.burst/makespan = {estimate} s [")
    assert "(schedlab trace slurm-n1.burst/makespan; lineage " in copied
    assert "Copied: " in text_of(page, "#explore .status")
    assert cell.find_element(By.CSS_SELECTOR, "button.cite").get_attribute("textContent") == "✓"


def test_the_buttons_for_citations_cover_no_text(page: webdriver.Chrome) -> None:
    covered = page.execute_script("""
      return [...document.querySelectorAll('td > button.cite')].filter(button => {
        const box = button.getBoundingClientRect(), range = document.createRange();
        return [...button.parentElement.childNodes].filter(node => node !== button).some(node => {
          range.selectNodeContents(node);
          return [...range.getClientRects()].some(text => text.width && text.left < box.right - 1
            && text.right > box.left && text.top < box.bottom - 2 && text.bottom > box.top + 2);
        });
      }).map(button => button.getAttribute('aria-label'));
    """)
    assert covered == []


def zoomed(driver: webdriver.Chrome) -> tuple[float, float]:
    plots = driver.find_elements(By.CSS_SELECTOR, "#explore .plot")[1]
    return float(plots.get_attribute("data-from")), float(plots.get_attribute("data-to"))


def test_the_time_line_zooms_by_keys_buttons_and_mouse_and_tells_of_a_job(page, report):
    Select(page.find_element(By.ID, "explore-trial")).select_by_value("slurm-n2.gang.1")
    plots = page.find_elements(By.CSS_SELECTOR, "#explore .plot")[1]
    whole = zoomed(page)
    # Jobs without an end run on to the edge, which is a little later than the last event.
    assert whole[0] == 0 and whole[1] == pytest.approx(
        1.02 * values(report, "slurm-n2.gang.1")["makespan_s"], abs=0.01
    )
    plots.send_keys("+")
    low, high = zoomed(page)
    assert high - low == pytest.approx((whole[1] - whole[0]) / 2)
    page.find_element(By.XPATH, "//button[text()='Later']").click()
    assert zoomed(page)[0] > low
    plots.send_keys("0")
    assert zoomed(page) == whole
    over = plots.find_element(By.CSS_SELECTOR, ".u-over")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", over)
    drag = ActionChains(page).move_to_element_with_offset(over, -100, 0).click_and_hold()
    drag.move_by_offset(150, 0).release().perform()
    low, high = zoomed(page)
    assert whole[0] < low < high < whole[1]
    ActionChains(page).move_to_element(over).double_click().perform()
    assert zoomed(page) == whole
    told = text_of(page, "#explore output", 1)
    assert re.match(r"slurm-n2\.gang\.1, job \d on \d nodes?: due at [\d.]+ s, waited", told), told


def test_arrow_keys_go_from_job_to_job_also_to_one_out_of_sight(page: webdriver.Chrome) -> None:
    Select(page.find_element(By.ID, "explore-trial")).select_by_value("slurm-n2.gang.1")
    plots = page.find_elements(By.CSS_SELECTOR, "#explore .plot")[1]
    whole = zoomed(page)
    told = []
    for _ in range(3):
        plots.send_keys(Keys.ARROW_DOWN)
        told.append(text_of(page, "#explore output", 1))
    assert len(set(told)) == 3 and all(", job " in text for text in told)
    plots.send_keys(Keys.ARROW_UP)
    assert text_of(page, "#explore output", 1) == told[1]
    assert zoomed(page) == whole
    plots.send_keys("++++")
    far = zoomed(page)
    plots.send_keys(*([Keys.ARROW_DOWN] * 9))
    assert zoomed(page) != far
    assert text_of(page, "#explore output", 1) != told[1]


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (360, False)])
def test_it_is_accessible_and_fits_the_page(report, chromium, width, dark):
    driver = screen(chromium, width, dark=dark)
    opened(driver, report)
    driver.set_script_timeout(600)
    # In the dark only colours differ.
    colours = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
    found = Axe().run(driver, options=colours if dark else None)
    assert found["passes"]
    assert [(fault["id"], fault["nodes"][0]["html"][:300]) for fault in found["violations"]] == []
    inner, outer = driver.execute_script(WIDTHS)
    assert inner <= outer
    assert driver.execute_script(BEYOND) == []
    assert driver.get_log("browser") == []


def test_without_scripts_nothing_of_it_is_seen(report, chromium):
    driver = screen(chromium, 1200, scripts=False)
    driver.get(report.as_uri())
    assert not driver.find_element(By.ID, "explore").is_displayed()
    assert driver.find_elements(By.TAG_NAME, "button") == []
    links = driver.find_elements(By.CSS_SELECTOR, "nav a[href='#explore']")
    assert [link.is_displayed() for link in links] == [False]


def test_it_is_not_printed(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not page.find_element(By.ID, "explore").is_displayed()
    assert not any(b.is_displayed() for b in page.find_elements(By.TAG_NAME, "button"))
    assert json.dumps(page.execute_script(SHOWN_ROWS)).count("result-") == 8
