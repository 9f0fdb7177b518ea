"""Headless Chromium from Debian, driven through Selenium."""

import json
import shutil

import pytest
from selenium import webdriver

INSTALL = "needs Chromium: apt-get install -y chromium chromium-driver"


def chromium(*arguments: str) -> webdriver.Chrome:
    """A browser without a window that logs what it asks for; the test is skipped without one."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip(INSTALL)
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(driver))


def requested(browser: webdriver.Chrome) -> list[str]:
    """The addresses that the browser has asked for since it was last asked."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
