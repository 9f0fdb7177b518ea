"""What ``calculate_all_results*.py`` do: read a folder, check it, print, write the sheet."""

from pathlib import Path

from common.errors import UserError, name_list
from evaluation.metrics import Metrics
from evaluation.predictions import list_epoch_rules, metrics_of_rows, read_class_names_column
from evaluation.results_folder import PREDICTIONS_NAME, Results, read_results
from evaluation.selection import DEFAULT_RULE, selection_warnings
from evaluation.spreadsheet import write_spreadsheet
from evaluation.tables import DATASET_TITLES, print_confusion


def calculate(folder: Path, *, dataset: str | None, partial: bool) -> None:
    """Print the pooled figures of a results folder and write them as a spreadsheet beside it.

    Args:
        dataset: one dataset's part ("casme2", "samm", "smic"); all of them when None.
        partial: go on when clips are missing, and say how many.

    Raises:
        UserError: the folder is incomplete or faulty and ``partial`` is off.
    """
    results = read_results(folder, dataset)
    if results.problems and not partial:
        raise UserError(
            f"{folder} is not a complete set of results: {'; '.join(results.problems)}. "
            "Mend it, or give --partial to compute from what is there."
        )
    if results.rows.empty:
        raise UserError(f"{folder} holds no usable result: {'; '.join(results.problems)}.")
    class_names = read_class_names_column(results.rows)
    figures = metrics_of_rows(results.rows, len(class_names))
    note = _note(results)
    title = "composite" if dataset is None else DATASET_TITLES[dataset]
    subjects = results.rows.groupby(["dataset", "subject"]).ngroups
    print(f"{title}: {figures.clips} clips, {subjects} subjects" + (f" ({note})" if note else ""))
    print_confusion(figures, class_names)
    print(_one_line(figures))
    honest = _honest_folder(folder) if _selected_on_test_subject(results) else None
    if honest is not None:
        rows = read_results(honest, dataset).rows
        rules = name_list(list_epoch_rules(rows))
        print(
            f"the same networks under {rules}: {_one_line(metrics_of_rows(rows, len(class_names)))}"
        )
    suffix = "" if dataset is None else "_" + DATASET_TITLES[dataset].replace(" ", "")
    path = folder / f"CausalNet{suffix}.xlsx"
    write_spreadsheet(path, figures, class_names, note)
    print(f"written: {path}")


def _note(results: Results) -> str:
    """What must stand beside the figures: the run's own notes, its selection, missing clips."""
    notes = [*results.notes, *_selected_on_test_subject(results)]
    if results.problems:
        notes.append(
            f"PARTIAL: {results.missing_clips} clips missing; {'; '.join(results.problems)}"
        )
    return "; ".join(notes)


def _one_line(figures: Metrics) -> str:
    return (
        f"UF1={figures.uf1:.4f} UAR={figures.uar:.4f} ACC={figures.accuracy:.4f} "
        f"weighted F1={figures.weighted_f1:.4f}"
    )


def _selected_on_test_subject(results: Results) -> list[str]:
    return selection_warnings(list_epoch_rules(results.rows))


def _honest_folder(folder: Path) -> Path | None:
    """Where the default rule's results lie beside those of another rule: one level up, or, for what
    was chosen in a grid, in a folder of their own."""
    for place in (folder.resolve().parent, folder.resolve().parent / DEFAULT_RULE):
        if (place / PREDICTIONS_NAME).is_file():
            return place
    return None
