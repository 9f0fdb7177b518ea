"""Readers of the five raw datasets, the audit's findings, corrections and label schemes."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from common.errors import UserError
from datasets.inputs import TABLE_NAME
from datasets.raw import (
    SCHEMES,
    Finding,
    RawDataset,
    RawSource,
    clip_table,
    exclusion_findings,
    findings_table,
    get_scheme,
    label_clips,
    read_raw_dataset,
)
from datasets.raw.frame_check import check_clip_frames
from tests.helpers.raw_fixtures import (
    CASME2_HEADER,
    CASME3_HEADER,
    MMEW_HEADER,
    SAMM_HEADER,
    SMIC_HEADER,
    casme2_row,
    write_frames,
    write_sheet,
)


def read_casme2(folder: Path, *rows: list[object], **source: object) -> RawDataset:
    sheet = write_sheet(folder / "casme2.xlsx", CASME2_HEADER, rows)
    return read_raw_dataset(RawSource("casme2", sheet, **source))  # type: ignore[arg-type]


def findings_of(raw: RawDataset, rule: str) -> list[Finding]:
    return [finding for finding in raw.findings if finding.rule == rule]


CASES = {
    "casme2": (
        CASME2_HEADER,
        [1, "EP02_01f", "", 46, 59, 86, "", "4+L10", "Happiness"],
        "CASME2_RAW_selected/sub01/EP02_01f",
        "img{}.jpg",
        ("sub01", "EP02_01f", 46, 59, 86, "annotated", "happiness", "4+L10", 200),
    ),
    "samm": (
        SAMM_HEADER,
        [6, "006_1_2", "", 5562, 5588, 5632, 71, "Micro", "4 or 7", "Other", "III", ""],
        "SAMM/006/006_1_2",
        "006_{:05d}.jpg",
        ("006", "006_1_2", 5562, 5588, 5632, "annotated", "others", "4+7", 200),
    ),
    "smic": (
        SMIC_HEADER,
        ["s1", "s1_ne_01", 100, 131, 32, "", "", "", "negative", 1, 200, 200],
        "SMIC_all_raw/HS/s1/micro/negative/s1_ne_01",
        "image{:06d}.bmp",
        ("s01", "s01_ne_01", 100, 115, 131, "middle", "negative", "", 100),
    ),
    "mmew": (
        MMEW_HEADER,
        ["S01", "S01-03-001", 13, 19, 30, "R12", "happiness", ""],
        "Micro_Expression/happiness/S01-03-001",
        "{}.jpg",
        ("S01", "S01-03-001", 13, 19, 30, "annotated", "happiness", "R12", 90),
    ),
    "casme3": (
        CASME3_HEADER,
        ["spNO.1", "a", 990, 1000, 1009, "4+7", "IV", "Others"],
        "part_A/spNO.1/a/color",
        "{}.jpg",
        ("spNO.1", "a_990", 990, 1000, 1009, "annotated", "others", "4+7", 30),
    ),
}


@pytest.mark.parametrize("dataset", CASES)
def test_every_dataset_gives_the_same_table_and_finds_frames_by_number(
    dataset: str, tmp_path: Path
) -> None:
    header, row, folder, file_name, expected = CASES[dataset]
    sheet = write_sheet(tmp_path / "sheet.xlsx", header, [row], 13 if dataset == "samm" else 0)
    first, last = expected[2] - 5, expected[4] + 100  # type: ignore[operator]
    write_frames(tmp_path / folder, [file_name.format(n) for n in range(first, last + 1)])
    rate = 30 if dataset == "casme3" else None
    raw = read_raw_dataset(RawSource(dataset, sheet, tmp_path, frame_rate=rate))
    (clip,) = raw.clips
    columns = [
        "subject", "clip", "onset", "apex", "offset", "apex_source", "emotion", "action_units",
        "frame_rate",
    ]  # fmt: skip
    assert tuple(clip_table(raw.clips).loc[0, columns]) == expected
    assert clip.frame_path(clip.onset) == tmp_path / folder / file_name.format(clip.onset)
    assert clip.frame_numbers[0] == first
    # Of a long recording only the clip's own length before and after it belongs to the clip.
    assert clip.frame_numbers[-1] == (1029 if dataset == "casme3" else last)
    assert clip.key_frame_positions.onset == 5
    assert raw.findings[0].rule == "count"


@pytest.mark.parametrize(
    ("dataset", "folder", "file_name"),
    [
        ("casme2", "Cropped/sub01/EP02_01f", "reg_img{}.jpg"),
        ("smic", "SMIC_all_cropped/HS/s1/micro/negative/s1_ne_01", "reg_image{:06d}.bmp"),
        ("samm", "006/006_1_2", "006_{:05d}.jpg"),
    ],
)
def test_registered_frames_have_their_own_layout(
    dataset: str, folder: str, file_name: str, tmp_path: Path
) -> None:
    header, row, *_, expected = CASES[dataset]
    sheet = write_sheet(tmp_path / "sheet.xlsx", header, [row])
    numbers = range(expected[2], expected[4] + 1)  # type: ignore[arg-type]
    write_frames(tmp_path / folder, [file_name.format(number) for number in numbers])
    raw = read_raw_dataset(RawSource(dataset, sheet, tmp_path, registered=True))
    assert raw.clips[0].folder == tmp_path / folder
    if dataset != "samm":
        with pytest.raises(UserError, match="add --registered"):
            read_raw_dataset(RawSource(dataset, sheet, tmp_path))


def test_column_names_in_circulation_are_understood(tmp_path: Path) -> None:
    header = ["Subject", "File name", "Onset Frame", "Apex Frame", "Offset Frame", "au", "emotion"]
    sheet = write_sheet(
        tmp_path / "s.xlsx", header, [["sub05", "EP03_07", 1, 2, 3, "R2+15", "fear"]]
    )
    (clip,) = read_raw_dataset(RawSource("casme2", sheet)).clips
    assert (clip.subject, clip.apex, clip.emotion) == ("sub05", 2, "fear")


@pytest.mark.parametrize(
    ("row", "rule", "value", "outcome"),
    [
        (casme2_row(frames=(46, "/", 86)), "not a frame number", "apex '/'", "excluded"),
        (casme2_row(frames=("", 59, 86)), "not a frame number", "onset ''", "excluded"),
        (casme2_row(frames=(46, 90, 86)), "order", "46, 90, 86", "excluded"),
        (casme2_row(frames=(90, 90, 86)), "order", "90..86", "excluded"),
        (casme2_row(frames=(46, 46, 86)), "empty phase", "46", "kept"),
        (casme2_row(emotion="joy"), "emotion", "joy", "excluded"),
        (casme2_row(action_units="4+x"), "action units", "4+x", "kept"),
        (casme2_row(subject=""), "name", "", "excluded"),
        (casme2_row(clip="../../etc"), "name", "../../etc", "excluded"),
    ],
)
def test_a_fault_in_a_row_is_named_and_the_other_rows_are_read(
    row: list[object], rule: str, value: str, outcome: str, tmp_path: Path
) -> None:
    good = casme2_row(subject="02", clip="EP01_11f")
    raw = read_casme2(tmp_path, row, good, casme2_row(subject="02", clip="EP09_01"))
    (finding,) = findings_of(raw, rule)
    assert (finding.row, finding.value, finding.outcome) == (2, value, outcome)
    assert len(raw.clips) == (2 if outcome == "excluded" else 3)


def test_of_rows_with_one_name_the_first_is_kept(tmp_path: Path) -> None:
    raw = read_casme2(tmp_path, casme2_row(1), casme2_row("sub01", frames=(1, 2, 3)))
    assert [clip.onset for clip in raw.clips] == [46]
    (finding,) = findings_of(raw, "duplicate")
    assert (finding.row, finding.detail) == (3, "row 2 names the same clip.")


def test_faults_of_frame_folders_are_named(tmp_path: Path) -> None:
    def names(*numbers: int) -> list[str]:
        return [f"img{number}.jpg" for number in numbers]

    clips = tmp_path / "CASME2_RAW_selected/sub01"
    write_frames(clips / "EP01_01", names(1, 2, 4, 5))
    write_frames(clips / "EP01_02", names(1, 2, 4))
    write_frames(clips / "EP01_03", [*names(1, 2, 3, 4, 5), "img002.jpg"])
    rows = [casme2_row(clip=f"EP01_0{n}", frames=(1, 2, 5)) for n in (1, 2, 3, 4)]
    raw = read_casme2(tmp_path, *rows, frames=tmp_path)
    found = {(f.clip, f.rule, f.value, f.outcome) for f in raw.findings if f.row}
    assert found == {
        ("EP01_01", "gap", "3", "kept"),
        ("EP01_02", "key frame missing", "offset 5", "excluded"),
        ("EP01_02", "gap", "3", "kept"),
        ("EP01_03", "frame twice", "2", "excluded"),
        ("EP01_04", "no frames", "EP01_04", "excluded"),
    }
    assert [clip.clip for clip in raw.clips] == ["EP01_01"]


def test_smic_takes_the_middle_of_the_frames_that_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "HS/s3/micro/positive/s3_po_08"
    write_frames(folder, [f"reg_image{number}.bmp" for number in (10, 11, 12, 14, 15, 16)])
    row = ["3", "s3_po_08", 10, 16, 7, 30, 40, 11, "positive", 1, 50, 50]
    sheet = write_sheet(tmp_path / "smic.xlsx", SMIC_HEADER, [row])
    raw = read_raw_dataset(RawSource("smic", sheet, tmp_path, registered=True))
    assert raw.clips[0].apex == 12
    rules = {finding.rule for finding in raw.findings}
    assert rules == {"count", "no apex", "gap", "several movements"}


def test_repeated_names_of_casme3_are_different_clips(tmp_path: Path) -> None:
    rows = [["spNO.1", "a", onset, onset + 5, onset + 70, "", "", "happy"] for onset in (10, 300)]
    sheet = write_sheet(tmp_path / "s.xlsx", CASME3_HEADER, [*rows, rows[0]])
    raw = read_raw_dataset(RawSource("casme3", sheet))
    assert [clip.stem for clip in raw.clips] == ["spNO.1_a_10", "spNO.1_a_300"]
    assert [finding.row for finding in findings_of(raw, "duplicate")] == [4]


@pytest.mark.parametrize(
    ("dataset", "other", "reason"),
    [
        ("casme2", "samm", "looks like a sheet of SAMM"),
        ("samm", "casme2", "looks like a sheet of CASME II"),
        ("smic", "casme2", "clip names such as EP02_01f are not SMIC-HS.*CASME II"),
        ("casme3", "mmew", "clip names such as S01-03-001"),
        ("mmew", "casme2", "looks like a sheet of CASME II"),
    ],
)
def test_another_datasets_sheet_is_refused(
    dataset: str, other: str, reason: str, tmp_path: Path
) -> None:
    header, row, *_ = CASES[other]
    sheet = write_sheet(tmp_path / "sheet.xlsx", header, [row])
    with pytest.raises(UserError, match=reason):
        read_raw_dataset(RawSource(dataset, sheet))


def test_shipped_corrections_are_applied_and_said(tmp_path: Path) -> None:
    raw = read_casme2(tmp_path, casme2_row(5, "EP09_05f", (69, 69, 120), "disgust"))
    assert raw.clips[0].apex == 96
    (finding,) = findings_of(raw, "correction")
    assert (finding.value, finding.outcome) == ("apex 69 -> 96", "corrected")

    row = ["028", "028_4_1", "", 100, 300, 200, "", "", "", "Contempt", "", ""]
    sheet = write_sheet(tmp_path / "samm.xlsx", SAMM_HEADER, [row])
    samm = read_raw_dataset(RawSource("samm", sheet))
    assert (samm.clips[0].apex, samm.clips[0].apex_source) == (150, "middle")
    assert findings_of(samm, "correction")[0].value == "100, 300, 200"
    # A copy of the sheet that is right stays as it is.
    row[4] = 170
    samm = read_raw_dataset(
        RawSource("samm", write_sheet(tmp_path / "samm.xlsx", SAMM_HEADER, [row]))
    )
    assert samm.clips[0].apex == 170
    assert not findings_of(samm, "correction")


def write_corrections(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["dataset,subject,clip,field,value,reason", *lines]))
    return path


def test_a_users_corrections_win_and_those_without_a_row_are_named(tmp_path: Path) -> None:
    table = write_corrections(
        tmp_path / "mine.csv",
        "casme2,5,EP09_05f,apex,97,looked at the frames",
        "casme2,5,EP09_05f,emotion,repression,second coder",
        "casme2,5,EP99_99,note,,typing error",
        "samm,006,006_1_2,apex,3,another dataset",
    )
    raw = read_casme2(
        tmp_path, casme2_row(5, "EP09_05f", (69, 69, 120), "disgust"), corrections=table
    )
    assert (raw.clips[0].apex, raw.clips[0].emotion) == (97, "repression")
    unused = [f for f in findings_of(raw, "correction") if "does nothing" in f.detail]
    assert [finding.clip for finding in unused] == ["EP99_99"]


def test_exclusions_are_audited_with_their_scheme_and_reason(tmp_path: Path) -> None:
    table = write_corrections(
        tmp_path / "mine.csv",
        "casme2,24,EP10_03,exclude,casme2_5,two emotions",
        "casme2,1,EP02_01f,exclude,all,face covered",
    )
    rows = [casme2_row(), casme2_row(24, "EP10_03", emotion="others")]
    raw = read_casme2(tmp_path, *rows, corrections=table)
    found = {
        (f.clip, f.value, f.outcome, f.detail) for f in exclusion_findings(raw.clips, raw.schemes)
    }
    shipped = "Copies of the sheet give two emotions; the protocol does not have it."
    assert found == {
        ("EP02_01f", "exclude all", "excluded", "face covered"),
        ("EP10_03", "exclude megc2019", "excluded", shipped),
        ("EP10_03", "exclude casme2_5", "excluded", "two emotions"),
    }
    labelled, left_out = label_clips(raw.clips, get_scheme("megc2019", "casme2"))
    assert not labelled
    assert {f.detail for f in left_out} == {"face covered", shipped}


def test_a_user_may_include_what_the_shipped_table_excludes(tmp_path: Path) -> None:
    table = write_corrections(
        tmp_path / "mine.csv",
        "casme2,4,EP12_01f,apex,41,looked at the frames",
        "casme2,4,EP12_01f,include,megc2019,its apex is known now",
        "casme2,1,EP02_01f,include,all,a slip",
    )
    rows = [casme2_row(4, "EP12_01f", (21, "/", 61), "disgust"), casme2_row()]
    raw = read_casme2(tmp_path, *rows, corrections=table)
    labelled, _ = label_clips(raw.clips, get_scheme("megc2019", "casme2"))
    assert [item.clip.clip for item in labelled] == ["EP12_01f", "EP02_01f"]
    found = {(f.value, f.outcome) for f in findings_of(raw, "correction")}
    assert found == {
        ("apex / -> 41", "corrected"),
        ("include megc2019", "corrected"),
        ("include all", "kept"),
    }


def test_a_users_middle_replaces_an_apex_in_order(tmp_path: Path) -> None:
    line = "casme2,1,EP02_01f,apex,middle,the sheet's apex is a blink"
    table = write_corrections(tmp_path / "mine.csv", line)
    raw = read_casme2(tmp_path, casme2_row(frames=(46, 59, 86)), corrections=table)
    assert (raw.clips[0].apex, raw.clips[0].apex_source) == (66, "middle")
    (finding,) = findings_of(raw, "correction")
    assert (finding.value, finding.outcome) == ("46, 59, 86", "corrected")


def test_corrections_name_smic_clips_as_the_dataset_or_the_tables_do(tmp_path: Path) -> None:
    header, row, *_ = CASES["smic"]
    sheet = write_sheet(tmp_path / "sheet.xlsx", header, [row])
    for name in ("s1_ne_01", "s01_ne_01"):
        table = write_corrections(tmp_path / "mine.csv", f"smic,s1,{name},apex,110,looked")
        (clip,) = read_raw_dataset(RawSource("smic", sheet, corrections=table)).clips
        assert (clip.apex, clip.apex_source) == (110, "annotated")


@pytest.mark.parametrize("dataset", ["mmew", "smic"])
def test_a_corrected_emotion_keeps_the_clips_folder(dataset: str, tmp_path: Path) -> None:
    header, row, folder, file_name, expected = CASES[dataset]
    sheet = write_sheet(tmp_path / "sheet.xlsx", header, [row])
    numbers = range(expected[2], expected[4] + 1)  # type: ignore[arg-type]
    write_frames(tmp_path / folder, [file_name.format(number) for number in numbers])
    line = f"{dataset},{expected[0]},{expected[1]},emotion,surprise,second coder"
    table = write_corrections(tmp_path / "mine.csv", line)
    (clip,) = read_raw_dataset(RawSource(dataset, sheet, tmp_path, corrections=table)).clips
    assert clip.emotion == "surprise"
    assert clip.folder == tmp_path / folder


def test_a_casme3_onset_that_is_no_number_is_named(tmp_path: Path) -> None:
    row = ["spNO.1", "a", "/", 15, 80, "", "", "happy"]
    sheet = write_sheet(tmp_path / "s.xlsx", CASME3_HEADER, [row])
    raw = read_raw_dataset(RawSource("casme3", sheet))
    (finding,) = findings_of(raw, "not a frame number")
    assert (finding.value, finding.outcome) == ("onset '/'", "excluded")
    assert not findings_of(raw, "name")


def test_a_name_too_long_for_a_file_excludes_its_clip_alone(tmp_path: Path) -> None:
    write_frames(tmp_path / "sub01/EP02_01f", [f"img{n}.jpg" for n in range(46, 87)])
    long = casme2_row(clip="EP01_" + "1" * 300)
    raw = read_casme2(tmp_path, casme2_row(), long, frames=tmp_path)
    assert [clip.clip for clip in raw.clips] == ["EP02_01f"]
    (finding,) = findings_of(raw, "name")
    assert "too long for a file name" in finding.detail


@pytest.mark.parametrize("rate", [-5.0, 0.0, float("nan")])
def test_a_frame_rate_is_a_positive_number(rate: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"frame rate {rate}"):
        RawSource("casme3", tmp_path, frame_rate=rate)


def test_registered_frames_are_checked_without_the_first_one(tmp_path: Path) -> None:
    folder = tmp_path / "Cropped/sub01/EP02_01f"
    write_frames(folder, [f"reg_img{n}.jpg" for n in range(40, 90)])
    (folder / "reg_img40.jpg").write_bytes(b"")
    raw = read_casme2(tmp_path, casme2_row(), frames=tmp_path, registered=True)
    (clip,) = raw.clips
    assert check_clip_frames(clip, "key", registered=True) is None
    finding = check_clip_frames(clip, "key", registered=False)
    assert finding is not None
    assert (finding.rule, finding.value) == ("bad frame", "reg_img40.jpg")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("casme2,1,EP1_1,apexx,3,why", "line 2: unknown field 'apexx'"),
        ("casme2,1,EP1_1,apex,soon,why", "'soon' is not a frame number"),
        ("casme2,1,EP1_1,offset,middle,why", "'middle' is not a frame number"),
        ("casme2,1,EP1_1,apex,3,", "needs a reason"),
        ("casme2,1,EP1_1,exclude,megc2091,why", "no label scheme"),
        ("casme2,1,EP1_1,include,megc2091,why", "no label scheme"),
        ("casme,1,EP1_1,apex,3,why", "unknown dataset 'casme'.*casme2, samm, smic"),
        (
            f"casme2,1,EP1_1,note,,{'x' * 140_000}",
            "is no table separated by commas after line 1",
        ),
    ],
)
def test_corrections_that_make_no_sense_are_refused(line: str, reason: str, tmp_path: Path) -> None:
    table = write_corrections(tmp_path / "mine.csv", line)
    with pytest.raises(UserError, match=reason):
        read_casme2(tmp_path, casme2_row(), corrections=table)


@pytest.mark.parametrize(
    ("name", "dataset", "labels"),
    [
        ("casme2_5", "casme2", "happiness 0, disgust 1, repression 2, surprise 3, others 4"),
        ("samm_5", "samm", "anger 0, contempt 1, happiness 2, surprise 3, others 4"),
        ("smic_3", "smic", "negative 0, positive 1, surprise 2"),
        ("casme3_4", "casme3", "disgust 0, sadness 0, happiness 1, surprise 2, others 3"),
        ("mmew_4", "mmew", "happiness 0, surprise 1, disgust 2, others 3"),
        ("megc2019", "samm", "anger 0, contempt 0, sadness 0, fear 0, happiness 1, surprise 2"),
    ],
)
def test_class_numbers_of_schemes(name: str, dataset: str, labels: str) -> None:
    scheme = get_scheme(name, dataset)
    for pair in labels.split(", "):
        emotion, label = pair.split()
        assert scheme.label(dataset, emotion) == int(label)


@pytest.mark.parametrize("name", ["casme3_7", "mmew_7"])
def test_seven_classes_are_all_seven_emotions(name: str) -> None:
    dataset = name.partition("_")[0]
    labels = {SCHEMES[name].label(dataset, emotion) for emotion in SCHEMES[name].classes}
    assert labels == set(range(7))


def test_a_scheme_of_other_datasets_is_refused() -> None:
    with pytest.raises(UserError, match="casme3_3, casme3_4, casme3_7"):
        get_scheme("megc2019", "casme3")
    with pytest.raises(UserError, match="unknown label scheme 'megc2018'"):
        get_scheme("megc2018", "samm")


# Complete sheets made from the names of the released table, plus the rows that the protocol leaves
# out. The emotions cycle over those of the clip's class; which one it is makes no difference.
CLASS_EMOTIONS = {
    "casme2": (["disgust", "repression"], ["happiness"], ["surprise"]),
    "samm": (
        ["Anger", "Contempt", "Disgust", "Fear", "Sadness"], ["Happiness"], ["Surprise"],
    ),
    "smic": (["negative"], ["positive"], ["surprise"]),
}  # fmt: skip


def sheet_rows(dataset: str, table: pd.DataFrame) -> list[list[object]]:
    rows: list[list[object]] = []
    clips = table[table["dataset"] == dataset]
    for number, (subject, clip, label) in enumerate(
        clips[["sub", "filename_o", "label"]].itertuples(index=False)
    ):
        emotions = CLASS_EMOTIONS[dataset][int(label)]
        emotion = emotions[number % len(emotions)]
        if dataset == "casme2":
            rows.append(casme2_row(subject[3:], clip, emotion=emotion))
        elif dataset == "samm":
            rows.append([subject, clip, "", 10, 20, 30, 21, "Micro", "4", emotion, "", ""])
        else:
            short = f"s{int(subject[1:])}"
            clip = short + clip[3:]
            rows.append([short, clip, 10, 30, 21, "", "", "", emotion, 1, 50, 50])
    return rows


EXCLUDED_ROWS = {
    "casme2": [
        casme2_row("04", "EP12_01f", (21, "/", 61), "disgust"),
        casme2_row("05", "EP09_05f", (69, 69, 120), "disgust"),
        casme2_row("24", "EP02_07", emotion="surprise"),
        casme2_row("24", "EP07_01", emotion="repression"),
        casme2_row("24", "EP07_04f", emotion="happiness"),
        casme2_row("24", "EP10_03", emotion="surprise"),
        *(casme2_row("10", f"EP06_0{n}", emotion="others") for n in range(1, 8)),
        *(casme2_row("18", f"EP01_0{n}", emotion="others") for n in range(1, 4)),
        casme2_row("01", "EP99_01", emotion="fear"),
        casme2_row("02", "EP99_02f", emotion="sadness"),
    ],
    "samm": [[6, f"006_9_{n}", "", 1, 2, 3, 3, "", "", "Other", "", ""] for n in range(26)],
    "smic": [],
}


def test_megc2019_selects_exactly_the_442_released_clips(
    released_folder: Path, tmp_path: Path
) -> None:
    released = pd.read_csv(released_folder / TABLE_NAME, dtype=str)
    headers = {"casme2": CASME2_HEADER, "samm": SAMM_HEADER, "smic": SMIC_HEADER}
    selected = set()
    for dataset, header in headers.items():
        rows = [*EXCLUDED_ROWS[dataset], *sheet_rows(dataset, released)]
        text_rows = 13 if dataset == "samm" else 0
        sheet = write_sheet(tmp_path / f"{dataset}.xlsx", header, rows, text_rows)
        raw = read_raw_dataset(RawSource(dataset, sheet))
        labelled, left_out = label_clips(raw.clips, get_scheme("megc2019", dataset))
        assert len(labelled) + len(left_out) == len(raw.clips)
        selected |= {(x.clip.dataset, x.clip.subject, x.clip.clip, x.label) for x in labelled}
    columns = released[["dataset", "sub", "filename_o"]].itertuples(index=False, name=None)
    labels = released["label"].astype(int)
    assert selected == {(*names, label) for names, label in zip(columns, labels, strict=True)}
    assert Counter(names[0] for names in selected) == {"casme2": 145, "samm": 133, "smic": 164}


def test_the_audit_table_is_in_the_order_of_the_sheet(tmp_path: Path) -> None:
    raw = read_casme2(tmp_path, casme2_row(clip="EP1_2", emotion="x"), casme2_row(frames=(9, 1, 9)))
    table = findings_table(reversed(raw.findings))
    assert table["row"].tolist() == [0, 2, 3]
    assert list(table) == [
        "dataset", "row", "subject", "clip", "rule", "value", "outcome", "detail",
    ]  # fmt: skip
