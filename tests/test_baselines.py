"""Baselines behind the fold interface, the protocols and ablations, and the check that chance comes
out when labels mean nothing."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import eval as eval_script
import main_train_for_parameter_tuning as grid_script
from datasets import Inputs, Preparation, loso_folds, prepare, shuffle_labels
from evaluation.methods import read_methods
from evaluation.metrics import subject_confusions
from evaluation.predictions import read_predictions
from evaluation.statistics import Interval, bootstrap_interval
from models import create_model, list_models, load_method
from models.estimator import estimator_scores, fit_estimator
from models.linear import LinearClassifier, area_matrix, features
from tests.conftest import SUBJECTS
from tests.helpers.scripts import run_here
from training.grid_run import run_grid
from training.group_task import GroupTask
from training.run_settings import plan_search
from training.settings import RunSettings
from training.worker import Worker

CENTERED = Preparation(regions=False, center=True, mirror=True)


def made_up_inputs(seed: int, subjects: int = 6, clips: int = 9, signal: float = 40) -> Inputs:
    """Coarse and fine noise; a patch of the first map's u and v is raised where the class says.

    The coarse noise, patches of each clip's own, keeps the classes from being three tight clusters:
    shuffled labels of clusters would make all clips of a cluster right or wrong together.
    """
    random = np.random.default_rng(seed)
    names = [(dataset, f"{dataset}{n}") for dataset in ("a", "b") for n in range(subjects)]
    table = pd.DataFrame(
        [(*name, f"c{place}", place % 3) for name in names for place in range(clips)],
        columns=["dataset", "subject", "clip", "label"],
    ).assign(stem=lambda rows: rows["subject"] + "_" + rows["clip"])
    coarse = random.normal(0, 30, size=(len(table), 4, 4, 4, 3)).repeat(7, 2).repeat(7, 3)
    maps = coarse + random.normal(110, 15, size=coarse.shape)
    for own, label in zip(maps, table["label"], strict=True):
        own[0, 9 * label : 9 * label + 6, 4:24, 1:] += signal
    stored = np.clip(maps, 0, 255).astype(np.uint8)
    return Inputs(stored, table, Path("made-up"), synthetic=True)


@pytest.mark.parametrize("size", [7, 10, 14, 28])
def test_area_reduction_is_opencvs(size: int) -> None:
    image = np.random.default_rng(1).random((28, 28))
    matrix = area_matrix(28, size)
    expected = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(matrix @ image @ matrix.T, expected, rtol=1e-6)


def flow_of(inputs: Inputs) -> np.ndarray:
    return features(prepare(inputs.maps, CENTERED)[0])


def fit_linear(inputs: Inputs, **arguments: object) -> LinearClassifier:
    model = LinearClassifier(**arguments)  # type: ignore[arg-type]
    groups = inputs.clips[["dataset", "subject"]].agg("/".join, axis=1).to_numpy(str)
    return model.fit(flow_of(inputs), inputs.clips["label"].to_numpy(), groups)


def test_linear_learns_what_is_there() -> None:
    model = fit_linear(made_up_inputs(1), sizes=(7,), strengths=(1e-3, 1e-2))
    fresh = made_up_inputs(2)
    assert (model.predict(flow_of(fresh)) == fresh.clips["label"]).mean() > 0.9


def test_linear_sees_nothing_but_the_flow_of_the_first_map() -> None:
    clips = prepare(made_up_inputs(1).maps, CENTERED)[0]
    changed = clips.copy()
    changed[:, 1:] += 7
    changed[:, 0, 0] -= 9
    assert np.array_equal(features(changed), features(clips))


def test_linear_folds_reduction_and_scaling_into_one_matrix() -> None:
    """It gives the decision of scikit-learn's own pipeline on reduced, scaled features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs = made_up_inputs(3, signal=12)
    model = fit_linear(inputs, sizes=(10,), strengths=(1e-2,))
    flow = prepare(inputs.maps, CENTERED)[:, :, 0, 1:].astype(np.float64)
    reduced = (area_matrix(28, 10) @ flow @ area_matrix(28, 10).T).reshape(*flow.shape[:2], -1)
    pipeline = make_pipeline(
        StandardScaler(), LogisticRegression(C=1e-2, class_weight="balanced", max_iter=2000)
    )
    labels = inputs.clips["label"].to_numpy()
    pipeline.fit(np.concatenate(list(reduced)), np.tile(labels, 2))
    expected = pipeline.decision_function(reduced[0])
    np.testing.assert_allclose(model.decision_function(flow_of(inputs)), expected, atol=1e-6)


