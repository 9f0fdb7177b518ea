"""Pictures of built inputs: what they show, when they are drawn again, the script for one clip."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import build_inputs
from datasets.pictures import folder as input_pictures
from datasets.pictures.clip import (
    ClipPicture,
    draw_animation,
    draw_contact_sheet,
    read_made_from,
)
from tests.helpers.raw_fixtures import CASME2_HEADER, casme2_row, write_drawn_casme2, write_sheet
from tests.helpers.scripts import run_main

RED_RIGHT, CYAN_LEFT = (255, 0, 0), (0, 255, 255)


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def flow_patch(u: float) -> np.ndarray:
    """Motion to the right (or left) in the middle ninth, none elsewhere."""
    flow = np.zeros((96, 96, 2), np.float32)
    flow[32:64, 32:64, 0] = u
    return flow


def has_color(pixels: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((np.abs(pixels - color).max(axis=-1) < 12).sum() > 500)


def test_the_contact_sheet_shows_both_phases_in_their_directions() -> None:
    frames = np.full((3, 96, 96), 90, np.uint8)

    def sheet(first: float, second: float) -> np.ndarray:
        flows = np.stack([flow_patch(first), flow_patch(second)])
        return picture(draw_contact_sheet(ClipPicture("title", "", frames, (1, 5, 9), flows)))

    rightwards, leftwards = sheet(2, 2), sheet(-2, -2)
    phases = rightwards[260:, :220]
    assert has_color(phases, RED_RIGHT)
    assert not has_color(phases, CYAN_LEFT)
    assert has_color(leftwards[260:, :220], CYAN_LEFT)
    there_and_back = sheet(2, -2)
    half = 260 + (there_and_back.shape[0] - 260) // 2
    assert has_color(there_and_back[260:half, :220], RED_RIGHT)
    assert has_color(there_and_back[half:, :220], CYAN_LEFT)


def test_the_animation_has_a_page_a_frame() -> None:
    frames = [np.full((96, 96), value, np.uint8) for value in (60, 120, 180)]
    flows = [flow_patch(u) for u in (0, 2, 1)]
    content = draw_animation("title", frames, ["a", "b", "c"], flows, milliseconds=80)
    animation = Image.open(io.BytesIO(content))
    assert animation.n_frames == 3  # type: ignore[attr-defined]
    assert animation.info["duration"] == 80
    shades = []
    for page in range(3):
        animation.seek(page)
        shades.append(int(np.asarray(animation.convert("RGB"))[100, 60, 0]))
    assert np.abs(np.array(shades) - [60, 120, 180]).max() < 8


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The flags that name three drawn clips."""
    folder = tmp_path_factory.mktemp("drawn")
    sheet = write_drawn_casme2(folder, subjects=1, clips=3)
    places = ["--dataset", "casme2", "--registered", "--sheet", str(sheet), "--frames", str(folder)]
    return [*places, "--flow", "dis"]


def test_pictures_are_drawn_once_and_again_when_the_clip_is(
    drawn: list[str], tmp_path: Path
) -> None:
    flags = [*drawn, "--out", str(tmp_path), "--workers", "1"]
    run_main(build_inputs.main, flags)
    assert not list(tmp_path.glob("overview*"))
    run_main(build_inputs.main, [*flags, "--pictures"])
    names = ["sub01_EP01_01.png", "sub01_EP01_02.png", "sub01_EP01_03.png"]
    sheets = [tmp_path / "pictures" / name for name in names]
    overview = tmp_path / "overview_casme2.png"
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in [*sheets, overview]}
    assert Image.open(overview).width > 3 * 200
    run_main(build_inputs.main, [*flags, "--pictures"])
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before

    # What is built anew without pictures loses its old one, and gets one when asked again.
    run_main(build_inputs.main, [*flags, "--size", "64"])
    assert not any(path.exists() for path in before)
    run_main(build_inputs.main, [*flags, "--pictures"])
    assert {path: path.read_bytes() for path in before} == {p: b[0] for p, b in before.items()}

    # What is written over a picture counts too: the same flow under another scheme's class names.
    run_main(build_inputs.main, [*flags, "--pictures", "--scheme", "casme2_5"])
    same = [path for path, (content, _) in before.items() if path.read_bytes() == content]
    # Surprise is called so in both.
    emotions = pd.read_csv(tmp_path / "clips_casme2.csv")["emotion"]
    assert same == [sheets[place] for place in emotions.index[emotions == "surprise"]]
    assert len(same) == 1


def test_the_overview_says_synthetic(
    drawn: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []

    def note_title(title: str, tiles: object) -> bytes:
        titles.append(title)
        return b""

    monkeypatch.setattr(input_pictures, "draw_overview", note_title)
    flags = [*drawn, "--out", str(tmp_path), "--workers", "1", "--pictures"]
    run_main(build_inputs.main, flags)
    assert titles == ["SYNTHETIC casme2"]


def test_a_damaged_picture_is_drawn_again(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    assert read_made_from(path) is None
    frames, flows = np.zeros((3, 96, 96), np.uint8), np.zeros((2, 96, 96, 2), np.float32)
    content = draw_contact_sheet(ClipPicture("a", "b", frames, (1, 2, 3), flows), "a hash")
    path.write_bytes(content)
    assert read_made_from(path) == "a hash"
    path.write_bytes(content[:20])
    assert read_made_from(path) is None


def test_one_clip_can_be_drawn_and_an_unknown_one_is_refused(
    drawn: list[str], tmp_path: Path
) -> None:
    flags = [*drawn, "--out", str(tmp_path)]
    run_main(build_inputs.main, [*flags, "--pictures", "sub01/EP01_02"])
    assert len(list(tmp_path.iterdir())) == 3
    animation = Image.open(tmp_path / "sub01_EP01_02.gif")
    assert animation.n_frames > 10  # type: ignore[attr-defined]
    assert Image.open(tmp_path / "sub01_EP01_02.png").width > 800
    refused = run_main(build_inputs.main, [*flags, "--pictures", "sub09/EP01_02"], refused=True)
    assert "no clip 'sub09/EP01_02'" in refused
    assert "Its first usable one is sub01/EP01_01." in refused


def test_a_sheet_without_a_usable_row_is_said(tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path / "s.xlsx", CASME2_HEADER, [casme2_row(emotion="joy")])
    flags = ["--dataset", "casme2", "--sheet", str(sheet), "--frames", str(tmp_path)]
    flags += ["--pictures", "sub09/EP01_02", "--out", str(tmp_path / "out")]
    assert "None of its rows is usable" in run_main(build_inputs.main, flags, refused=True)
