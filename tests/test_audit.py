"""The audit held to what was planted: every fault named, none repaired, every clean clip built."""

import shlex
from pathlib import Path

import pandas as pd
import pytest
import tyro

import build_inputs
from common.dataset_names import DATASETS, OWN_TABLE
from common.errors import UserError
from datasets import read_inputs
from datasets.raw import SCHEMES, RawSource, read_raw_dataset
from datasets.raw.label_schemes import DEFAULT_SCHEMES
from datasets.synthetic.faults import FAULTS_FILE
from datasets.synthetic.raw_datasets import write_raw_datasets
from datasets.synthetic.sheets import FORMATS
from datasets.synthetic.specs import list_synthetic_clips
from tests.helpers.raw_fixtures import CASME2_HEADER, casme2_row, write_sheet
from tests.helpers.scripts import run_main

ROOT = Path(__file__).parent.parent

# What the audit must say of each planted kind: the rule, and what happens to the clip.
EXPECTED = {
    "apex_no_number": ("not a frame number", "excluded"),
    "apex_empty": ("not a frame number", "excluded"),
    "apex_before_onset": ("order", "excluded"),
    "apex_after_offset": ("order", "excluded"),
    "apex_is_onset": ("empty phase", "kept"),
    "onset_after_offset": ("order", "excluded"),
    "unknown_emotion": ("emotion", "excluded"),
    "unreadable_action_unit": ("action units", "kept"),
    "alternative_action_units": ("action units", "kept"),
    "second_movement": ("several movements", "kept"),
    "duplicate_row": ("duplicate", "excluded"),
    "long_clip": ("long clip", "kept"),
    "missing_folder": ("no frames", "excluded"),
    "missing_key_frame": ("key frame missing", "excluded"),
    "gap": ("gap", "kept"),
    "frame_twice": ("frame twice", "excluded"),
    "truncated_frame": ("bad frame", "excluded"),
    "frame_of_other_size": ("bad frame", "excluded"),
    "frame_of_other_color": ("bad frame", "excluded"),
    "sixteen_bit_frame": ("bad frame", "excluded"),
    "no_face": ("no face", "excluded"),
}
EXPECTED_OF_SHEETS = {
    "empty_sheet": "is empty",
    "sheet_without_rows": "no row below it",
    "no_workbook": "has no column subject, filename; its closest row is This was a web page",
    "oversized_sheet": "unpacks to 80 MB",
    "folder_for_the_sheet": "is a folder",
    "sheet_of_another_dataset": "is not a sheet of",
}
# Said of any synthetic set, and of every SMIC clip: not what was planted.
NOT_PLANTED = ("count", "no apex", "scheme")


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All five datasets with faults of every kind that registered frames can have."""
    root = tmp_path_factory.mktemp("raw_datasets")
    specs = list_synthetic_clips(3, 6, 1, DATASETS, with_others=True)
    list(write_raw_datasets(root, specs, "registered", with_faults=True))
    return root


def source(root: Path, dataset: str, is_registered: bool = True) -> RawSource:
    """Where one synthetic dataset's sheet and frames are."""
    folder = root / dataset
    others = is_registered and dataset in ("samm", "mmew", "casme3")
    frames = folder / "registered" if others else folder
    return RawSource(dataset, folder / FORMATS[dataset].file_name, frames, is_registered)


def flags(root: Path, dataset: str, is_registered: bool = True) -> list[str]:
    place = source(root, dataset, is_registered)
    kind = ["--registered"] if is_registered else []
    return ["--dataset", dataset, "--sheet", str(place.sheet), "--frames", str(place.frames), *kind]


def planted(root: Path, dataset: str) -> pd.DataFrame:
    faults = pd.read_csv(root / FAULTS_FILE, dtype=str, keep_default_na=False)
    return faults[(faults["dataset"] == dataset) & (faults["clip"] != "")]


def check_findings(audit: pd.DataFrame, faults: pd.DataFrame) -> None:
    """Exactly the planted faults are found: of the right clip, kind, value and outcome.

    Of clips that a scheme leaves out, no frame is read: they are left out here too.
    """
    by_scheme = audit["rule"] == "scheme"
    not_looked_at = pd.MultiIndex.from_frame(audit.loc[by_scheme, ["subject", "clip"]])

    def looked_at(table: pd.DataFrame) -> pd.Series:
        return ~pd.MultiIndex.from_frame(table[["subject", "clip"]]).isin(not_looked_at)

    faults = faults[looked_at(faults)]
    found = audit[~audit["rule"].isin(NOT_PLANTED) & looked_at(audit)]
    assert len(found) == len(faults) > 10
    assert (found["outcome"] != "corrected").all()
    by_clip = found.set_index(["subject", "clip"])
    assert by_clip.index.is_unique
    assert set(by_clip.index) == names(faults)
    for fault in faults.itertuples():
        finding = by_clip.loc[(fault.subject, fault.clip)]
        assert (finding["rule"], finding["outcome"]) == EXPECTED[fault.kind], fault
        number = fault.value.rpartition("=")[2]
        if fault.kind not in ("missing_folder", "second_movement", "no_face"):
            assert number in finding["value"] + finding["detail"], fault


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_audit_names_every_planted_fault_and_nothing_else(
    dataset: str, registered: Path, tmp_path: Path
) -> None:
    table = tmp_path / "audit.csv"
    arguments = [*flags(registered, dataset), "--audit-only", "--out", str(table)]
    printed = run_main(build_inputs.main, arguments)
    check_findings(
        pd.read_csv(table, dtype=str, keep_default_na=False), planted(registered, dataset)
    )
    for name, scheme in SCHEMES.items():
        assert (f"{name}: " in printed) == (dataset in scheme.emotions)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_clean_clips_and_those_with_remarks_are_all_built(
    dataset: str, registered: Path, tmp_path: Path
) -> None:
    arguments = [*flags(registered, dataset), "--out", str(tmp_path), "--flow", "dis"]
    run_main(build_inputs.main, [*arguments, "--workers", "1"])
    faults = planted(registered, dataset)
    check_findings(
        pd.read_csv(tmp_path / f"audit_{dataset}.csv", dtype=str, keep_default_na=False), faults
    )
    built = pd.read_csv(tmp_path / f"clips_{dataset}.csv", dtype=str)
    assert names(built) == expected_clips(registered, dataset, faults)


