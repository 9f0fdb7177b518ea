"""The spotter's error in frames and percent; clips that cannot be read are named."""

from pathlib import Path

import pandas as pd
import pytest

import measure_robustness
from datasets.frames.spotter_error import error_summary
from tests.helpers.raw_fixtures import (
    CASME2_HEADER,
    FIRST_FRAME,
    casme2_row,
    write_drawn_casme2,
    write_sheet,
)
from tests.helpers.scripts import run_main


def test_errors_are_in_frames_and_in_percent_of_the_clip() -> None:
    rows = pd.DataFrame(
        {
            "length": [20, 40, 10],
            "onset": [0, 0, 0], "apex": [10, 20, 5], "offset": [20, 40, 10],
            "middle": [10, 22, 5],
            "spotted_onset": [0, 0, 0],
            "spotted_apex": [12, 16, 99],
            "spotted_offset": [20, 44, 10],
            "problem": ["", "", "a bad frame"],
        }
    )  # fmt: skip
    table = error_summary(rows).set_index("key frame")
    assert table.loc["apex", "mean frames"] == 3
    assert table.loc["apex", "mean % of clip"] == 10
    assert table.loc["offset", "median frames"] == 2
    assert table.loc["apex: middle", "mean frames"] == 1
    assert table.loc["onset", "95th percentile % of clip"] == 0


def test_the_script_reports_every_clip(tmp_path: Path) -> None:
    sheet = write_drawn_casme2(tmp_path, subjects=1, clips=3)
    bad = tmp_path / f"Cropped/sub01/EP01_02/reg_img{FIRST_FRAME + 5}.jpg"
    bad.write_bytes(b"")
    flags = ["--dataset", "casme2", "--sheet", str(sheet), "--frames", str(tmp_path)]
    flags += ["--registered", "--workers", "1", "--spotter-only"]
    printed = run_main(measure_robustness.main, [*flags, "--results", str(tmp_path / "results")])
    assert "left out: sub01/EP01_02: frame" in printed
    assert "synthetic: 2 clips with an annotated apex" in printed
    written = {path.name for path in (tmp_path / "results").iterdir()} - {".lock", "files.sha256"}
    assert written == {"spotter.csv"}
    rows = pd.read_csv(tmp_path / "results/spotter.csv").set_index("clip")
    assert (rows["spotted_onset"].dropna() == FIRST_FRAME).all()
    assert rows.loc["EP01_01", "spotted_apex"] == pytest.approx(rows.loc["EP01_01", "apex"], abs=8)


def test_a_sheet_without_an_annotated_apex_is_refused(tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path / "s.xlsx", CASME2_HEADER, [casme2_row(frames=(1, "/", 9))])
    flags = ["--dataset", "casme2", "--sheet", str(sheet), "--frames", str(tmp_path)]
    flags += ["--spotter-only", "--results", str(tmp_path / "results")]
    printed = run_main(measure_robustness.main, flags, refused=True)
    assert "has an annotated apex to measure against" in printed
