"""Which file is whose: certain names are taken, all others are named and refused."""

from pathlib import Path

import pytest

from common.errors import UserError
from models.weight_files import find_weights

FOLDS = ["sub01", "sub02", "006", "s_01", "01"]


def folder_with(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["006.pth", "sub01.pth", "other.pth"], {"sub01": "sub01.pth", "006": "006.pth"}),
        (["sub01.pt", "SUB02.PTH"], {"sub01": "sub01.pt", "sub02": "SUB02.PTH"}),
        (["sub01.safetensors"], {"sub01": "sub01.safetensors"}),
        (
            ["sub01_best.pth", "model-sub02.pt"],
            {"sub01": "sub01_best.pth", "sub02": "model-sub02.pt"},
        ),
        (["model_Total_006.pt"], {"006": "model_Total_006.pt"}),
        # The plain name wins over a longer one; a longer subject over the word in it.
        (["sub01.pth", "sub01_last.pth"], {"sub01": "sub01.pth"}),
        (["s_01.pth"], {"s_01": "s_01.pth"}),
        (["sub011.pth", "xsub01.pth", "sub01.pth"], {"sub01": "sub01.pth"}),
        (
            ["down/sub01.pth", "down/006.pth", "readme.txt"],
            {"sub01": "sub01.pth", "006": "006.pth"},
        ),
        (["a/b/sub01.pth", "notes.txt"], {"sub01": "sub01.pth"}),
        (["sub01.ckpt", "006.pth.tar"], {"sub01": "sub01.ckpt", "006": "006.pth.tar"}),
        (["best_sub01_epoch12.pth.tar"], {"sub01": "best_sub01_epoch12.pth.tar"}),
        (["Sub1.pth", "006.pth"], {"sub01": "Sub1.pth", "006": "006.pth"}),
        (["sub01/best.pth", "006/best.pth"], {"sub01": "best.pth", "006": "best.pth"}),
        (["sub01_best.pth", "sub01_optimizer.pth"], {"sub01": "sub01_best.pth"}),
        (["w/sub01.pth", "__MACOSX/sub01.pth", "w/._sub01.pth"], {"sub01": "sub01.pth"}),
    ],
)
def test_certain_names_are_found(
    names: list[str], expected: dict[str, str], tmp_path: Path
) -> None:
    found = find_weights(folder_with(tmp_path, *names), FOLDS)
    assert {fold: path.name for fold, path in found.items()} == expected
    assert list(found) == list(expected) and all(path.is_file() for path in found.values())


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["sub01.pth", "sub01.pt"], r"holds sub01\.pt, sub01\.pth: which one is of sub01"),
        (["sub01_best.pth", "sub01_last.pth"], r"holds sub01_best\.pth, sub01_last\.pth: which"),
        (["sub01_sub02.pth"], r"sub01_sub02\.pth may be the weights of sub01, sub02"),
        (["006_epoch_030.pth"], r"006_epoch_030\.pth may be the weights of 006, or of nobody"),
        (["a/sub01.pth", "b/sub02.pth"], r"holds 2 folders of weights: a, b\. Give one"),
        (["a/b.txt", "c/sub01.h5"], r"holds no weights .* but a, c"),
        ([], "holds no weights .* but nothing"),
        (
            [f"fold{number}.pth" for number in range(9)],
            r"no weights of these subjects, but fold0\.pth, fold1\.pth, fold2\.pth and 6 more\. "
            r"Name each file by its subject, such as sub01\.pth",
        ),
        # A number alone may be that of a fold; another dataset has subjects of more zeros.
        (["6.pth", "sub0001.pth"], r"no weights of these subjects, but 6\.pth, sub0001\.pth"),
        (["sub01/a.pth", "sub01/b.pth"], r"no weights of these subjects, but a\.pth, b\.pth"),
        (["sub01/a.pth", "other/a.pth"], r"holds 2 folders of weights: other, sub01\. Give one"),
    ],
)
def test_what_is_not_certain_is_listed(names: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=reason) as caught:
        find_weights(folder_with(tmp_path, *names), FOLDS)
    assert len(str(caught.value)) <= 300


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    folder_with(tmp_path, "sub01.pth")
    with pytest.raises(UserError, match=r"sub01\.pth is not a folder"):
        find_weights(tmp_path / "sub01.pth", FOLDS)
