"""Result files: the published formats, and calculators that let nothing vanish without a word."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from common.errors import UserError
from common.files import claim_folder
from evaluation.acc_files import read_acc_file, write_acc_file
from evaluation.calculator import run_calculator
from evaluation.epoch_rules import PUBLISHED_RULES
from evaluation.expected_clips import PROTOCOL_TABLE, expected_clips
from evaluation.metrics import compute_metrics
from evaluation.predictions import prediction_rows, read_predictions, write_predictions
from evaluation.report import drawing
from evaluation.report.drawing import write_confusion_picture
from evaluation.result_files import result_file_paths, write_result_files
from evaluation.results_folder import read_results
from tests.conftest import save_picture
from tests.helpers.made_up_rows import protocol_labels
from tests.helpers.scripts import ROOT, run_here

PROTOCOL = pd.read_csv(PROTOCOL_TABLE, dtype={"subject": str})


def write_published_folder(folder: Path) -> None:
    """A complete folder as the published code leaves it, with every clip right."""
    for subject, labels in protocol_labels().items():
        write_acc_file(folder / f"{subject}_acc.txt", 7, labels, labels)


def calculate(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *more: object, dataset: str | None = None
) -> object:
    def main() -> None:
        run_calculator("description", dataset)

    return run_here(monkeypatch, main, folder, *more)


def test_the_protocol_table_counts_the_442_clips() -> None:
    assert len(PROTOCOL) == 68
    counts = PROTOCOL.groupby("dataset")["clips"].agg(["size", "sum"])
    assert counts.to_numpy().tolist() == [[24, 145], [28, 133], [16, 164]]
    single = PROTOCOL[PROTOCOL["clips"] == 1]["subject"]
    assert sorted(single) == ["019", "023", "024", "031", "036", "037", "sub08", "sub21"]


def test_acc_file_is_written_to_the_letter_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "sub01_acc.txt"
    write_acc_file(path, 12, np.array([0, 1, 2]), np.array([0, 1, 0]))
    assert path.read_text() == (
        "best epoach: 12\nbest acc: 0.6666666666666666\nmatrix_acc: [[0, 0], [1, 1], [2, 0]]\n"
    )
    epoch, predicted, true = read_acc_file(path)
    assert (epoch, predicted.tolist(), true.tolist()) == (12, [0, 1, 2], [0, 1, 0])


RECORD = "best epoach: 1\nbest acc: 1.0\nmatrix_acc: [[0, 0]]\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (RECORD * 2, "2 records"),
        (RECORD.replace("[[0, 0]]", "[]"), "empty matrix_acc"),
        (RECORD.replace("[[0, 0]]", "[[0]]"), "not a list of \\[predicted, true\\] pairs"),
        (RECORD.replace("[[0, 0]]", "[[0, -1]]"), "not a list of \\[predicted, true\\] pairs"),
        (RECORD.replace("epoach", "epoche"), "best epoche: 1"),
        ("best epoach: 1\n", "end of file"),
        ("", "end of file"),
    ],
)
def test_unusable_acc_files_are_refused_by_name(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "sub01_acc.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=f"sub01_acc.txt.*{reason}"):
        read_acc_file(path)


def test_a_published_folder_gives_figures_and_the_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_published_folder(tmp_path)
    assert calculate(monkeypatch, tmp_path) == 0
    output = capsys.readouterr().out
    assert "442 clips, 68 subjects" in output and "UF1=1.0000 UAR=1.0000" in output
    sheet = openpyxl.load_workbook(tmp_path / "CausalNet.xlsx").active
    assert sheet is not None
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    names = ["negative", "positive", "surprise"]
    assert rows[0][:5] == ["col is pre", *names, None]
    assert rows[0][5:] == ["all_war", "all_uar", "all_f1", "all_uf1", "all_acc"]
    assert [row[0] for row in rows[1:4]] == names and rows[1][5:] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("dataset", "clips", "file"),
    [
        ("casme2", 145, "CausalNet_CASMEII.xlsx"),
        ("samm", 133, "CausalNet_SAMM.xlsx"),
        ("smic", 164, "CausalNet_SMIC.xlsx"),
    ],
)
def test_a_dataset_is_computed_alone(
    dataset: str,
    clips: int,
    file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_published_folder(tmp_path)
    assert calculate(monkeypatch, tmp_path, dataset=dataset) == 0
    assert f"{clips} clips" in capsys.readouterr().out and (tmp_path / file).is_file()


def test_what_is_missing_is_named_and_partial_says_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_published_folder(tmp_path)
    (tmp_path / "sub17_acc.txt").unlink()
    (tmp_path / "019_acc.txt").write_text(RECORD.replace("[[0, 0]]", "[]"))
    write_acc_file(tmp_path / "s01_acc.txt", 1, np.array([0]), np.array([0]))
    write_acc_file(tmp_path / "sub99_acc.txt", 1, np.array([0]), np.array([0]))
    assert calculate(monkeypatch, tmp_path) == 2
    error = capsys.readouterr().err
    assert (
        "019_acc.txt has an empty matrix" in error
        and "more. Correct it, or give --partial." in error
    )
    problems = "; ".join(read_results(tmp_path).problems)
    for words in ("sub17", "smic/s01 has 1 clips", "sub99"):
        assert words in problems
    assert not (tmp_path / "CausalNet.xlsx").exists()
    assert calculate(monkeypatch, tmp_path, "--partial") == 0
    clips = dict(zip(PROTOCOL["subject"], PROTOCOL["clips"], strict=True))
    missing = clips["sub17"] + clips["019"] + clips["s01"] - 1
    assert f" clips, {missing} missing; " in capsys.readouterr().out


def test_a_folder_of_run_folders_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_published_folder(tmp_path / "0.5_3_3_9")
    assert calculate(monkeypatch, tmp_path) == 2
    assert "give one of them: 0.5_3_3_9." in capsys.readouterr().err


def make_rows(clips: int, logits: np.ndarray) -> pd.DataFrame:
    return prediction_rows(
        dataset="casme2",
        subjects=["sub01"] * clips,
        clips=[f"EP{number}" for number in range(clips)],
        true=np.arange(clips) % 3,
        logits=logits,
        class_names=("negative", "positive", "surprise"),
        fold="sub01",
        seed=1,
        epoch=3,
        epoch_rule="oracle",
        configuration="abc",
        source="synthetic",
    )


def test_a_fold_without_a_correct_clip_is_kept(tmp_path: Path) -> None:
    logits = np.eye(3)[(np.arange(6) + 1) % 3]
    write_result_files(tmp_path, make_rows(6, logits), title="all wrong", note="")
    _, predicted, true = read_acc_file(tmp_path / "sub01_acc.txt")
    assert len(true) == 6 and not (predicted == true).any()


def test_result_files_replace_those_of_an_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "sub77_acc.txt").write_text(RECORD)
    rows = make_rows(3, np.eye(3))
    with claim_folder(tmp_path) as owned:
        with pytest.raises(UserError, match=r"sub77_acc\.txt in .* would be replaced"):
            owned.check(result_file_paths(tmp_path))
        owned.adopt(result_file_paths(tmp_path))
        for _ in range(2):
            write_result_files(tmp_path, rows, title="right", note="synthetic clips")
    assert [path.name for path in tmp_path.glob("*_acc.txt")] == ["sub01_acc.txt"]
    assert len((tmp_path / "sub01_acc.txt").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [("predicted", 3), ("true", 3), ("true", -1), ("predicted", 0.5), ("true", "x"), ("true", "")],
)
def test_classes_outside_the_score_columns_are_refused_by_line(
    column: str, value: object, tmp_path: Path
) -> None:
    rows = make_rows(6, np.eye(3)[np.arange(6) % 3])
    rows[column] = rows[column].astype(object)
    rows.loc[[1, 4], column] = value
    write_predictions(tmp_path / "predictions.csv", rows)
    reason = f"predictions.csv is refused: column {column} .* 0 to 2, and does not in lines 3, 6"
    with pytest.raises(UserError, match=reason):
        read_predictions(tmp_path / "predictions.csv")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "high", ""])
def test_scores_that_are_no_numbers_are_refused_by_line(value: object, tmp_path: Path) -> None:
    rows = make_rows(6, np.eye(3)[np.arange(6) % 3])
    rows["score_surprise"] = rows["score_surprise"].astype(object)
    rows.loc[3, "score_surprise"] = value
    write_predictions(tmp_path / "predictions.csv", rows)
    with pytest.raises(UserError, match=r"predictions.csv is refused: the scores in line 5 are"):
        read_predictions(tmp_path / "predictions.csv")


def test_a_prediction_is_the_highest_score_and_the_lower_number_on_a_tie(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    # As float32 the two are equal, and so they are in the file.
    close = np.array([[0.0, 1.0, 1.0 + 1e-12], [2.0, 2.0, 1.0], [0.0, 0.0, 3.0]])
    rows = make_rows(3, close)
    write_predictions(path, rows)
    pd.testing.assert_frame_equal(read_predictions(path), rows, check_dtype=False)
    assert list(rows["predicted"]) == [1, 0, 2]
    write_predictions(path, rows.assign(predicted=[1, 1, 0]))
    with pytest.raises(UserError, match=r"predicted class in lines 3, 4 is not the one"):
        read_predictions(path)


def test_rows_without_scores_are_read_and_their_classes_need_not_be_the_usual_three(
    tmp_path: Path,
) -> None:
    rows = make_rows(3, np.eye(3)).assign(predicted=[4, 0, 1])
    rows = rows[[name for name in rows if not name.startswith("score_")]]
    write_predictions(tmp_path / "predictions.csv", rows)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "predictions.csv"), rows)


COUNTS = "dataset,subject,clips,file,source\na,s1,4,a_s1,recorded\na,s2,5,a_s2,recorded\n"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",source", ",origin", "has no column source"),
        (COUNTS[COUNTS.index("\n") :], "\n", "has no rows"),
        ("s1,4", "s1,4.5", r"holds counts of clips that are no whole numbers from 1 \(a/s1: 4.5\)"),
        ("s1,4", "s1,-4", r"holds counts of clips that are no whole numbers from 1 \(a/s1: -4\)"),
        ("s1,4", "s1,", "has an empty cell in line 2"),
        ("a,s2", "a,s1", "holds these subjects more than once: a/s1"),
    ],
)
def test_faulty_clip_counts_are_refused_by_name(
    old: str, new: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "expected_clips.csv").write_text(COUNTS)
    counts, source = expected_clips(tmp_path)
    assert counts["clips"].tolist() == [4, 5] and counts["note"].tolist() == ["", ""]
    assert source == "the run's own record"
    (tmp_path / "expected_clips.csv").write_text(COUNTS.replace(old, new))
    with pytest.raises(UserError, match=f"expected_clips.csv {reason}"):
        expected_clips(tmp_path)


def test_figures_refuse_labels_outside_the_classes() -> None:
    with pytest.raises(ValueError, match=r"0\.\.2"):
        compute_metrics(np.array([0, 3]), np.array([0, 0]), 3)


def test_the_picture_of_a_confusion_matrix_is_the_same_png_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_save", save_picture)
    pictures = []
    for name, count in (("a", 7), ("b", 7), ("c", 8)):
        counts, names = np.diag([count, 2, 3]), ("negative", "positive", "surprise")
        write_confusion_picture(tmp_path / name, counts, names, "title", "SYNTHETIC")
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]
    assert pictures[0].startswith(b"\x89PNG") and len(pictures[0]) > 10_000


@pytest.mark.parametrize("script", ["calculate_all_results", "compare_results", "make_report"])
def test_scripts_that_read_results_start_without_heavy_packages(script: str) -> None:
    heavy = {"torch", "sklearn", "scipy", "statsmodels", "matplotlib", "cv2"}
    check = f"import sys, {script}; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    result = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_documented_predictions_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "predictions.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w*)\n(.*?)```", page, flags=re.DOTALL)
    (table,) = [block for kind, block in blocks if kind == "csv"]
    (tmp_path / "predictions.csv").write_text(table, encoding="utf-8")
    assert calculate(monkeypatch, tmp_path, "--partial") == 0
    output = capsys.readouterr().out
    assert "3 clips, 3 subjects (PARTIAL: 3 clips, 439 missing" in output and "ACC=0.6667" in output
    (published,) = [block for kind, block in blocks if not kind]
    (tmp_path / "s01_acc.txt").write_text(published, encoding="utf-8")
    assert read_acc_file(tmp_path / "s01_acc.txt")[0] == 12
    rules = re.findall(r"^\| `(\w+\*?)` \| [^|]*\| [^|]*\|$", page, flags=re.MULTILINE)
    assert [name for name in rules if name.rstrip("*") in PUBLISHED_RULES] == [
        rule.title for rule in PUBLISHED_RULES.values()
    ]
