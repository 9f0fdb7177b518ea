"""Epoch rules on logits written down by hand, and what each of them may look at."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import calculate_all_results
import compare_results
import main_train_for_parameter_tuning as grid_script
import make_report
from benchmarks import oracle_by_epochs
from common.errors import UserError
from datasets import Inputs, loso_folds
from evaluation import epoch_rules
from evaluation.calculator import calculate
from evaluation.epoch_choices import choose_last
from evaluation.epoch_rules import (
    PUBLISHED_RULES,
    STAR_NOTE,
    Rule,
    choose,
    choose_in_grid,
    published_table,
    rules_footnote,
    rules_for,
)
from evaluation.fold_logits import (
    FoldIdentity,
    InnerTraining,
    StoredFold,
    fold_path,
    read_fold,
    read_folds_of_rows,
    write_fold,
)
from evaluation.methods import read_methods
from evaluation.metrics import compute_metrics
from evaluation.predictions import read_predictions
from tests.helpers.scripts import run_here
from training.configuration import fold_seed
from training.inner_validation import validation_rows

pytestmark = pytest.mark.usefixtures("few_resamples")


def fold(name: str, labels: list[int], predicted_by_epoch: list[list[int]]) -> StoredFold:
    """A stored fold whose networks predict these classes after each epoch."""
    clips = [f"{name}_{number}" for number in range(len(labels))]
    identity = FoldIdentity("a", name, [name] * len(labels), clips, labels, 1, "abc")
    logits = np.eye(3, dtype=np.float32)[np.array(predicted_by_epoch)]
    return StoredFold(identity, logits, np.zeros(len(logits), np.float32))


def epochs(rule: str, folds: list[StoredFold]) -> list[int]:
    return [choice.epoch for choice in choose(rule, folds)]


THREE_SUBJECTS = [
    fold("s1", [0, 1, 2], [[0, 1, 2], [0, 0, 0], [0, 0, 2], [1, 2, 0]]),
    fold("s2", [0, 1], [[1, 1], [0, 1], [0, 1], [1, 0]]),
    fold("s3", [2], [[0], [1], [2], [1]]),
]


def test_last_looks_at_nothing() -> None:
    assert epochs("last", THREE_SUBJECTS) == [3, 3, 3]


def test_oracle_takes_each_subjects_first_best_epoch() -> None:
    assert epochs("oracle", THREE_SUBJECTS) == [0, 1, 2]
    never_right = fold("s4", [1], [[0], [2], [0]])
    assert epochs("oracle", [never_right]) == [0]


def test_cross_fitted_takes_the_best_epoch_of_the_other_folds() -> None:
    by_hand = []
    for own in range(3):
        others = [other for place, other in enumerate(THREE_SUBJECTS) if place != own]
        true = np.concatenate([other.identity.labels for other in others])
        uf1 = [
            compute_metrics(
                true, np.concatenate([other.logits[epoch].argmax(1) for other in others]), 3
            ).uf1
            for epoch in range(4)
        ]
        by_hand.append(int(np.argmax(uf1)))
    assert epochs("cross_fitted", THREE_SUBJECTS) == by_hand == [2, 0, 0]


def test_cross_fitted_ignores_the_subjects_own_labels() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        folds = [
            fold(f"s{n}", random.integers(0, 3, 5).tolist(), random.integers(0, 3, (6, 5)).tolist())
            for n in range(4)
        ]
        relabelled = fold("s0", random.integers(0, 3, 5).tolist(), folds[0].logits.argmax(2))
        changed = [relabelled, *folds[1:]]
        assert epochs("cross_fitted", changed)[0] == epochs("cross_fitted", folds)[0]


def test_ties_go_to_the_first_epoch() -> None:
    same = [fold(name, [0, 1], [[1, 0], [0, 1], [0, 1]]) for name in ("s1", "s2")]
    assert epochs("cross_fitted", same) == [1, 1]
    assert epochs("oracle", same) == [1, 1]


def test_subjects_of_one_class_or_one_clip_take_part() -> None:
    folds = [fold("s1", [2], [[0], [2]]), fold("s2", [1, 1], [[1, 1], [0, 0]])]
    assert epochs("cross_fitted", folds) == [0, 1]


def test_a_choice_carries_the_logits_of_its_epoch() -> None:
    for rule in rules_for(THREE_SUBJECTS):
        for own, choice in zip(THREE_SUBJECTS, choose(rule, THREE_SUBJECTS), strict=True):
            np.testing.assert_array_equal(choice.logits, own.logits[choice.epoch])


def test_rules_that_cannot_differ_are_left_out() -> None:
    assert rules_for(THREE_SUBJECTS) == ["last", "cross_fitted", "oracle"]
    assert rules_for(THREE_SUBJECTS[:1]) == ["last", "oracle"]
    assert rules_for([fold("s1", [0], [[0]]), fold("s2", [1], [[0]])]) == ["last"]


def test_an_unknown_rule_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UserError, match=r"no epoch rule 'best'\. Choose one of: last, "):
        choose("best", THREE_SUBJECTS)


def with_inner(own: StoredFold, labels: list[int], by_epoch: list[list[int]]) -> StoredFold:
    """The fold, with validation clips and with test logits that say which epoch they are of."""
    epochs = len(own.logits)
    test_logits = np.arange(epochs, dtype=np.float32)[:, None, None] + np.zeros_like(own.logits)
    logits = np.eye(3, dtype=np.float32)[np.array(by_epoch)]
    rows = np.arange(len(labels))
    return replace(own, inner=InnerTraining(rows, np.array(labels), logits, test_logits))


def test_inner_takes_the_epoch_that_is_best_on_validation_clips() -> None:
    folds = [
        with_inner(THREE_SUBJECTS[0], [0, 1, 2], [[0, 0, 0], [0, 1, 1], [0, 1, 2], [0, 1, 2]]),
        with_inner(THREE_SUBJECTS[1], [1, 1], [[1, 1], [1, 0], [0, 1], [1, 1]]),
        with_inner(THREE_SUBJECTS[2], [2], [[0], [0], [0], [2]]),
    ]
    assert epochs("inner", folds) == epochs("inner_refit", folds) == [2, 0, 3]
    for own, inner, refit in zip(
        folds, choose("inner", folds), choose("inner_refit", folds), strict=True
    ):
        assert (inner.logits == inner.epoch).all() and inner.logits.shape == refit.logits.shape
        np.testing.assert_array_equal(refit.logits, own.logits[refit.epoch])
    assert rules_for(folds) == ["last", "inner", "inner_refit", "cross_fitted", "oracle"]
    with pytest.raises(UserError, match="fold s1 has no inner validation"):
        choose("inner", THREE_SUBJECTS)


def test_inner_does_not_look_at_the_test_clips() -> None:
    own = with_inner(THREE_SUBJECTS[0], [0, 1], [[0, 0], [0, 1], [1, 0], [0, 1]])
    other_labels = replace(own.identity, labels=[2, 2, 2])
    assert epochs("inner", [replace(own, identity=other_labels)]) == epochs("inner", [own]) == [1]


def stronger_grid() -> list[list[StoredFold]]:
    """Three subjects in two configurations; the second is all right in its second epoch."""
    first = [
        fold("s1", [0, 1, 2], [[0, 0, 0], [0, 1, 2], [0, 0, 2]]),
        fold("s2", [0, 1], [[1, 1], [0, 1], [0, 1]]),
        fold("s3", [2], [[0], [1], [1]]),
    ]
    second = [
        fold("s1", [0, 1, 2], [[0, 0, 0], [0, 1, 2], [1, 1, 1]]),
        fold("s2", [0, 1], [[0, 0], [0, 1], [1, 1]]),
        fold("s3", [2], [[0], [2], [1]]),
    ]
    return [first, second]


def test_a_grid_is_chosen_from_by_the_same_rules() -> None:
    grid = stronger_grid()
    places = {
        rule: [(place, choice.epoch) for place, choice in choose_in_grid(rule, grid)]
        for rule in ("last", "cross_fitted", "oracle")
    }
    assert places["last"] == [(0, 2)] * 3
    assert places["oracle"] == [(1, 1)] * 3
    # Without s3, which it misses, the first configuration is as good, and it comes first.
    assert places["cross_fitted"] == [(1, 1), (1, 1), (0, 1)]


def test_the_inner_choice_in_a_grid_takes_each_folds_own_configuration() -> None:
    grid = stronger_grid()
    wrong, right = [[0, 0], [0, 0], [0, 0]], [[0, 0], [1, 2], [1, 2]]
    first = [with_inner(grid[0][0], [1, 2], wrong), with_inner(grid[0][1], [1, 2], right)]
    second = [with_inner(grid[1][0], [1, 2], right), with_inner(grid[1][1], [1, 2], right)]
    chosen = choose_in_grid("inner", [first, second])
    assert [(place, choice.epoch) for place, choice in chosen] == [(1, 1), (0, 1)]
    assert all((choice.logits == 1).all() for _, choice in chosen)


def test_htnet_gives_ties_to_the_later_epoch() -> None:
    """Right clips by epoch: s1 3 1 2 0, s2 1 2 2 0, s3 0 0 1 0."""
    picked = [choice.epoch for choice in choose("htnet", THREE_SUBJECTS)]
    assert picked == [0, 2, 2]
    metrics = PUBLISHED_RULES["htnet"].metrics(THREE_SUBJECTS)
    assert metrics == {"F1": 1, "recall": 1, "accuracy": 1}
    never_right = [fold("s4", [1, 0], [[0, 2], [0, 1]])]
    assert [choice.epoch for choice in choose("htnet", never_right)] == [1]


def test_mmnet_takes_accuracy_and_f1_from_different_epochs() -> None:
    """First subject, true 0 0 0 1: epoch 1 has 3 right (F1 of 0: 6/7, of 1: 0; mean 3/7), epoch 2
    has 2 right (1/2, 1/2; mean 1/2). Second subject, true 2: epochs 1 and 2 are equally right."""
    folds = [
        fold("s1", [0, 0, 0, 1], [[0, 0, 0, 0], [0, 1, 1, 1], [2, 2, 2, 2]]),
        fold("s2", [2], [[2], [2], [1]]),
    ]
    metrics = PUBLISHED_RULES["mmnet"].metrics(folds)
    # Pooled over epoch 2 of both: F1 of 0 is 2/4, of 1 is 2/4, of 2 is 1.
    assert metrics == pytest.approx({"accuracy": (3 + 1) / 5, "F1": (0.5 + 0.5 + 1) / 3})
    # A later epoch with the same F1 wins: the last one has no hit, so F1 comes from epoch 2.
    swapped = [folds[0], fold("s2", [0, 1], [[0, 2], [2, 1], [2, 2]])]
    later = PUBLISHED_RULES["mmnet"].metrics(swapped)
    # Pooled: true 0 0 0 1 0 1, predicted 0 1 1 1 2 1.
    assert later["F1"] == pytest.approx((2 * 1 / 5 + 2 * 2 / 6 + 0) / 3)


def test_off_tanet_averages_over_folds_at_one_epoch() -> None:
    """Recall of a fold counts classes that are only predicted: true 0 0, predicted 0 1 has recall
    (1/2 + 0) / 2 and F1 (2/3 + 0) / 2."""
    folds = [
        fold("s1", [0, 0], [[0, 1], [0, 0]]),
        fold("s2", [1, 2], [[1, 2], [1, 1]]),
    ]
    # Epoch 1: recalls 1/4 and 1; epoch 2: 1 and 1/2.
    metrics = PUBLISHED_RULES["off_tanet"].metrics(folds)
    assert metrics == pytest.approx({"recall": (1 + 1 / 2) / 2, "F1": (1 + (2 / 3 + 0) / 2) / 2})
    first = [replace(own, logits=own.logits[:1]) for own in folds]
    metrics = PUBLISHED_RULES["off_tanet"].metrics(first)
    assert metrics == pytest.approx({"recall": (1 / 4 + 1) / 2, "F1": (1 / 3 + 1) / 2})


def test_srmcl_averages_the_running_accuracy_in_the_order_of_folds() -> None:
    folds = [
        fold("s1", [0, 1], [[1, 0], [0, 1]]),
        fold("s2", [2, 2], [[2, 2], [0, 2]]),
        fold("s3", [1], [[1], [0]]),
    ]
    metrics = PUBLISHED_RULES["srmcl"].metrics(folds)
    assert metrics == pytest.approx({"accuracy": (2 / 2 + 3 / 4 + 3 / 5) / 3})
    reverse = PUBLISHED_RULES["srmcl"].metrics(folds[::-1])
    assert reverse == pytest.approx({"accuracy": (0 / 1 + 1 / 3 + 3 / 5) / 3})


def test_published_rules_are_listed_below_last_with_a_star_where_they_select() -> None:
    table = published_table(THREE_SUBJECTS)
    assert list(table["rule"]) == ["last", "htnet*", "mmnet*", "off_tanet*", "srmcl"]
    assert table["recall"].isna().tolist() == [False, False, True, False, True]
    assert list(published_table(THREE_SUBJECTS, ["mmnet"])["rule"]) == ["last", "mmnet*"]
    with pytest.raises(UserError, match=r"no published rule oracle\. There are: htnet, mmnet"):
        published_table(THREE_SUBJECTS, ["oracle"])


def test_notes_explain_each_rule_and_the_star_once() -> None:
    lines = rules_footnote(["last", "oracle", "unheard"]).splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["last", "oracle*", "unheard"]
    assert lines[3:] == [STAR_NOTE] and "do not say how" in lines[2]
    assert STAR_NOTE not in rules_footnote(["last", "inner"], in_grid=True)


def many_clips() -> pd.DataFrame:
    """Three datasets of ten subjects with one to eight clips, classes in unequal shares."""
    random = np.random.default_rng(8)
    parts = [
        pd.DataFrame(
            {"dataset": dataset, "subject": f"s{n}", "label": random.integers(0, 3, clips)}
        )
        for dataset in ("a", "b", "c")
        for n in range(10)
        for clips in [1 if n == 0 else random.integers(2, 9)]
    ]
    return pd.concat(parts, ignore_index=True)


def test_validation_subjects_are_whole_and_cover_datasets_and_classes() -> None:
    clips = many_clips()
    drawn = set()
    for own in loso_folds(clips):
        rows = validation_rows(clips, own, seed=fold_seed(1, own.dataset, own.subject, "inner"))
        assert np.isin(rows, own.train_indices).all()
        pairs = clips["dataset"] + "/" + clips["subject"]
        chosen, rest = set(pairs[rows]), set(pairs[np.setdiff1d(own.train_indices, rows)])
        assert len(chosen) > 1 and not chosen & rest
        validation = clips.iloc[rows]
        assert len(validation.groupby(["dataset", "label"])) >= 8
        assert 0.12 < len(rows) / len(own.train_indices) < 0.28
        drawn.add(frozenset(chosen))
        again = validation_rows(clips, own, seed=fold_seed(1, own.dataset, own.subject, "inner"))
        np.testing.assert_array_equal(rows, again)
    assert len(drawn) > 10


@pytest.mark.parametrize("kept", [0, 10, 200])
def test_a_stored_fold_that_was_cut_off_is_refused_by_name(kept: int, tmp_path: Path) -> None:
    own = THREE_SUBJECTS[0]
    write_fold(tmp_path, own)
    path = fold_path(tmp_path, own.identity.name)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"s1.npz is damaged .* Delete it"):
        read_fold(tmp_path, own.identity)


def test_the_benchmark_of_the_oracle_asks_for_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(monkeypatch, oracle_by_epochs.main) == 2
    assert capsys.readouterr().err.startswith("error: give folders of finished runs")


@pytest.mark.parametrize(("subjects", "kept"), [(3, 1), (4, 1), (5, 2), (6, 2), (9, 2)])
def test_two_of_few_training_subjects_are_held_out_where_two_remain(
    subjects: int, kept: int
) -> None:
    names = np.repeat([f"s{number}" for number in range(subjects)], 3)
    labels = np.arange(3 * subjects) % 3
    clips = pd.DataFrame({"dataset": "a", "subject": names, "label": labels})
    drawn = set()
    for own in loso_folds(clips):
        rows = validation_rows(clips, own, seed=fold_seed(1, own.dataset, own.subject, "inner"))
        assert np.isin(rows, own.train_indices).all() and len(rows) == 3 * kept
        assert clips["subject"].iloc[rows].nunique() == kept
        drawn.add(tuple(rows))
    assert len(drawn) > 1


def test_validation_needs_two_training_subjects() -> None:
    clips = pd.DataFrame({"dataset": "a", "subject": ["s1", "s2", "s2"], "label": [0, 1, 2]})
    with pytest.raises(UserError, match="too few training subjects"):
        validation_rows(clips, loso_folds(clips)[0], seed=1)


@pytest.fixture(scope="module")
def searched(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configurations of a small network with inner validation, folds in pairs."""
    results = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert search(monkeypatch, tiny_folder, results, "--group-size", 2) == 0
    return results


