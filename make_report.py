"""Make a web page, with pictures, of a folder of results.

    python make_report.py results/one

Reads what the grid search, eval.py or the published code left in the folder, and robustness.csv
where measure_robustness.py left one. Writes report.html, one file that needs no other and no
network, and pictures/*.png, *.svg and *.pdf, below --out (default: report, inside the folder).
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from common.command_line import parse_settings
from common.errors import UserError, name_list, run_script

MOST_DETAILED = 4
"""Configurations that get a section of their own when none is named."""


@dataclass(frozen=True)
class Config:
    """What to report on."""

    folder: tyro.conf.Positional[Path] = Path("results")
    """Folder of a run, of one configuration, or of any result files."""
    out: Path | None = None
    """Folder to write to. Default: report, inside the folder of results."""
    configurations: tuple[str, ...] = ()
    """Folder names of the configurations that get a section of their own. Default: all, if there
    are at most four, else the first four. Every configuration is in the table."""


def main() -> None:
    """Read, choose, write."""
    config = parse_settings(Config, __doc__)
    # Imported here: drawing takes seconds to load, and --help needs none of it.
    from evaluation.report.contents import read_contents
    from evaluation.report.page import write_page

    contents = read_contents(config.folder)
    known = [configuration.name for configuration in contents.configurations]
    unknown = [name for name in config.configurations if name not in known]
    if unknown:
        raise UserError(
            f"--configurations {name_list(unknown)}: not among the results. There are: "
            f"{name_list(known)}."
        )
    detailed = list(config.configurations) or known[:MOST_DETAILED]
    out = config.folder / "report" if config.out is None else config.out
    print(f"written: {write_page(contents, detailed, out, config.folder)}")


if __name__ == "__main__":
    run_script(main)
