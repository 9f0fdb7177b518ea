"""The recipes of docs/datasets.md: each converter and its command on an invented sheet."""

import re
import shlex
from pathlib import Path

import pytest
from openpyxl import Workbook

import build_inputs
from datasets import read_inputs
from tests.helpers.raw_fixtures import write_frames
from tests.helpers.scripts import ROOT, run_main

PAGE = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
RECIPE = re.compile(
    r"^#### (.+?)$.*?^```python\n(.*?)^```.*?^```\npython build_inputs\.py (.*?)\n```",
    re.MULTILINE | re.DOTALL,
)
RECIPES = {title: (code, command) for title, code, command in RECIPE.findall(PAGE)}
Rows = list[list[object]]


def sheet(path: str, rows: Rows) -> None:
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(path)


def frames(folder: str, name: str, *numbers: int) -> None:
    seed = sum(folder.encode())
    write_frames(Path(folder), [name.format(number) for number in numbers], seed=seed)


def casme() -> None:
    head = ["Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", "Onset", "Total"]
    rows: Rows = [[*head, "AU", "Emotion"]]
    for number, emotion in enumerate(("tense", "repression", "happiness"), 1):
        rows.append([number, "EP01_1", None, 3, 6, None, 9, 50.0, 100.0, "4+17", emotion])
        frames(f"casme/sub0{number}/EP01_1", "EP01_1-{:03d}.jpg", *range(1, 12))
    sheet("casme/CASME-coded-20190721.xlsx", rows)


def casme_squared() -> None:
    kinds = ("micro-expression", "macro-expression", "micro-expression")
    emotions = ("negative", "positive", "surprise")
    rows: Rows = [
        [number, "disgust1_1", 3, 6, 9, "4", emotion, kind, "disgust"]
        for number, (emotion, kind) in enumerate(zip(emotions, kinds, strict=True), 1)
    ]
    sheet("casme_squared/CAS(ME)^2code_final.xlsx", rows)
    places = ["Subject,video,folder"]
    for number in (1, 2, 3):
        place = f"rawpic/s1{number}/1{number}_0101disgustingteeth"
        places.append(f"{number},disgust1,{place}")
        frames(f"casme_squared/{place}", "img{}.jpg", *range(1, 12))
    Path("casme_squared/recordings.csv").write_text("\n".join(places))


def four_dme() -> None:
    lines = ["sub_ID,fold_name,Onset,Apex,Offset,Emotion"]
    for number, emotion in enumerate(("positive", "negative"), 1):
        lines.append(f"{number},sub0{number}_01,3,6,9,{emotion}")
        frames(f"4dme/gray/{number}/sub0{number}_01", "{}.jpg", *range(1, 12))
    Path("4dme/labels.csv").write_text("\n".join(lines))


def dfme() -> None:
    head = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"]
    rows: Rows = [[*head, "Emotion", "EmotionId", "Fps", "AU"]]
    for number, emotion in ((3, "anger"), (5, "contempt")):
        rows.append([f"sub000{number}", f"sub000{number}_01", 5, 25, 65, emotion, number, 500, 12])
        frames(f"dfme/frames/sub000{number}_01", "{}.jpg", 1, 5, 25, 65, 70)
    sheet("dfme/DFME.xlsx", rows)


def samm_long() -> None:
    head = ["Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration"]
    rows: Rows = [["SAMM Long Videos"], [], [*head, "Type", "Action Units", "Notes"]]
    for number, kind in ((1, "Micro - 1/2"), (2, "Macro")):
        rows.append(["006", f"006_1_{number}", 1, 10 * number, 10 * number + 3, 10 * number + 7, 8,
                     kind, "4+7", None])  # fmt: skip
    sheet("samm_long/SAMM_LongVideos.xlsx", rows)
    frames("samm_long/SAMM_longvideos/006_1", "006_1_{:04d}.jpg", *range(1, 40))


def casme3_c() -> None:
    rows: Rows = [["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "emotion"]]
    for onset, emotion in ((3, "disgust"), (20, "surprise")):
        rows.append(["sp.1", "a", onset, onset + 3, onset + 6, "4", emotion])
    sheet("casme3_c/part_C.xlsx", rows)
    frames("casme3_c/part_C/sp.1/a/color", "{}.jpg", *range(1, 40))


MADE = {
    "CASME": (casme, 2, ("tense", "disgust", "repression", "surprise")),
    "CAS(ME)²": (casme_squared, 2, ("negative", "surprise")),
    "4DME": (four_dme, 2, ("positive", "negative")),
    "DFME": (dfme, 2, ("anger", "contempt")),
    "SAMM long videos": (samm_long, 2, ("micro", "macro")),
    "CAS(ME)³, parts B and C": (casme3_c, 2, ("disgust", "surprise")),
}


def test_every_recipe_of_the_page_is_known() -> None:
    assert RECIPES.keys() == MADE.keys()


@pytest.mark.parametrize("title", MADE)
def test_a_recipe_gives_inputs(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, clips, classes = MADE[title]
    code, command = RECIPES[title]
    assert len(code.splitlines()) <= 10
    monkeypatch.chdir(tmp_path)
    (tmp_path / make.__name__.replace("four_dme", "4dme")).mkdir()
    make()
    exec(compile(code, title, "exec"), {})
    flags = shlex.split(command)
    run_main(build_inputs.main, [*flags, "--registered", "--flow", "dis", "--workers", "1"])
    inputs = read_inputs(Path(flags[flags.index("--out") + 1]))
    assert (len(inputs.clips), inputs.class_names) == (clips, classes)


def test_the_example_of_a_table_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = re.search(r"```\n(subject,clip,folder.*?)```", PAGE, re.DOTALL)
    assert text is not None
    monkeypatch.chdir(tmp_path)
    Path("clips.csv").write_text(text[1])
    frames("frames/p01_smile", "frame{}.png", *range(200))
    flags = ["--dataset", "table", "--name", "mine", "--sheet", "clips.csv", "--audit-only"]
    printed = run_main(build_inputs.main, flags)
    assert "mine: 2 clips of 1 subjects (happy 2, surprised 0)" in printed
    assert "videos/p02.mp4 is not there" in printed
