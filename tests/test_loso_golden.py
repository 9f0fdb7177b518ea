"""A whole LOSO run of ``linear``, pinned: folds, preparation, rows and metrics at once.

The labels are shuffled, so that the metrics are not those of a perfect run.

    python -m tests.test_loso_golden        # writes the stored rows anew

The stored rows change only where a change is meant; the commit then says why.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from common.files import write_text
from datasets import Inputs, read_inputs
from evaluation.metrics import compute_metrics
from tests.conftest import write_tiny_inputs
from tests.helpers.scripts import ROOT
from training import leave_one_subject_out

GOLDEN = ROOT / "tests" / "golden" / "linear_loso.csv"
UF1 = 1 / 3


def run(inputs: Inputs) -> pd.DataFrame:
    return leave_one_subject_out("linear", inputs, seed=1, label_shuffle=1, workers=1)


def test_a_run_of_linear_gives_the_stored_rows(tiny_inputs: Inputs) -> None:
    rows, stored = run(tiny_inputs), pd.read_csv(GOLDEN, dtype={"subject": str, "fold": str})
    scores = [name for name in stored if name.startswith("score_")]
    assert rows.pop("note").str.contains("LABELS SHUFFLED").all()
    pd.testing.assert_frame_equal(rows.drop(columns=scores), stored.drop(columns=scores))
    np.testing.assert_allclose(rows[scores], stored[scores], rtol=1e-4, atol=1e-5)
    metrics = compute_metrics(rows["true"].to_numpy(), rows["predicted"].to_numpy(), 3)
    np.testing.assert_allclose(metrics.uf1, UF1, atol=1e-12)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        write_tiny_inputs(Path(temporary))
        write_text(
            GOLDEN, run(read_inputs(Path(temporary))).drop(columns="note").to_csv(index=False)
        )