def search(
    monkeypatch: pytest.MonkeyPatch,
    inputs: Path,
    results: Path,
    *more: object,
    gammas: tuple[float, ...] = (0.5, 0.3),
    epochs: int = 3,
) -> object:
    settings = ("--method", "causalnet_compact", "--epochs", epochs, "--batch-size", 4, "--inner")
    grid = ("--gammas", *gammas, "--threads", 1, "--inputs", inputs, "--results", results)
    return run_here(monkeypatch, grid_script.main, *settings, *grid, *more)


def test_a_search_writes_a_set_of_files_for_every_rule(searched: Path) -> None:
    rules = ("inner", "inner_refit", "cross_fitted", "oracle")
    summary = (searched / "result_summary.txt").read_text().splitlines()
    assert [line.split(" | ")[2] for line in summary] == ["last", *rules] * 2
    for place in (searched / "0.3_1_1_2", searched / "chosen"):
        for rule in rules:
            rows = read_predictions(place / rule / "predictions.csv")
            assert len(rows) == 15 and set(rows["epoch_rule"]) == {rule}
    choices = pd.read_csv(searched / "chosen" / "inner" / "choices.csv")
    assert list(choices["fold"]) == ["sub01", "sub02", "006", "s01"]
    assert set(choices["configuration"]) <= {"0.5_1_1_2", "0.3_1_1_2"}
    assert (
        read_methods([searched / "chosen" / "inner"])[0].title
        == "chosen (inner, 2 configurations searched)"
    )
    text = (searched / "grid_summary.txt").read_text()
    assert "chosen among 2 configurations" in text and "oracle* | UF1=0." in text
    assert "The search itself looked at test subjects" in text


