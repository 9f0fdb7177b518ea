"""Results folders for the report page's tests, and the page read back."""

from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import numpy as np
import pandas as pd
import pytest

import make_report
from evaluation.predictions import RECORDED
from tests.helpers.made_up_rows import Pairs, rows_of_subjects, write_folder
from tests.helpers.scripts import run_here

SUBJECTS: dict[tuple[str, str], Pairs] = {
    ("casme2", "sub01"): [(0, 0), (0, 1), (1, 1), (2, 0)],
    ("casme2", "sub02"): [(1, 0), (2, 2)],
    ("samm", "006"): [(0, 2), (1, 1), (0, 0)],
    ("smic", "s01"): [(2, 2), (0, 0), (1, 2)],
}
"""(true, predicted) of each clip under ``last``."""


def write_results(
    folder: Path, subjects: dict[tuple[str, str], Pairs] = SUBJECTS, source: str = RECORDED
) -> Path:
    """A folder of one configuration under ``last`` and, with every clip right, ``oracle``."""
    right = {subject: [(true, true) for true, _ in pairs] for subject, pairs in subjects.items()}
    for place, rule, pairs in ((folder, "last", subjects), (folder / "oracle", "oracle", right)):
        write_folder(place, rows_of_subjects(pairs, rule=rule).assign(source=source))
    return folder


def write_robustness(folder: Path) -> pd.DataFrame:
    """Two models under noise on the test clips, three seeds, and one spotter condition."""
    random = np.random.default_rng(4)
    rows: list[tuple[object, ...]] = []
    for model in ("linear", "causalnet"):
        for level in (0.0, 0.1, 0.3):
            for seed in (1, 2, 3):
                uf1, uar = random.uniform(0.3, 0.9, size=2).round(6)
                rows.append((model, "test", "apex", level, seed, uf1, uar))
        rows.append((model, "spotter", "all", None, 1, 0.4, 0.5))
    names = ["model", "condition", "frames", "level", "seed", "uf1", "uar"]
    table = pd.DataFrame(rows, columns=names)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "robustness.csv", index=False)
    return table


def report(monkeypatch: pytest.MonkeyPatch, folder: Path, *more: object) -> Path:
    """Make the page of a folder; its path."""
    assert run_here(monkeypatch, make_report.main, folder, *more) == 0
    return folder / "report" / "report.html"


def read_page(path: Path) -> Element:
    """The page as a tree; a fault that a browser would have to mend is an error."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(path.read_text(encoding="utf-8"))


def text_of(element: Element) -> str:
    """All text in an element, white space as single spaces."""
    return " ".join("".join(element.itertext()).split())


def tables_of(page: Element) -> dict[str, list[list[str]]]:
    """Every table by its caption: rows of cells, the head first."""
    return {
        text_of(table.find("caption")): [  # type: ignore[arg-type]
            [text_of(cell) for cell in row] for row in table.iter("tr")
        ]
        for table in page.iter("table")
    }
