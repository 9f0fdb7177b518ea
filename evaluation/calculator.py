"""The work of ``calculate_all_results*.py``: prints metrics and writes them as a spreadsheet."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from common.command_line import parse_settings
from common.errors import UserError, name_list
from common.files import write_text
from common.owned_folder import ANY_MAKER, shared_record
from common.refusals import LONGEST_FILE, Refusal
from evaluation.epoch_rules import DEFAULT_RULE, published_table, selection_warnings
from evaluation.fold_logits import StoredFold, read_folds_of_rows
from evaluation.metrics import Metrics
from evaluation.predictions import list_epoch_rules, read_class_names_column, score_rows
from evaluation.results_folder import (
    PREDICTIONS_NAME,
    Results,
    describe_problems,
    read_results,
)
from evaluation.spreadsheet import write_spreadsheet
from evaluation.tables import DATASET_TITLES, print_confusion, print_published

ROOM_WITHOUT_FOLDER = 220
"""Characters of a line for problems and the folder's name."""


@dataclass(frozen=True)
class CalculatorConfig:
    """The settings of ``calculate_all_results*.py``."""

    folder: tyro.conf.Positional[Path] = Path("results")
    """Folder that holds the result files."""
    partial: bool = False
    """Compute from what is there although clips are missing; the output then says how many."""
    published: bool = False
    """Also compute what published rules give for the stored epochs of every fold."""


def run_calculator(description: str | None, dataset: str | None) -> None:
    """Parse the command line and compute; ``dataset`` limits it to one dataset's part."""
    config = parse_settings(CalculatorConfig, description)
    calculate(config.folder, dataset, config.partial, config.published)


def calculate(
    folder: Path, dataset: str | None = None, partial: bool = False, published: bool = False
) -> None:
    """Print the pooled metrics of a results folder and write them as a spreadsheet into it.

    Args:
        dataset: one dataset's part ("casme2", "samm", "smic"); all of them when None.
        partial: go on when clips are missing, and say how many.
        published: also print and write what published rules give for the stored epochs.

    Raises:
        UserError: the folder is faulty, or incomplete and ``partial`` is off, or ``published`` is
            on and there are no stored epochs.
    """
    with shared_record(folder, ANY_MAKER) as owned:
        paths = [_sheet_path(folder, dataset)]
        if published:
            paths.append(_rules_path(folder, dataset))
        owned.check(paths)
        _calculate(folder, dataset, partial, published)


def _calculate(folder: Path, dataset: str | None, partial: bool, published: bool) -> None:
    results = read_results(folder, dataset)
    if results.problems and not partial:
        room = ROOM_WITHOUT_FOLDER - min(len(str(folder)), LONGEST_FILE)
        what = describe_problems(results.problems, room)
        raise Refusal(
            folder, f"is not a complete set of results: {what}. Correct it, or give --partial."
        )
    if results.rows.empty:
        raise Refusal(folder, f"holds no usable result: {results.complaint}.")
    folds = _read_folds(folder, results) if published else None
    class_names = read_class_names_column(results.rows)
    metrics = score_rows(results.rows, len(class_names))
    warnings = selection_warnings(list_epoch_rules(results.rows))
    note = "; ".join([*results.notes, *warnings, *_partial_note(results)])
    path = _sheet_path(folder, dataset)
    write_spreadsheet(path, metrics, class_names, note)
    title = "composite" if dataset is None else DATASET_TITLES[dataset]
    subjects = results.rows.groupby(["dataset", "subject"]).ngroups
    print(f"{title}: {metrics.clips} clips, {subjects} subjects" + (f" ({note})" if note else ""))
    print_confusion(metrics, class_names)
    print(_one_line(metrics))
    if warnings:
        _print_default_rule(folder, dataset, len(class_names))
    if folds is not None:
        table, place = published_table(folds), _rules_path(folder, dataset)
        said = {"results": note} if note else {}
        write_text(place, table.assign(**said).to_csv(index=False, lineterminator="\n"))
        print_published(Console(), table, note)
        print(f"written: {place}")
    print(f"written: {path}")


def _sheet_path(folder: Path, dataset: str | None) -> Path:
    return folder / f"CausalNet{_suffix(dataset)}.xlsx"


def _rules_path(folder: Path, dataset: str | None) -> Path:
    return folder / f"published_rules{_suffix(dataset)}.csv"


def _suffix(dataset: str | None) -> str:
    return "" if dataset is None else "_" + DATASET_TITLES[dataset].replace(" ", "")


def _read_folds(folder: Path, results: Results) -> list[StoredFold]:
    folds = read_folds_of_rows(folder, results.rows)
    if folds is None:
        raise UserError(
            f"{folder} holds no epochs of every fold, which --published needs. Give a "
            "configuration's folder of a finished run, such as results/one/0.5_1_1_2."
        )
    return folds


def _partial_note(results: Results) -> list[str]:
    if not results.problems:
        return []
    missing = f"{len(results.rows)} clips, {results.missing_clips} missing"
    return [f"PARTIAL: {missing}; {results.complaint}"]


def _one_line(metrics: Metrics) -> str:
    return (
        f"UF1={metrics.uf1:.4f} UAR={metrics.uar:.4f} ACC={metrics.accuracy:.4f} "
        f"weighted F1={metrics.weighted_f1:.4f}"
    )


def _print_default_rule(folder: Path, dataset: str | None, classes: int) -> None:
    """Print the metrics of the same networks under the default rule, where they are on disk: in the
    folder above, or, for the choice in a grid, in the folder of that rule beside this one."""
    above = folder.resolve().parent
    for candidate in (above, above / DEFAULT_RULE):
        if (candidate / PREDICTIONS_NAME).is_file():
            rows = read_results(candidate, dataset).rows
            rules = name_list(list_epoch_rules(rows))
            print(f"the same networks under {rules}: {_one_line(score_rows(rows, classes))}")
            return