def test_a_later_command_cannot_choose_among_what_was_searched(
    searched: Path,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = shutil.copytree(searched, tmp_path / "searched")
    choices = results / "chosen" / "last" / "choices.csv"
    before = choices.read_bytes()
    assert set(pd.read_csv(choices)["configuration"]) == {"0.5_1_1_2"}
    # Another order chooses nothing else; a part of the search says nothing of the whole.
    search(monkeypatch, tiny_folder, results, "--group-size", 2, gammas=(0.3, 0.5))
    assert choices.read_bytes() == before
    search(monkeypatch, tiny_folder, results, "--group-size", 2, gammas=(0.3,))
    assert "2 configurations were searched" in " ".join(capsys.readouterr().out.split())
    assert not (results / "chosen").exists() and not (results / "grid_summary.txt").exists()


def test_results_of_a_search_say_that_there_was_one(
    searched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (searched / "0.5_1_1_2", searched / "chosen" / "last"):
        calculate(folder)
        assert "(2 configurations searched)" in capsys.readouterr().out
    calculate(searched / "0.5_1_1_2")
    own = capsys.readouterr().out.splitlines()[-2]
    for oracle in ("chosen/oracle", "0.5_1_1_2/oracle"):
        calculate(searched / oracle)
        printed = capsys.readouterr().out
        assert "selected on the test subject" in printed
        # The first configuration of the grid is what ``last`` quotes of it.
        assert f"the same networks under last: {own}" in printed


def test_configurations_of_one_epoch_are_chosen_among_too(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(monkeypatch, tiny_folder, tmp_path / "one", "--group-size", 4, epochs=1)
    found = {path.name for path in (tmp_path / "one" / "chosen").iterdir()}
    assert found == {"last", "inner", "inner_refit", "cross_fitted", "oracle"}
    choices = pd.read_csv(tmp_path / "one" / "chosen" / "oracle" / "choices.csv")
    assert set(choices["epoch"]) == {1}


def test_stored_validation_clips_are_training_clips_and_shape_the_rules(
    searched: Path, tiny_inputs: Inputs
) -> None:
    for own in loso_folds(tiny_inputs.clips):
        with np.load(searched / "0.5_1_1_2" / "folds" / f"{own.name}.npz") as file:
            rows = file["validation_rows"]
            assert np.isin(rows, own.train_indices).all()
            labels = tiny_inputs.clips["label"].to_numpy()[rows]
            np.testing.assert_array_equal(file["validation_labels"], labels)
            assert file["validation_logits"].shape == (3, len(rows), 3)
            assert file["inner_test_logits"].shape == file["logits"].shape
            assert not np.array_equal(file["inner_test_logits"], file["logits"])


def test_inner_changes_no_other_rule_and_is_equal_in_groups(
    searched: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = ("--group-size", 1, "--subjects", "sub01", "s01")
    assert search(monkeypatch, tiny_folder, tmp_path / "one", *part, gammas=(0.5,)) == 0
    plain = ("--no-inner", *part)
    assert search(monkeypatch, tiny_folder, tmp_path / "plain", *plain, gammas=(0.5,)) == 0
    for name in ("sub01", "s01"):
        place = Path("0.5_1_1_2") / "folds" / f"{name}.npz"
        files = [np.load(root / place) for root in (tmp_path / "one", tmp_path / "plain", searched)]
        lone, without, grouped = files
        np.testing.assert_array_equal(lone["logits"], without["logits"])
        assert "validation_logits" not in without
        for key in ("validation_logits", "inner_test_logits"):
            # After one epoch: rounding differences of a stacked product grow from step to step.
            np.testing.assert_allclose(grouped[key][0], lone[key][0], rtol=1e-3, atol=1e-4)


MIDDLE = Rule(
    "middle",
    "the epoch in the middle",
    lambda folds: [
        replace(last, epoch=len(own.logits) // 2, logits=own.logits[len(own.logits) // 2])
        for own, last in zip(folds, choose_last(folds), strict=True)
    ],
    honesty="selected on test subjects",
    grid_note="the middle of all epochs of all configurations",
    color="#123456",
)


def test_a_rule_added_in_one_place_appears_everywhere(
    searched: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    results = shutil.copytree(searched, tmp_path / "searched")
    monkeypatch.setitem(epoch_rules.RULES, "middle", MIDDLE)
    assert search(monkeypatch, tiny_folder, results, "--group-size", 2) == 0
    assert "middle*: the middle of all epochs" in " ".join(capsys.readouterr().out.split())
    for folder in (results / "0.3_1_1_2", results / "chosen"):
        assert set(read_predictions(folder / "middle" / "predictions.csv")["epoch"]) == {
            1 if folder.name == "chosen" else 2
        }
    assert "| middle" in (results / "result_summary.txt").read_text()
    calculate(results / "chosen" / "middle")
    assert "the same networks under last" in capsys.readouterr().out

    assert run_here(monkeypatch, make_report.main, results) == 0
    page = (results / "report" / "report.html").read_text()
    for text in ("Epoch rule middle*", "UF1, middle*", "The epoch in the middle."):
        assert text in page
    assert "#123456" in (results / "report/pictures/metrics-0.3_1_1_2.svg").read_text()

    table = tmp_path / "table.md"
    folders = (results / "0.5_1_1_2", "--rules", "inner", "middle", "--table", table)
    assert run_here(monkeypatch, compare_results.main, *folders) == 0
    text = table.read_text()
    # The rule that chooses nothing is listed next to a rule that selects on test subjects.
    assert [f"({rule}," in text for rule in ("last", "inner", r"middle\*")] == [True] * 3
    assert r"middle\*: the epoch in the middle." in text
    sentence = " ".join(capsys.readouterr().out.split())
    assert "its epoch was chosen on the test subjects" in sentence


def test_stored_folds_of_other_rows_are_refused(searched: Path) -> None:
    folder = searched / "0.5_1_1_2"
    rows = read_predictions(folder / "predictions.csv")
    folds = read_folds_of_rows(folder, rows)
    assert folds is not None and len(folds) == 4
    other = rows.assign(predicted=(rows["predicted"] + 1) % 3)
    with pytest.raises(UserError, match=r"npz did not give the rows of predictions\.csv"):
        read_folds_of_rows(folder, other)
    assert read_folds_of_rows(folder, rows.drop(columns="fold")) is None
    assert read_folds_of_rows(searched, rows) is None


def test_published_rules_are_printed_and_written_on_request(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "160")
    folder = shutil.copytree(searched, tmp_path / "searched") / "0.5_1_1_2"
    assert run_here(monkeypatch, calculate_all_results.main, folder, "--published") == 0
    assert "mmnet*: MMNet: accuracy and F1 from different epochs" in capsys.readouterr().out
    table = pd.read_csv(folder / "published_rules.csv")
    assert list(table["rule"]) == ["last", "htnet*", "mmnet*", "off_tanet*", "srmcl"]
    assert table["accuracy"][1] == table["accuracy"][2]
    assert run_here(monkeypatch, calculate_all_results.main, folder / "oracle", "--published") == 2
    assert "no epochs of every fold, which --published needs" in capsys.readouterr().err


def test_the_benchmark_of_the_oracle_keeps_curves_of_other_runs(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    first = {"a": np.array([[0.5, 0.6], [0.5, 0.7]]), "b": np.array([[0.1], [0.2]])}
    table = oracle_by_epochs.with_measured(path, first)
    table.to_csv(path, index=False)
    again = oracle_by_epochs.with_measured(path, {"b": np.array([[0.3, 0.4], [0.3, 0.45]])})
    assert again.to_numpy().tolist() == [
        ["a", 1, 0.5, 0.5],
        ["a", 2, 0.6, 0.7],
        ["b", 1, 0.3, 0.3],
        ["b", 2, 0.4, 0.45],
    ]


def test_the_benchmark_of_the_oracle_refuses_another_table(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("run,epoch\na,1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"curves.csv is no table of curves: .* Delete it"):
        oracle_by_epochs.with_measured(path, {"b": np.array([[0.1], [0.2]])})
