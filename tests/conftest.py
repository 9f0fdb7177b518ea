"""Inputs for tests: a tiny folder of made-up maps, and the released samples where they are."""

import gc
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from common.files import write_bytes
from datasets import Inputs, read_inputs
from datasets.inputs import write_maps, write_table
from evaluation import result_files, statistics
from evaluation.report import drawing
from training import grid_run

SUBJECTS = (("casme2", "sub01"), ("casme2", "sub02"), ("samm", "006"), ("smic", "s01"))
CLIPS_PER_SUBJECT = 4
save_picture = drawing._save


def pytest_collection_finish() -> None:
    """Collecting garbage would visit all that was imported again and again: a sixth of the time.
    statsmodels collects it for every adjusted p, which takes a second where torch is imported."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(autouse=True, scope="session")
def without_syncs() -> Iterator[None]:
    """Files are not forced onto the disk: only a power cut could tell, and it takes 6 ms a file."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def in_this_process() -> Iterator[None]:
    """However slow the machine, no run starts processes that it was not asked for."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(grid_run, "WORTH_PROCESSES_SECONDS", math.inf)
        yield


@pytest.fixture(autouse=True, scope="session")
def quick_pictures() -> Iterator[None]:
    """PNG and PDF hold a picture's texts, and those of confusion matrices the counts: drawing them
    takes longer than all else. Where ``save_picture`` is put back they are drawn."""

    def save_texts(figure: Figure, kind: str, **options: Any) -> bytes:
        if kind == "svg":
            return save_picture(figure, kind, **options)
        return "\n".join([kind, *(own.get_text() for own in figure.findobj(Text))]).encode()

    def write_counts(path: Path, confusion: np.ndarray, *_: Any) -> None:
        write_bytes(path, confusion.tobytes())

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(drawing, "_save", save_texts)
        monkeypatch.setattr(result_files, "write_confusion_picture", write_counts)
        yield


@pytest.fixture(scope="module")
def few_resamples() -> Iterator[None]:
    """Intervals and tests of 499 draws, where their values are not what is tested."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(statistics, "RESAMPLES", 499)
        yield


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``write_tiny_inputs`` writes."""
    folder = tmp_path_factory.mktemp("tiny_inputs")
    write_tiny_inputs(folder)
    return folder


def write_tiny_inputs(folder: Path) -> None:
    """Four subjects of three datasets with four clips each; noise with a class-dependent offset."""
    random = np.random.default_rng(5)
    rows = []
    for dataset, subject in SUBJECTS:
        for number in range(CLIPS_PER_SUBJECT - (subject == "006")):
            label = number % 3
            noise = random.integers(0, 160, size=(2, 28, 28, 3))
            noise[:, 7 * label : 7 * label + 7] += 80
            rows.append((dataset, subject, f"{subject}_ep{number}", label))
            write_maps(folder, f"{subject}_{subject}_ep{number}", noise.astype(np.uint8))
    clips = pd.DataFrame(rows, columns=["dataset", "subject", "clip", "label"])
    write_table(folder, clips, synthetic=False)


@pytest.fixture(scope="session")
def tiny_inputs(tiny_folder: Path) -> Inputs:
    """The tiny folder, read."""
    return read_inputs(tiny_folder)


@pytest.fixture(scope="session")
def released_folder() -> Path:
    """The folder of the 442 released samples; the test is skipped where there is none."""
    folder = os.environ.get("CAUSALNET_INPUTS")
    if not folder:
        pytest.skip("set CAUSALNET_INPUTS to the folder of the released maps to run this test")
    return Path(folder)
