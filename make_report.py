"""Make a web page, with pictures, of folders of results.

    python make_report.py results/one
    python make_report.py results/linear results/au_kernel
    python make_report.py results/linear results/au_kernel --disagreements --inputs DIR
    python make_report.py results/one --explain weights/one-au_kernel --inputs DIR

Reads what the grid search, eval.py or the published code left in the folder, and robustness.csv
where measure_robustness.py left one. Several folders are compared with the first one; with
--disagreements the page shows the clips that all of them get wrong. Writes report.html, one file
that needs no other and no network, and pictures/*.png, *.svg and *.pdf, below --out (default:
report, inside the folder; for several folders comparison or disagreements, inside the first one).
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from common.command_line import parse_settings
from common.errors import UserError, name_list, run_script

if TYPE_CHECKING:
    from evaluation.explanations import Explanations
    from evaluation.report.contents import Contents

MOST_DETAILED = 4
"""Configurations that get a section of their own when none is named."""


@dataclass(frozen=True)
class Config:
    """What to report on."""

    folders: tyro.conf.Positional[tuple[Path, ...]] = (Path("results"),)
    """Folders of a run, of one configuration, or of any result files."""
    out: Path | None = None
    """Folder to write to. Default: report, inside the folder of results; for several folders
    comparison or disagreements, inside the first one."""
    configurations: tuple[str, ...] = ()
    """Folder names of the configurations that get a section of their own. Default: all, if there
    are at most four, else the first four. Every configuration is in the table."""
    names: tuple[str, ...] = ()
    """Display names of several methods, in the order of their folders. Default: folder names."""
    disagreements: bool = False
    """Show the clips that every method gets wrong, and write them to disagreements.csv."""
    explain: Path | None = None
    """Folder of the run's weights: show where the method looks (requirements-explain.txt)."""
    clips: tuple[str, ...] = ()
    """Clips that --explain also shows one by one, as subject/clip."""
    inputs: Path | None = None
    """Folder of the run's inputs, for --explain and --disagreements."""

    def __post_init__(self) -> None:
        if self.explain is not None and (self.inputs is None or len(self.folders) > 1):
            raise UserError("--explain needs --inputs and one folder of results. Give both.")
        if self.inputs is not None and self.explain is None and not self.disagreements:
            raise UserError("--inputs is for --explain and --disagreements. Give one of them too.")
        if self.clips and self.explain is None:
            raise UserError("--clips needs --explain (a folder of weights). Give both.")
        if self.names and len(self.folders) == 1:
            raise UserError("--names is for several folders. Leave it out, or give more folders.")
        if self.configurations and (self.disagreements or len(self.folders) > 1):
            raise UserError("--configurations is for the page of one folder. Leave it out.")

    def folder(self, name: str) -> Path:
        """Where to write, by default a folder of this name in the first folder of results."""
        return self.folders[0] / name if self.out is None else self.out

    def command(self) -> str:
        """The command that makes this page again."""
        words = ["python", "make_report.py", *map(str, self.folders)]
        words += ["--names", *self.names] if self.names else []
        words += ["--configurations", *self.configurations] if self.configurations else []
        words += ["--disagreements"] if self.disagreements else []
        words += ["--explain", str(self.explain)] if self.explain else []
        words += ["--clips", *self.clips] if self.clips else []
        words += ["--inputs", str(self.inputs)] if self.inputs else []
        return shlex.join(words)


def main() -> None:
    """Read, choose, write."""
    config = parse_settings(Config, __doc__)
    if config.disagreements:
        page = write_disagreements(config)
    elif len(config.folders) > 1:
        page = write_comparison(config)
    else:
        page = write_one(config)
    print(f"written: {page}")


def write_one(config: Config) -> Path:
    """The page of one folder."""
    # Imported here and below: drawing takes seconds to load, and --help needs none of it.
    from evaluation.report.contents import read_contents
    from evaluation.report.page import write_page

    (folder,) = config.folders
    contents = read_contents(folder)
    known = [configuration.name for configuration in contents.configurations]
    unknown = [name for name in config.configurations if name not in known]
    if unknown:
        raise UserError(
            f"--configurations {name_list(unknown)}: not among the results. There are: "
            f"{name_list(known)}."
        )
    looks = None
    if config.explain is not None and config.inputs is not None:
        looks = explain(contents, config.explain, config.inputs, config.clips)
    detailed = list(config.configurations) or known[:MOST_DETAILED]
    return write_page(contents, detailed, config.folder("report"), folder, config.command(), looks)


def explain(
    contents: "Contents", weights: Path, inputs: Path, clips: tuple[str, ...]
) -> "Explanations":
    """Where the method looks; refused where the weights are not those of the results."""
    from datasets import read_inputs
    from training.explain import explain_weights

    looks = explain_weights(weights, read_inputs(inputs), clips)
    if (looks.configuration, looks.seed) not in contents.identities:
        raise UserError(
            f"the weights in {weights} are of no configuration and seed of these results. Give "
            "those that the run saved (--save-weights)."
        )
    return looks


def write_comparison(config: Config) -> Path:
    """The page that compares several folders with the first."""
    from evaluation.comparison_tables import COMPARISON_NOTE, list_notes, split_by_dataset
    from evaluation.report import comparison
    from evaluation.report.page import write_template

    methods = comparison.read_compared(config.folders, config.names)
    return write_template(
        "comparison.html",
        config.folder("comparison"),
        title=f"Comparison of {len({method.name for method in methods})} methods",
        notice=comparison.notice_of(methods),
        methods=methods,
        notes=list_notes(methods),
        rows=comparison.metric_rows(methods),
        tests=comparison.run_tests(methods),
        datasets=list(split_by_dataset(methods)),
        comparison_note=COMPARISON_NOTE,
        command=config.command(),
    )


def write_disagreements(config: Config) -> Path:
    """The page, and the table, of the clips that every method gets wrong."""
    from evaluation.comparison_tables import list_notes
    from evaluation.methods import read_methods
    from evaluation.report import comparison, disagreements
    from evaluation.report.page import write_template

    folders = comparison.find_folders(config.folders)
    methods = read_methods(folders, names=config.names)
    wrong = disagreements.always_wrong(methods)
    looks = None
    if config.inputs is not None and len(wrong):
        from training.explain import look_at_clips

        looks = look_at_clips(config.inputs, wrong)
    said = {"notes": " ".join(list_notes(methods))} if list_notes(methods) else {}
    return write_template(
        "disagreements.html",
        config.folder("disagreements"),
        {disagreements.TABLE_NAME: wrong.assign(**said)},
        title="Clips that every method gets wrong",
        notice=comparison.notice_of(methods),
        methods=methods,
        notes=list_notes(methods),
        counts=disagreements.count_by_dataset(methods, wrong),
        wrong=wrong,
        looks=looks,
        csv=disagreements.TABLE_NAME,
        command=config.command(),
    )


if __name__ == "__main__":
    run_script(main)
