"""Tiny raw datasets for tests: a sheet with its real column names, frames in its real folders."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from openpyxl import Workbook
from PIL import Image

from datasets.synthetic.clips import draw_clip, list_synthetic_clips
from datasets.synthetic.faces import REGISTERED, View

CASME2_HEADER = [
    "Subject", "Filename", "", "OnsetFrame", "ApexFrame", "OffsetFrame", "", "Action Units",
    "Estimated Emotion",
]  # fmt: skip
SAMM_HEADER = [
    "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame",
    "Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
]  # fmt: skip
SMIC_HEADER = [
    "Subject", "Filename", "OnsetF", "OffsetF", "TotalMF1", "Onset2F", "Offset2F", "TotalMF2",
    "Emotion", "FirstF", "LastF", "TotalVL",
]  # fmt: skip
MMEW_HEADER = [
    "Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units",
    "Estimated Emotion", "remarks",
]  # fmt: skip
CASME3_HEADER = [
    "Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion",
]  # fmt: skip


def write_sheet(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], text_rows: int = 0
) -> Path:
    """An .xlsx file with ``text_rows`` rows of prose above the header."""
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    for number in range(text_rows):
        sheet.append([f"Note {number}: about this release."])
    for row in (header, *rows):
        sheet.append([cell if cell != "" else None for cell in row])
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)
    return path


def casme2_row(
    subject: object = "01",
    clip: str = "EP02_01f",
    frames: Sequence[object] = (46, 59, 86),
    emotion: str = "happiness",
    action_units: str = "12",
) -> list[object]:
    return [subject, clip, "", *frames, "", action_units, emotion]


def write_frames(
    folder: Path, names: Iterable[str], size: tuple[int, int] = (40, 48), seed: int = 0
) -> None:
    """Smooth random grey frames [H, W], each a little displaced from the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8)).astype(np.uint8)
    height, width = size
    still = np.asarray(
        Image.fromarray(coarse).resize((width + 40, height + 40), Image.Resampling.BICUBIC)
    )
    for index, name in enumerate(names):
        shift = index % 20
        frame = still[shift : shift + height, shift : shift + width]
        Image.fromarray(frame).save(folder / name)


CASME2_EMOTIONS = ("disgust", "happiness", "surprise")
FIRST_FRAME = 40


def write_drawn_casme2(
    folder: Path, subjects: int = 3, clips: int = 2, registered: bool = True
) -> Path:
    """Drawn clips as CASME II; returns the sheet. Unregistered ones lie in a larger picture."""
    specs = [spec for spec in list_synthetic_clips(subjects, clips) if spec.dataset == "casme2"]
    rows = []
    for spec in specs:
        view = REGISTERED if registered else View(240, 200, 1.2, 5.0)
        clip = draw_clip(spec, view)
        place = "Cropped" if registered else "CASME2_RAW_selected"
        prefix = "reg_img" if registered else "img"
        where = folder / place / spec.subject / spec.clip
        where.mkdir(parents=True)
        for number, frame in enumerate(clip.frames, start=FIRST_FRAME):
            Image.fromarray(frame).save(where / f"{prefix}{number}.jpg", quality=95)
        key_frames = [FIRST_FRAME + n for n in (clip.onset, clip.apex, clip.offset)]
        row = casme2_row(spec.subject[3:], spec.clip, key_frames, CASME2_EMOTIONS[spec.label], "")
        rows.append([*row, "synthetic"])
    return write_sheet(folder / "casme2.xlsx", [*CASME2_HEADER, "source"], rows)
