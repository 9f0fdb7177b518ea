"""The page that app.py serves, in headless Chromium; skipped without Chromium or Gradio.

apt-get install -y chromium chromium-driver
python -m pip install -r requirements-app.txt
python -m pytest tests/test_app_browser.py -m slow
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from datasets.synthetic.faces import View
from datasets.video.decode import write_video
from datasets.video.planted import PlantedEvent, draw_planted
from tests.helpers.browser import chromium, requested
from tests.helpers.scripts import ROOT

pytestmark = pytest.mark.slow
pytest.importorskip("gradio", reason="needs requirements-app.txt")

PATIENCE = 120
EVENT = PlantedEvent("micro", ("1", "2"), 2, 1.0, 1.2, 1.4, 2.5, (1, 1, 1, 1))
# The server with a log of every address that it looks up or connects to.
WATCHED = """
import sys
log = open(sys.argv.pop(1), "a", buffering=1)
def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        print(event, arguments[1 if event == "socket.connect" else 0], file=log)
sys.addaudithook(note)
import app
from common.errors import run_script
run_script(app.main)
"""


@dataclass
class Server:
    """A server at work: where, its process, its temporary folder and its log of addresses."""

    url: str
    process: subprocess.Popen[str]
    folder: Path
    log: Path

    def files(self) -> list[Path]:
        """Every file in its temporary folder."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """app.py on a free port of this machine, with a limit of one megabyte."""
    folder = tmp_path_factory.mktemp("server")
    log = folder.parent / "addresses.txt"
    flags = ["--port", "0", "--max-megabytes", "1", "--flow", "dis"]
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED, str(log), *flags],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(folder)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", first)
    assert found, first
    yield Server(found[0], process, folder, log)
    process.kill()


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium with a camera that shows a test picture."""
    media = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    with chromium(*media) as opened:
        yield opened


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn face that moves once."""
    path = tmp_path_factory.mktemp("face") / "Gesicht ü.mp4"
    view = View(320, 240, 1.2)
    write_video(path, draw_planted([EVENT], 1.8, 30, 1, "test", view), synthetic=True)
    return path


def give(browser: webdriver.Chrome, server: Server, video: Path) -> None:
    """Open the page and upload a video."""
    browser.get(server.url)
    wait = WebDriverWait(browser, PATIENCE)
    wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, "input[type=file]"))
    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(video))


def wait_for(browser: webdriver.Chrome, selector: str) -> str:
    """The text of the first such element, once there is one."""
    wait = WebDriverWait(browser, PATIENCE)
    return wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, selector))[0].text


def text_of(browser: webdriver.Chrome) -> str:
    """All that can be read on the page."""
    return browser.find_element(By.TAG_NAME, "body").text


def press(browser: webdriver.Chrome, text: str) -> None:
    """Press the button that says this, or is called so."""
    place = f"//button[normalize-space()='{text}' or @aria-label='{text}']"
    wait = WebDriverWait(browser, PATIENCE)
    wait.until(lambda b: b.find_elements(By.XPATH, place))[0].click()


def assert_only_this_machine(browser: webdriver.Chrome, server: Server) -> None:
    hosts = {urlparse(url).hostname for url in requested(browser) if url.startswith("http")}
    assert hosts == {"127.0.0.1"}
    foreign = [
        line for line in server.log.read_text().splitlines()
        if not re.search(r"127\.0\.0\.1|'?localhost|::1|None", line)
    ]  # fmt: skip
    assert foreign == []


def test_an_uploaded_video_gives_the_page_and_is_deleted(
    browser: webdriver.Chrome, server: Server, face: Path
) -> None:
    give(browser, server, face)
    wait_for(browser, "iframe[title=Result]")
    assert server.files() == []
    links = browser.find_elements(By.CSS_SELECTOR, "a[download]")
    assert [link.get_attribute("download") for link in links] == [f"{face.stem}.html", "events.csv"]
    browser.switch_to.frame(browser.find_element(By.CSS_SELECTOR, "iframe[title=Result]"))
    assert wait_for(browser, "h1") == f"SYNTHETIC: Movements in {face.stem}"
    widths = [
        browser.execute_script("return arguments[0].naturalWidth", p)
        for p in browser.find_elements(By.TAG_NAME, "img")
    ]
    assert len(widths) == 8
    assert min(widths) > 0
    browser.switch_to.default_content()
    messages = [entry["message"] for entry in browser.get_log("browser")]
    assert [text for text in messages if "Security Policy" in text or "Error" in text] == []
    assert_only_this_machine(browser, server)


def test_a_video_without_a_face_is_refused_in_words(
    browser: webdriver.Chrome, server: Server, tmp_path: Path
) -> None:
    grey = np.full((120, 160), 120, np.uint8)
    write_video(tmp_path / "wall.mp4", ((n / 30, grey) for n in range(30)))
    give(browser, server, tmp_path / "wall.mp4")
    assert wait_for(browser, "[role=alert] strong").startswith("wall.mp4: no face is found.")
    assert browser.find_elements(By.CSS_SELECTOR, "iframe[title=Result]") == []
    assert server.files() == []
    assert_only_this_machine(browser, server)


def test_a_recorded_video_is_analysed(browser: webdriver.Chrome, server: Server) -> None:
    browser.get(server.url)
    for button in ("Capture from camera", "Click to Access Webcam", "Record"):
        press(browser, button)
    time.sleep(2)
    press(browser, "Stop")
    # The camera of Chromium's own shows no face.
    assert "no face is found" in wait_for(browser, "[role=alert] strong")
    assert server.files() == []
    assert_only_this_machine(browser, server)


def test_a_file_above_the_limit_is_refused(
    browser: webdriver.Chrome, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "large.mp4").write_bytes(bytes(2 * 2**20))
    give(browser, server, tmp_path / "large.mp4")
    wait = WebDriverWait(browser, PATIENCE)
    wait.until(lambda b: "exceed the maximum allowed size of 1.0 Mb" in text_of(b))
    assert server.files() == []


def test_the_same_file_of_two_users_is_analysed_for_both_in_turn(
    browser: webdriver.Chrome, server: Server, face: Path
) -> None:
    with chromium() as second:
        second.get(server.url)
        give(browser, server, face)
        give(second, server, face)
        seen: set[str] = set()

        def both_done(_: object) -> bool:
            seen.update(re.findall(r"queue: \d+/\d+|\d+/\d+ frames", text_of(second)))
            done = [
                b.find_elements(By.CSS_SELECTOR, "iframe[title=Result]") for b in (browser, second)
            ]
            return all(done)

        WebDriverWait(browser, PATIENCE, poll_frequency=0.1).until(both_done)
    assert any(text.startswith("queue: ") for text in seen), seen
    assert server.files() == []


def test_when_the_server_ends_its_folder_is_gone(server: Server) -> None:
    assert list(server.folder.iterdir())
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert list(server.folder.iterdir()) == []
