"""Synthetic clips as a folder of inputs in the published layout, marked as synthetic."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.errors import UserError
from common.files import write_text
from common.process_pool import run_jobs
from datasets.frames.flow import FlowMethod, compute_flow, flow_map
from datasets.inputs import TABLE_NAME, read_table, write_maps, write_table
from datasets.maps import direction_map
from datasets.synthetic.clips import ClipSpec, SyntheticClip, draw_clip

NOTICE = """These inputs are SYNTHETIC.

They were computed from clips that make_synthetic.py draws: no camera, no people. They let
every script run and tell methods apart, but a figure measured on them says nothing about real
micro-expressions. The column "source" of the table says the same.
"""


def clip_maps(clip: SyntheticClip, method: FlowMethod = "tvl1") -> NDArray[np.uint8]:
    """The four maps of a clip, uint8 [4, 28, 28, 3]: its two flow maps and their directions."""
    onset, apex, offset = (clip.frames[at] for at in (clip.onset, clip.apex, clip.offset))
    pairs = ((onset, apex), (apex, offset))
    flows = [compute_flow(first, second, method) for first, second in pairs]
    flow_maps = np.stack([flow_map(flow) for flow in flows])
    return np.concatenate([flow_maps, direction_map(flow_maps)])


def write_synthetic_inputs(
    folder: Path, specs: list[ClipSpec], method: FlowMethod = "tvl1", workers: int = 2
) -> Iterator[ClipSpec]:
    """Draw clips and write their maps and table; yields each clip when its maps are on disk.

    The bytes do not depend on the number of workers. The table comes last, so that a folder
    whose making was cut short is not taken for a complete one.

    Raises:
        UserError: the folder holds inputs that are not synthetic.
    """
    _refuse_real_inputs(folder)
    (folder / TABLE_NAME).unlink(missing_ok=True)
    write_text(folder / "README.txt", NOTICE)
    yield from run_jobs(partial(_write_maps, folder=folder, method=method), specs, workers)
    names = ["dataset", "subject", "clip", "label"]
    rows = [[getattr(spec, name) for name in names] for spec in specs]
    write_table(folder, pd.DataFrame(rows, columns=names), synthetic=True)


def _refuse_real_inputs(folder: Path) -> None:
    table = folder / TABLE_NAME
    if table.exists() and not read_table(table)[1]:
        raise UserError(
            f"{folder} holds inputs that are not synthetic, and is left as it is. "
            "Give another folder for the synthetic ones."
        )


def _write_maps(spec: ClipSpec, folder: Path, method: FlowMethod) -> ClipSpec:
    write_maps(folder, spec.stem, clip_maps(draw_clip(spec), method))
    return spec
