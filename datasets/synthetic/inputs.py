"""Synthetic clips as a folder of inputs in the published layout, marked as synthetic."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from common.errors import UserError
from common.files import claim_folder, write_text
from common.owned_folder import remove_file
from common.process_pool import run_jobs
from common.tables import read_table
from datasets.frames.flow import FlowMethod, clip_maps, phase_flows
from datasets.inputs import (
    MAP_SUFFIXES,
    MAPS_FOLDER,
    TABLE_NAME,
    map_file_name,
    read_clip_table,
    write_maps,
    write_table,
)
from datasets.synthetic.clips import ClipSpec, draw_clip
from datasets.synthetic.courses import plan_course

README_NAME = "README.txt"
TRUTH_NAME = "true_muscles.csv"
"""Subject, clip and action units, such as 1+2, that define the clip's class."""
TRUTH_COLUMNS = ["subject", "clip", "action_units"]
NOTICE = """These inputs are SYNTHETIC.

They were computed from clips that make_synthetic.py draws: no camera, no people. Every script runs
on them, and methods differ on them, but what is measured on them says nothing about real
micro-expressions. The column "source" of the table says the same.
"""


def write_synthetic_inputs(
    folder: Path, specs: list[ClipSpec], method: FlowMethod = "tvl1", workers: int = 2
) -> Iterator[ClipSpec]:
    """Draw clips and write their maps and table; yields each clip when its maps are on disk.

    The bytes do not depend on the number of workers. The table comes last, so that an incomplete
    folder is not taken for a complete one.

    Raises:
        UserError: the folder holds inputs that are not synthetic.
    """
    _refuse_real_inputs(folder)
    with claim_folder(folder) as owned:
        owned.check(_written_files(folder, specs))
        remove_file(folder / TABLE_NAME)
        write_text(folder / README_NAME, NOTICE)
        yield from run_jobs(partial(_write_maps, folder=folder, method=method), specs, workers)
        write_text(folder / TRUTH_NAME, _truth(specs).to_csv(index=False, lineterminator="\n"))
        names = ["dataset", "subject", "clip", "label"]
        rows = [[getattr(spec, name) for name in names] for spec in specs]
        write_table(folder, pd.DataFrame(rows, columns=names), synthetic=True)


def _truth(specs: list[ClipSpec]) -> pd.DataFrame:
    rows = [(s.subject, s.clip, "+".join(plan_course(s).action_units)) for s in specs]
    return pd.DataFrame(rows, columns=TRUTH_COLUMNS)


def read_true_units(folder: Path, clips: pd.DataFrame) -> list[tuple[str, ...]] | None:
    """The action units that define each clip's class, without sides; None where nobody knows them.

    Args:
        folder: of the inputs.
        clips: columns subject and clip.

    Raises:
        UserError: the table of them lacks a clip.
    """
    path = Path(folder) / TRUTH_NAME
    if not path.is_file():
        return None
    table = read_table(path, TRUTH_COLUMNS, "Draw the inputs again.")
    units = table.set_index(["subject", "clip"])["action_units"]
    wanted = pd.MultiIndex.from_frame(clips[["subject", "clip"]])
    absent = wanted.difference(units.index)
    if len(absent):
        raise UserError(f"{path} lacks {'/'.join(absent[0])}. Draw the inputs again.")
    found = units.loc[wanted]
    return [tuple(unit.strip("LR") for unit in text.split("+")) for text in found]


def _written_files(folder: Path, specs: list[ClipSpec]) -> Iterator[Path]:
    yield from (folder / name for name in (TABLE_NAME, README_NAME, TRUTH_NAME))
    for spec in specs:
        for index in range(len(MAP_SUFFIXES)):
            yield folder / MAPS_FOLDER / map_file_name(spec.stem, index)


def _refuse_real_inputs(folder: Path) -> None:
    table = folder / TABLE_NAME
    if table.exists() and not read_clip_table(table)[1]:
        raise UserError(
            f"{folder} holds inputs that are not synthetic, and is left as it is. "
            "Give another folder for the synthetic ones."
        )


def _write_maps(spec: ClipSpec, folder: Path, method: FlowMethod) -> ClipSpec:
    write_maps(folder, spec.stem, clip_maps(phase_flows(draw_clip(spec).key_frames, method)))
    return spec
