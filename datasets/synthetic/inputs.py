"""Synthetic clips as a folder of inputs in the published layout, and drawn motion; both marked as
synthetic."""

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import claim_folder, write_bytes, write_text
from common.owned_folder import check_unchanged, remove_file
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
from datasets.synthetic.motion import MUSCLES, draw_motion_faces, draw_two_phases

MAKER = "make_synthetic.py --what"
README_NAME = "README.txt"
TRUTH_NAME = "true_muscles.csv"
"""Subject, clip and action units, such as 1+2, that define the clip's class."""
TRUTH_COLUMNS = ["subject", "clip", "action_units"]
NOTICE = """These inputs are SYNTHETIC.

They were computed from clips that make_synthetic.py draws: no camera, no people. Every script runs
on them, and methods differ on them, but what is measured on them says nothing about real
micro-expressions. The column "source" of the table says the same.
"""
FIELDS_NAME, ACTIVATIONS_NAME = "fields.npy", "activations.csv"
MOTION_NOTICE = """This motion is SYNTHETIC: make_synthetic.py drew it; no camera, no people.

fields.npy: float16 [samples, phase, 2, 28, 28]. Phase 0 is onset to apex, phase 1 apex to offset;
u (to the right) and v (downwards). The longest vector of the muscles' own motion is about 1.
activations.csv: a row a sample, how much each muscle pulls in the same unit; the number of the
action unit, and the picture's left (L) or right (R) side.
"""


def write_drawn_motion(folder: Path, seed: int, samples: int, key_frame_errors: float) -> None:
    """Draw motion of both phases with its muscles and write it; the same bytes for the same seed.

    Args:
        key_frame_errors: see ``datasets.synthetic.motion.phase_shares``.
    """
    with claim_folder(folder, f"{MAKER} motion") as owned:
        owned.check(folder / name for name in (FIELDS_NAME, ACTIVATIONS_NAME, README_NAME))
        write_text(folder / README_NAME, MOTION_NOTICE)
        generator, faces = np.random.default_rng(seed), draw_motion_faces(seed)
        fields, activations = draw_two_phases(generator, faces, samples, key_frame_errors)
        names = [f"{muscle.unit}{'L' if muscle.side < 0 else 'R'}" for muscle in MUSCLES]
        table = pd.DataFrame(activations, columns=names)
        text = table.to_csv(index=False, float_format="%.5g", lineterminator="\n")
        write_text(folder / ACTIVATIONS_NAME, text)
        content = io.BytesIO()
        np.save(content, fields.astype(np.float16))
        write_bytes(folder / FIELDS_NAME, content.getvalue())


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
    with claim_folder(folder, f"{MAKER} inputs") as owned:
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
    check_unchanged(Path(folder), [path])
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
