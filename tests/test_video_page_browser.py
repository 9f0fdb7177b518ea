"""The page of a video in headless Chromium; skipped where there is none (see test_report_browser).

python -m pytest tests/test_video_page_browser.py -m slow
"""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from datasets.synthetic.faces import View
from datasets.video.analysis import analyse
from datasets.video.decode import open_video, write_video
from datasets.video.page import render_page
from datasets.video.planted import PlantedEvent, draw_planted
from tests.helpers.browser import chromium, requested

pytestmark = pytest.mark.slow
EVENT = PlantedEvent("micro", ("1", "2"), 2, 1.0, 1.2, 1.4, 2.5, (1, 1, 1, 1))


def test_the_page_asks_no_host_fits_a_phone_and_shows_its_pictures(tmp_path: Path) -> None:
    view = View(320, 240, 1.2)
    write_video(tmp_path / "v.mp4", draw_planted([EVENT], 1.8, 30, 1, "test", view), synthetic=True)
    video = open_video(tmp_path / "v.mp4")
    page = tmp_path / "v.html"
    page.write_text(render_page("v", video, analyse(video, flow="dis"), None), encoding="utf-8")
    with chromium() as browser:
        screen = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get(page.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
        pictures = browser.find_elements(By.TAG_NAME, "img")
        assert len(pictures) == 7
        widths = [browser.execute_script("return arguments[0].naturalWidth", p) for p in pictures]
        assert min(widths) > 0
        assert [entry["message"] for entry in browser.get_log("browser")] == []
        assert {url.split(":")[0] for url in requested(browser)} <= {"file", "data"}