def test_linear_chooses_on_held_out_subjects_the_size_at_which_the_class_is_seen() -> None:
    """A pattern of single pixels is lost at 7 x 7; every subject has a face of its own besides."""
    inputs = made_up_inputs(4, signal=0)
    maps = inputs.maps.astype(int)
    checks = np.indices((28, 28)).sum(axis=0) % 2 * 2 - 1
    for own, label in zip(maps, inputs.clips["label"], strict=True):
        own[0, 9 * label : 9 * label + 9, :, 1] += 25 * checks[:9]
    fine = Inputs(np.clip(maps, 0, 255).astype(np.uint8), inputs.clips, inputs.folder, True)
    for offered in ((7, 28), (28, 7)):
        model = fit_linear(fine, sizes=offered, strengths=(1e-2,))
        only_fine = fit_linear(fine, sizes=(28,), strengths=(1e-2,))
        assert np.array_equal(model.weight_, only_fine.weight_)
    assert (only_fine.predict(flow_of(fine)) == fine.clips["label"]).mean() > 0.9


@pytest.mark.parametrize("present", [[0], [2], [0, 2], [1, 2]])
def test_linear_never_gives_a_class_without_training_clips(present: list[int]) -> None:
    inputs = made_up_inputs(5)
    kept = inputs.clips[inputs.clips["label"].isin(present)]
    part = Inputs(inputs.maps[kept.index], kept.reset_index(drop=True), inputs.folder, True)
    model = fit_linear(part, sizes=(7,), strengths=(1e-2,))
    flow = flow_of(part)
    assert (model.predict(flow) == part.clips["label"]).mean() > 0.9
    method = load_method("linear")
    scores = estimator_scores(method, model, prepare(part.maps, CENTERED)[0], 3)
    assert np.isfinite(scores).all() and set(scores.argmax(1)) <= set(present)


def test_majority_gives_the_most_frequent_class_and_the_lower_one_on_a_tie() -> None:
    clips = np.zeros((5, 4, 3, 28, 28), dtype=np.float32)
    method = load_method("majority")
    for labels, expected in (([2, 2, 1, 2, 0], 2), ([2, 1, 1, 2, 0], 1)):
        model = fit_estimator(
            method, method.build(), clips, np.array(labels), np.arange(5).astype(str)
        )
        assert estimator_scores(method, model, clips[:4], 3).argmax(1).tolist() == [expected] * 4


