"""Reading videos: true times, rotation, folders, and one line for each kind of bad file."""

import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from common.errors import UserError
from datasets.video import decode
from datasets.video.decode import open_video, record_camera, write_video

av = pytest.importorskip("av", reason="needs requirements-video.txt")


def frames(count: int = 12, rate: float = 30, shape: tuple[int, int] = (64, 96)) -> list[Any]:
    """Times and grey frames with a bright top left corner."""
    picture = np.full(shape, 60, np.uint8)
    picture[: shape[0] // 3, : shape[1] // 3] = 200
    return [(number / rate, picture) for number in range(count)]


def test_frames_come_with_their_own_times(tmp_path: Path) -> None:
    times = [0.0, 0.03, 0.07, 0.15, 0.17, 0.3]
    write_video(tmp_path / "v.mp4", ((t, frames()[0][1]) for t in times))
    read = list(open_video(tmp_path / "v.mp4").frames())
    assert [frame.seconds for frame in read] == pytest.approx(times, abs=1e-3)
    assert [frame.number for frame in read] == list(range(6))
    assert np.abs(read[0].grey.astype(int) - frames()[0][1]).mean() < 3


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    clouds = [cv2.resize(p, (320, 240)) for p in rng.integers(0, 255, (30, 24, 32), np.uint8)]
    for name in ("a.mp4", "b.mp4"):
        pairs = ((n / 30, cloud.astype(np.uint8)) for n, cloud in enumerate(clouds))
        write_video(tmp_path / name, pairs, synthetic=True)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert open_video(tmp_path / "a.mp4").synthetic


def test_a_phones_rotation_flag_is_respected(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", frames())
    content = bytearray((tmp_path / "v.mp4").read_bytes())
    matrix = content.find(b"tkhd") + 4 + 4 + 20 + 8 + 8
    # A quarter turn clockwise.
    turn = (0, 1 << 16, 0, -(1 << 16), 0, 0, 64 << 16, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", *turn)
    (tmp_path / "turned.mp4").write_bytes(content)
    video = open_video(tmp_path / "turned.mp4")
    grey = next(video.frames()).grey
    assert grey.shape == (96, 64)
    assert grey[:10, -10:].mean() > 180 > 100 > grey[:10, :10].mean()
    assert next(video.pictures()).shape == (96, 64, 3)


def test_large_pictures_are_scaled_down(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", frames(2, shape=(1080, 1920)))
    assert next(open_video(tmp_path / "v.mp4").frames()).grey.shape == (720, 1280)


def test_a_folder_of_frames_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 2):
        cv2.imwrite(str(tmp_path / f"img{number}.png"), np.full((20, 30), 10 * number, np.uint8))
    read = list(open_video(tmp_path, 50).frames())
    assert [int(frame.grey[0, 0]) for frame in read] == [20, 90, 100]
    assert [frame.seconds for frame in read] == pytest.approx([0, 0.02, 0.04])
    with pytest.raises(UserError, match="give --frame-rate"):
        open_video(tmp_path)


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), "fltp", "stereo")
        sound.sample_rate, sound.pts, sound.time_base = 44100, 0, Fraction(1, 44100)
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))


def test_bad_files_are_refused_in_one_line(tmp_path: Path) -> None:
    sound_only(tmp_path / "sound.mp4")
    cv2.imwrite(str(tmp_path / "picture.png"), frames()[0][1])
    write_video(tmp_path / "one.mp4", frames(1))
    write_video(tmp_path / "black.mp4", [(t, np.zeros_like(p)) for t, p in frames()])
    write_video(tmp_path / "whole.mp4", frames(60))
    content = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    reasons = {
        "sound.mp4": "holds only sound",
        "picture.png": "is a picture",
        "one.mp4": "holds one frame",
        "black.mp4": "is black from beginning to end",
        "cut.mp4": "truncated",
        "text.mp4": "cannot be read as a video",
        "empty": "holds no frames",
        "absent.mp4": "is not there",
    }
    for name, reason in reasons.items():
        with pytest.raises(UserError, match=reason) as error:
            list(open_video(tmp_path / name).frames())
        assert "\n" not in str(error.value)


def test_a_file_that_names_other_files_is_not_followed(tmp_path: Path) -> None:
    write_video(tmp_path / "private.mp4", frames())
    texts = {
        "concat.mp4": "ffconcat version 1.0\nfile 'private.mp4'\n",
        "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nprivate.mp4\n#EXT-X-ENDLIST\n",
        "words.txt": "hello" * 1000,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match="cannot be read as a video"):
            open_video(tmp_path / name)
    write_video(tmp_path / "concat:a.mp4", frames())
    assert len(list(open_video(tmp_path / "concat:a.mp4").frames())) == 12


def test_a_huge_picture_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "v.mp4", frames())
    monkeypatch.setattr(decode, "MOST_PIXELS", 64 * 96 - 1)
    with pytest.raises(UserError, match="96 x 64 pixels: too large"):
        open_video(tmp_path / "v.mp4")


def test_a_file_that_breaks_off_is_analysed_with_a_warning(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    with av.open(str(tmp_path / "v.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(60):
            noise = rng.integers(0, 255, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
        container.mux(stream.encode(None))
    content = (tmp_path / "v.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    video = open_video(tmp_path / "cut.mkv")
    count = sum(1 for _ in video.frames())
    assert 20 < count < 40
    assert any("damaged or truncated" in warning for warning in video.warnings)


def test_slow_and_partly_black_videos_are_warned_of(tmp_path: Path) -> None:
    pictures = [(t, p if n > 2 else np.zeros_like(p)) for n, (t, p) in enumerate(frames(rate=5))]
    write_video(tmp_path / "v.mp4", pictures)
    video = open_video(tmp_path / "v.mp4")
    list(video.frames())
    assert video.warnings[0] == "3 of 12 frames are black."
    assert video.warnings[1].startswith("5 frames a second are too slow for micro-expressions")
    write_video(tmp_path / "fast.mp4", frames(rate=25))
    fast = open_video(tmp_path / "fast.mp4")
    list(fast.frames())
    assert fast.warnings == []


class FakeCamera:
    """A camera that is there, or not."""

    def __init__(self, number: int) -> None:
        self.number = number

    def isOpened(self) -> bool:
        return self.number < 2

    def read(self) -> tuple[bool, Any]:
        return self.number == 0, np.full((48, 65, 3), 90, np.uint8)

    def release(self) -> None:
        """Nothing to give back."""


def test_a_camera_is_recorded_with_its_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(np.arange(0, 10, 0.05))
    monkeypatch.setattr(decode.time, "monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr(decode.cv2, "VideoCapture", FakeCamera)
    record_camera(0, tmp_path / "c.mp4", 0.5)
    read = list(open_video(tmp_path / "c.mp4").frames())
    assert read[1].seconds == pytest.approx(0.05)
    assert read[0].grey.shape == (48, 64)
    with pytest.raises(UserError, match="gives no picture"):
        record_camera(1, tmp_path / "d.mp4", 1)
    with pytest.raises(UserError, match="no camera 7"):
        record_camera(7, tmp_path / "d.mp4", 1)
    assert not (tmp_path / "d.mp4").exists()


def test_without_pyav_the_install_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "v.mp4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install -r requirements-video\.txt"):
        open_video(tmp_path / "v.mp4")
