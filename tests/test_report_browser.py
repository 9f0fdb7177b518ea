"""The report page in a real browser: headless Chromium from Debian, driven through Selenium.

    apt-get install -y chromium chromium-driver
    python -m pytest tests/test_report_browser.py -m slow

Skipped where there is no Chromium.
"""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

import make_report
from tests.helpers.browser import chromium, requested
from tests.helpers.made_up_rows import rows_of_subjects, write_folder, write_methods
from tests.helpers.report_pages import report, write_results, write_robustness
from tests.helpers.scripts import run_here

pytestmark = pytest.mark.slow
PHONE_WIDTH, DESKTOP_WIDTH = 360, 1200
HOSTILE = '<script>hacked=1</script><img src="http://example.invalid/x" onerror="hacked=1">'
CAPTION = "Pooled metrics with 95 % intervals, by dataset and epoch rule"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every kind of block and a subject whose name is a script."""
    folder = tmp_path_factory.mktemp("results")
    write_results(folder, {("casme2", HOSTILE): [(0, 0)], ("samm", "006"): [(1, 1), (2, 0)]})
    write_robustness(folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        return report(monkeypatch, folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium without a window."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def opened(browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The page at desktop width, with the logs of earlier tests read away."""
    set_width(browser, DESKTOP_WIDTH)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.as_uri())
    return browser


@pytest.fixture(scope="module", params=["comparison", "disagreements"])
def several(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path
) -> Path:
    """A page of several runs: their comparison, or the clips that all of them get wrong."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "comparison":
        written = write_methods(folder, ("casme2", "smic"))
        folders = [path for name, path in written.items() if not name.endswith("oracle")]
        flags: list[object] = []
    else:
        rows = rows_of_subjects({("casme2", "sub01"): [(0, 1), (1, 1), (2, 0)]})
        names = rows["clip"].str.replace("clip", "sub01_ep")
        folders = [write_folder(folder / HOSTILE.replace("/", "_"), rows.assign(clip=names))]
        flags = ["--disagreements", "--inputs", tiny_folder]
    with pytest.MonkeyPatch.context() as monkeypatch:
        out = ("--out", folder / "page")
        assert run_here(monkeypatch, make_report.main, *folders, *flags, *out) == 0
    return folder / "page" / "report.html"


def set_width(browser: webdriver.Chrome, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 800}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def test_it_renders_without_an_error_or_a_request(opened: webdriver.Chrome, page: Path) -> None:
    images = opened.find_elements(By.TAG_NAME, "img")
    assert len(images) >= 4
    loaded = "return arguments[0].complete && arguments[0].naturalWidth > 100"
    assert all(opened.execute_script(loaded, image) for image in images)
    assert opened.get_log("browser") == []
    assert {url for url in requested(opened) if not url.startswith("data:")} == {page.as_uri()}


def test_a_name_that_is_a_script_does_not_run(opened: webdriver.Chrome) -> None:
    assert HOSTILE in opened.execute_script("return document.body.textContent")
    assert opened.execute_script("return typeof hacked") == "undefined"
    # Should a name ever get through unescaped, the page's own policy still keeps it from running.
    opened.execute_script(
        "const s = document.createElement('script'); s.textContent = 'hacked = 1';"
        "document.body.append(s);"
    )
    assert opened.execute_script("return typeof hacked") == "undefined"


def figure_table(browser: webdriver.Chrome) -> WebElement:
    tables = browser.find_elements(By.TAG_NAME, "table")
    return next(t for t in tables if t.find_element(By.TAG_NAME, "caption").text == CAPTION)


def column(table: WebElement, place: int) -> list[str]:
    cells = table.find_elements(By.CSS_SELECTOR, f"tbody tr > :nth-child({place})")
    return [cell.text.split()[0] for cell in cells]


def test_a_click_sorts_by_value_and_another_one_backwards(opened: webdriver.Chrome) -> None:
    table = figure_table(opened)
    head = table.find_elements(By.CSS_SELECTOR, "thead th")[3]
    before = [float(value) for value in column(table, 4)]
    head.find_element(By.TAG_NAME, "button").click()
    assert [float(value) for value in column(table, 4)] == sorted(before) != before
    assert head.get_attribute("aria-sort") == "ascending"
    head.find_element(By.TAG_NAME, "button").click()
    assert [float(value) for value in column(table, 4)] == sorted(before, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"


def test_the_keyboard_sorts_and_only_one_column_says_so(opened: webdriver.Chrome) -> None:
    table = figure_table(opened)
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    buttons = table.find_elements(By.CSS_SELECTOR, "thead button")
    opened.execute_script("arguments[0].focus()", buttons[0])
    buttons[0].send_keys(Keys.ENTER)
    assert column(table, 1) == sorted(column(table, 1), key=str.lower)
    buttons[0].send_keys(Keys.TAB)
    assert opened.switch_to.active_element == buttons[1]
    buttons[1].send_keys(Keys.SPACE)
    assert [head.get_attribute("aria-sort") for head in heads[:2]] == [None, "ascending"]


def test_a_dash_stays_below_the_numbers(opened: webdriver.Chrome) -> None:
    tables = opened.find_elements(By.TAG_NAME, "table")
    table = next(t for t in tables if "noise seeds" in t.find_element(By.TAG_NAME, "caption").text)
    levels = ["0", "0", "0.1", "0.1", "0.3", "0.3"]
    button = table.find_elements(By.CSS_SELECTOR, "thead button")[3]
    for expected in (levels, levels[::-1]):
        button.click()
        assert column(table, 4) == [*expected, "–", "–"]


def test_a_phone_shows_it_without_scrolling_sideways(opened: webdriver.Chrome) -> None:
    set_width(opened, PHONE_WIDTH)
    for details in opened.find_elements(By.TAG_NAME, "details"):
        opened.execute_script("arguments[0].open = true", details)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= PHONE_WIDTH
    widths = [image.size["width"] for image in opened.find_elements(By.TAG_NAME, "img")]
    assert all(300 <= width <= PHONE_WIDTH for width in widths)
    size = "return Math.min(...[...document.querySelectorAll('td, th, p')].map("
    size += "e => parseFloat(getComputedStyle(e).fontSize)))"
    assert opened.execute_script(size) >= 12


def test_it_prints(opened: webdriver.Chrome) -> None:
    printed = base64.b64decode(opened.print_page())
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not opened.find_element(By.TAG_NAME, "nav").is_displayed()
    assert opened.find_element(By.TAG_NAME, "h1").is_displayed()
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_page_of_several_runs_renders_and_fits_a_phone(
    browser: webdriver.Chrome, several: Path
) -> None:
    for log in ("browser", "performance"):
        browser.get_log(log)
    set_width(browser, PHONE_WIDTH)
    browser.get(several.as_uri())
    images = browser.find_elements(By.TAG_NAME, "img")
    loaded = "return arguments[0].complete && arguments[0].naturalWidth > 100"
    assert len(images) >= 2 and all(browser.execute_script(loaded, image) for image in images)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE_WIDTH
    assert browser.execute_script("return typeof hacked") == "undefined"
    table = browser.find_element(By.TAG_NAME, "table")
    table.find_element(By.CSS_SELECTOR, "thead button").click()
    assert table.find_element(By.CSS_SELECTOR, "thead th").get_attribute("aria-sort") == "ascending"