def test_ststnet_has_sixteen_filters_and_four_hundred_features() -> None:
    network = create_model("ststnet")
    filters = [m.out_channels for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    (head,) = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert sum(filters) == 16 and head.in_features == 400
    maps = torch.rand(2, 4, 3, 28, 28)
    changed = maps.clone()
    changed[:, 1:] = 0
    assert torch.equal(network(maps), network(changed))


def search(monkeypatch: pytest.MonkeyPatch, inputs: Path, results: Path, *more: object) -> object:
    arguments = ("--inputs", inputs, "--results", results, "--threads", 1)
    return run_here(monkeypatch, grid_script.main, *arguments, *more)


@pytest.mark.parametrize("method", ["linear", "majority", "ststnet"])
def test_a_baseline_runs_through_the_same_script_folds_rows_and_weights(
    method: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["--method", method, "--save-weights", "--weights", tmp_path / "weights"]
    if method == "ststnet":
        more += ["--epochs", 2]
    results = tmp_path / "results"
    assert search(monkeypatch, tiny_folder, results, *more) == 0
    rows = read_predictions(results / method / "predictions.csv")
    assert len(rows) == 15 and set(rows["subject"]) == {subject for _, subject in SUBJECTS}
    summary = (results / "result_summary.txt").read_text().splitlines()
    rules = ["last", "cross_fitted", "oracle"] if method == "ststnet" else ["last"]
    assert [line.split(" | ")[::2] for line in summary] == [[method, rule] for rule in rules]
    record = yaml.safe_load((results / "config.yaml").read_text())
    assert (record["training"] is None) == (method != "ststnet")
    weights = tmp_path / "weights" / f"results-{method}"
    arguments = ("--inputs", tiny_folder, "--weights", weights, "--results", tmp_path / "eval")
    assert run_here(monkeypatch, eval_script.main, *arguments) == 0
    evaluated = read_predictions(tmp_path / "eval" / "predictions.csv")
    pd.testing.assert_frame_equal(evaluated, rows)


def test_a_whole_dataset_can_be_left_out(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = ("--method", "linear", "--protocol", "leave_one_dataset_out")
    saved = ("--save-weights", "--weights", tmp_path / "weights")
    results = tmp_path / "results"
    assert search(monkeypatch, tiny_folder, results, *protocol, *saved) == 0
    rows = read_predictions(results / "linear" / "predictions.csv")
    assert sorted(rows["fold"].unique()) == ["casme2", "samm", "smic"]
    assert set(rows[rows["fold"] == "casme2"]["subject"]) == {"sub01", "sub02"}
    assert subject_confusions(rows, 3).shape == (4, 3, 3)
    assert "protocol leave_one_dataset_out" in (results / "result_summary.txt").read_text()
    (method,) = read_methods([results / "linear"])
    assert len(method.clips) == 15
    arguments = ("--inputs", tiny_folder, "--weights", tmp_path / "weights" / "results-linear")
    assert run_here(monkeypatch, eval_script.main, *arguments, "--results", tmp_path / "eval") == 0
    pd.testing.assert_frame_equal(
        read_predictions(tmp_path / "eval" / "predictions.csv"), rows.drop(columns="note")
    )


def test_an_ablation_has_a_name_and_a_hash_of_its_own_and_shares_the_folder(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("--method", "causalnet_compact", "--epochs", 1, "--subjects", "s01")
    for ablation in ("none", "no_cab", "contraction_only"):
        assert search(monkeypatch, tiny_folder, tmp_path, *small, "--ablation", ablation) == 0
    names = ["0.5_1_1_2", "0.5_1_1_2_no_cab", "0.5_1_1_2_contraction_only"]
    record = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert list(record["configurations"]) == names
    rows = [read_predictions(tmp_path / name / "predictions.csv") for name in names]
    assert len({row["configuration"].iloc[0] for row in rows}) == 3
    assert len({row["score_negative"].iloc[0] for row in rows}) == 3


def test_labels_are_shuffled_within_datasets_by_their_seed() -> None:
    inputs = made_up_inputs(6)
    shuffled, again, other = (shuffle_labels(inputs, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(shuffled.clips, again.clips)
    assert not shuffled.clips["label"].equals(other.clips["label"])
    assert not shuffled.clips["label"].equals(inputs.clips["label"])
    for _, part in shuffled.clips.groupby("dataset"):
        assert part["label"].value_counts().nunique() == 1
    assert shuffled.sha256 != inputs.sha256


LABEL_FREE = ("au_rule",)
FITTED = [
    *(name for name in list_models() if not load_method(name).trained),
    *("causalnet_compact", "causalnet_compact_v1", "causalnet_pretrained", "ststnet"),
]


@pytest.mark.parametrize("name", FITTED)
def test_labels_of_a_test_subject_change_none_of_its_scores(name: str, tmp_path: Path) -> None:
    """Those of a training subject change them, so that the test can fail."""

    def scores(whose: str | None) -> np.ndarray:
        labels = inputs.clips["label"].to_numpy(copy=True)
        own = (inputs.clips["subject"] == whose).to_numpy()
        labels[own] = 2
        return scores_of_first_fold(
            replace(inputs, clips=inputs.clips.assign(label=labels)), name, tmp_path
        )

    inputs = made_up_inputs(11, subjects=3, clips=6)
    as_given = scores(None)
    np.testing.assert_array_equal(scores("a0"), as_given)
    assert np.array_equal(scores("b1"), as_given) == (name in LABEL_FREE)


def scores_of_first_fold(inputs: Inputs, name: str, results: Path) -> np.ndarray:
    """Logits of the first subject's clips, a0; a network is trained for one epoch."""
    settings = RunSettings(method=name, seed=1, epochs=1 if load_method(name).trained else None)
    search = plan_search(settings, inputs, results)
    fold = next(fold for fold in loso_folds(inputs.clips) if fold.name == "a0")
    worker = Worker(search.run, search.method, search.inputs, [fold])
    outcome = worker.train(GroupTask(search.configurations[0], (fold,)))
    return outcome.folds[0].outcome.logits


def uar_of_run(inputs: Inputs, results: Path, method: str, **run: object) -> dict[str, Interval]:
    """UAR with its interval under every rule, of a run of 8 epochs on these inputs."""
    few = (
        {"set": ("sizes=[7]", "strengths=[1.0e-3, 1.0e-1]")}
        if method == "linear"
        else {"epochs": 8}
    )
    settings = RunSettings(method=method, seed=1, group_size=12, **few, **run)  # type: ignore[arg-type]
    search = plan_search(settings, inputs, results)
    run_grid(search, lambda cost: None)
    intervals = {}
    for folder in (
        search.folder(search.configurations[0]),
        *(path.parent for path in results.glob("*/*/predictions.csv")),
    ):
        rows = read_predictions(folder / "predictions.csv")
        rule = rows["epoch_rule"].iloc[0]
        intervals[rule] = bootstrap_interval(subject_confusions(rows, 3)[np.newaxis], "UAR")
    return intervals


CHANCE = 1 / 3


def test_shuffled_labels_give_chance_but_for_the_rule_that_looks_at_the_test_subject(
    tmp_path: Path,
) -> None:
    inputs = made_up_inputs(7, subjects=5, signal=60)
    sound = uar_of_run(inputs, tmp_path / "sound", "ststnet")
    assert min(interval.low for interval in sound.values()) > 0.5
    null = uar_of_run(inputs, tmp_path / "null", "ststnet", inner=True, label_shuffle=1)
    for rule in ("last", "inner", "inner_refit"):
        assert null[rule].low < CHANCE < null[rule].high, rule
    assert null["oracle"].low > CHANCE


def test_linear_on_shuffled_labels_gives_chance(tmp_path: Path) -> None:
    inputs = made_up_inputs(8)
    assert uar_of_run(inputs, tmp_path / "sound", "linear")["last"].low > 0.5
    null = uar_of_run(inputs, tmp_path / "null", "linear", label_shuffle=1)
    assert null["last"].low < CHANCE < null["last"].high


def test_every_clip_is_tested_once_whatever_the_protocol() -> None:
    clips = made_up_inputs(9).clips
    for protocol in ("composite", "single_dataset", "leave_one_dataset_out"):
        folds = loso_folds(clips, protocol)  # type: ignore[arg-type]
        tested = np.sort(np.concatenate([fold.test_indices for fold in folds]))
        np.testing.assert_array_equal(tested, np.arange(len(clips)))


def test_steps_of_the_preparation_are_set_by_flag_and_recorded(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ("--shift", 1, "--strain", False, "--mirror", False, "--scale", 0.5)
    assert search(monkeypatch, tiny_folder, tmp_path, "--method", "majority", *steps) == 0
    record = yaml.safe_load((tmp_path / "config.yaml").read_text())
    expected = {"shift": 1, "strain": False, "mirror": False, "scale": 0.5}
    untouched = {"regions": False, "affine": False, "rms": False, "phase_sum": False}
    assert record["preparation"] == {"center": False} | expected | untouched
