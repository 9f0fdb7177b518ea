"""What app.py does without a browser: uploads are taken and deleted, bad settings are one line."""

import os
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import app
from common.errors import UserError
from datasets.video.decode import write_video
from tests.helpers.scripts import run_main
from training.movement_reader import Reader
from training.video import VideoSettings

pytest.importorskip("av", reason="needs requirements-video.txt")
pytest.importorskip("dlib", reason="needs requirements-faces.txt")


@pytest.fixture
def desk(tmp_path: Path) -> app.Desk:
    """A desk with the folder of uploads."""
    (tmp_path / "uploads" / "hash").mkdir(parents=True)
    return app.Desk(tmp_path, VideoSettings(), Reader())


def files(desk: app.Desk) -> list[Path]:
    return [path for path in desk.folder.rglob("*") if path.is_file()]


def no_progress(*_: object, **__: object) -> None:
    """Shows nothing."""


def test_a_video_waits_for_its_session_and_is_deleted(desk: app.Desk) -> None:
    upload = desk.uploads / "hash" / "<wall>.mp4"
    write_video(upload, ((n / 30, np.full((48, 64), 99, np.uint8)) for n in range(9)))
    desk.take(upload, "one")
    assert not upload.exists()
    assert desk.analyse("another", no_progress) == ""
    assert len(files(desk)) == 1
    answer = desk.analyse("one", no_progress)
    assert answer.startswith('<p role="alert"><strong>&lt;wall&gt;.mp4: no face is found.')
    assert files(desk) == []
    assert desk.analyse("one", no_progress) == ""


def test_an_error_names_no_folder_of_the_server(desk: app.Desk) -> None:
    (desk.uploads / "hash" / "text.mp4").write_text("no video")
    desk.take(desk.uploads / "hash" / "text.mp4", "one")
    answer = desk.analyse("one", no_progress)
    assert "text.mp4 cannot be read as a video" in answer
    assert str(desk.folder) not in answer


def test_only_uploads_are_taken(desk: app.Desk, tmp_path: Path) -> None:
    (tmp_path / "private.mp4").write_bytes(b"")
    (desk.uploads / "link.mp4").symlink_to(tmp_path / "private.mp4")
    for path in ("private.mp4", "uploads/../private.mp4", "uploads/link.mp4"):
        with pytest.raises(UserError, match="only uploads"):
            desk.take(tmp_path / path, "one")
    with pytest.raises(UserError, match="gone"):
        desk.take(desk.uploads / "hash" / "gone.mp4", "one")
    assert (tmp_path / "private.mp4").is_file()


def test_what_a_user_leaves_behind_is_deleted(desk: app.Desk) -> None:
    old, new, waiting = (desk.uploads / "hash" / name for name in ("old", "new", "waiting"))
    for path in (old, new, waiting):
        path.write_bytes(b"x")
    long_ago = time.time() - 2 * app.FORGOTTEN_SECONDS
    os.utime(old, (long_ago, long_ago))
    desk.take(waiting, "one")
    assert not old.exists()
    assert new.exists()
    desk.forget("one")
    desk.forget("nobody")
    assert files(desk) == [new]


def test_bad_settings_end_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        cases = {
            f"port {port}: Address already in use. Give another --port": ["--port", port],
            "--port 70000: give a whole number from 0 to 65535": ["--port", "70000"],
            "nothing can be served at no host.invalid": ["--host", "no host.invalid"],
        }
        for reason, flags in cases.items():
            error = run_main(app.main, flags, refused=True)
            assert reason in error, error
            assert error.count("\n") == 1
    monkeypatch.setitem(sys.modules, "gradio", None)
    error = run_main(app.main, ["--port", "0"], refused=True)
    assert "needs Gradio. Install it: python -m pip install -r requirements-app.txt" in error