def test_the_audit_says_what_corrections_leave_out(tmp_path: Path) -> None:
    sheet = write_sheet(tmp_path / "s.xlsx", CASME2_HEADER, [casme2_row(24, "EP10_03")])
    arguments = ["--dataset", "CASMEII", "--sheet", str(sheet), "--audit-only"]
    printed = run_main(build_inputs.main, arguments)
    line = "excluded: row 2 sub24/EP10_03, correction (exclude megc2019): Copies of the sheet"
    assert printed.count(line) == 1


def names(table: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(table["subject"], table["clip"], strict=True))


def expected_clips(root: Path, dataset: str, faults: pd.DataFrame) -> set[tuple[str, str]]:
    """All clips of the sheet that the scheme takes but those whose planted fault excludes them."""
    emotions = SCHEMES[DEFAULT_SCHEMES[dataset]].emotions[dataset]
    sheet = read_raw_dataset(RawSource(dataset, source(root, dataset).sheet))
    in_scheme = {(clip.subject, clip.clip) for clip in sheet.clips if clip.emotion in emotions}
    fatal = [EXPECTED[kind][1] == "excluded" and kind != "duplicate_row" for kind in faults["kind"]]
    return in_scheme - names(faults[fatal])


@pytest.mark.parametrize("dataset", DATASETS)
def test_sheets_that_are_wrong_as_a_whole_are_refused(dataset: str, registered: Path) -> None:
    faults = pd.read_csv(registered / FAULTS_FILE, dtype=str, keep_default_na=False)
    faults = faults[(faults["dataset"] == dataset) & (faults["clip"] == "")]
    assert len(faults) == len(EXPECTED_OF_SHEETS)
    for kind, path in zip(faults["kind"], faults["value"], strict=True):
        with pytest.raises(UserError, match=EXPECTED_OF_SHEETS[kind]):
            read_raw_dataset(RawSource(dataset, registered / path))


def documented_commands() -> list[list[str]]:
    """The flags of every build_inputs.py command of the page on folders."""
    page = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    lines = [shlex.split(line) for line in page.splitlines() if line.startswith("python build_")]
    return [words[2:] for words in lines]


def test_documented_commands_are_understood_and_those_of_registered_frames_run(
    registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = documented_commands()
    parsed = [tyro.cli(build_inputs.Config, args=words) for words in commands]
    assert {config.dataset for config in parsed} == {*DATASETS, OWN_TABLE}
    monkeypatch.chdir(registered)
    ran = [words for words in commands if "--registered" in words]
    for words in ran:
        out = ["--flow", "dis", "--workers", "1", "--out", str(tmp_path)]
        assert "written: " in run_main(build_inputs.main, [*words, *out])
    assert len(read_inputs(tmp_path).clips) > 10
    assert len(ran) == 2


@pytest.mark.slow
@pytest.mark.parametrize("dataset", DATASETS)
def test_raw_frames_with_faults_are_audited_while_they_are_built(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above with camera pictures, in which faces are looked for and one is not found."""
    specs = list_synthetic_clips(3, 8, 1, (dataset,), with_others=True)  # type: ignore[arg-type]
    list(write_raw_datasets(tmp_path, specs, "raw", with_faults=True))
    scheme = {"casme2": "casme2_5", "samm": "megc2019", "mmew": "mmew_7", "casme3": "casme3_7"}
    arguments = [*flags(tmp_path, dataset, False), "--out", str(tmp_path / "out"), "--flow", "dis"]
    run_main(build_inputs.main, [*arguments, "--scheme", scheme.get(dataset, "smic_3")])
    (documented,) = [w for w in documented_commands() if dataset in w and "--registered" not in w]
    monkeypatch.chdir(tmp_path)
    assert "written: " in run_main(build_inputs.main, [*documented, "--flow", "dis"])
    audit = pd.read_csv(tmp_path / f"out/audit_{dataset}.csv", dtype=str, keep_default_na=False)
    faults = planted(tmp_path, dataset)
    assert "no_face" in set(faults["kind"])
    check_findings(audit, faults)
