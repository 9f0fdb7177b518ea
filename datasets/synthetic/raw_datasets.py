"""Synthetic clips in the layouts of the five datasets: sheets, raw and registered frames.

The folder given holds one folder a dataset, with its sheet and its frames, the true motion of every
clip (``true_motion/<dataset>/<subject>_<clip>.npz``) and a README that says synthetic. These files
have the names of the tables, where CAS(ME)3 clips are named by their onset frame.
"""

import io
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from common.dataset_names import DATASETS
from common.errors import UserError
from common.files import write_bytes, write_text
from common.owned_folder import OwnedFolder
from common.process_pool import run_jobs
from datasets.synthetic.clips import draw_clip
from datasets.synthetic.faces import REGISTERED, View, generator
from datasets.synthetic.faults import (
    FAULTS_FILE,
    FAULTY_KINDS,
    FAULTY_SHEETS,
    LONG_CLIP,
    PlantedFault,
    plan_faults,
    plant_faults,
    plant_sheet_faults,
    write_record,
)
from datasets.synthetic.sheets import FORMATS, SheetRow, make_rows, write_sheet
from datasets.synthetic.specs import ClipSpec

FrameKinds = Literal["both", "raw", "registered"]
# For each choice: whether registered frames, or raw ones, are written.
REGISTERED_OR_NOT: dict[FrameKinds, tuple[bool, ...]] = {
    "both": (False, True),
    "raw": (False,),
    "registered": (True,),
}

README = "README.txt"
MOTION_FOLDER = "true_motion"
NOTICE = """These datasets are SYNTHETIC.

They have the layouts, names and sheets of CASME II, SAMM, SMIC-HS, MMEW and CAS(ME)3 part A, but
every face in them is drawn by make_synthetic.py: no camera, no people, nothing of the real
datasets. The sheets' column "source" says the same. true_motion/ holds the motion that each clip
was drawn with, in pixels.
"""
JPEG_QUALITY = 95
# The blue, green and red of skin, as shares of the grey value.
TINT = np.array([0.80, 0.95, 1.12], dtype=np.float32)


def raw_view(spec: ClipSpec) -> View:
    """The camera picture of a subject: the whole head, a little off the middle and turned."""
    rng = generator(spec.seed, spec.dataset, spec.subject, "view")
    return View(
        width=320,
        height=260,
        scale=float(rng.uniform(1.15, 1.3)),
        angle=float(rng.uniform(-5, 5)),
        shift=(float(rng.uniform(-16, 16)), float(rng.uniform(-6, 6))),
    )


def write_raw_datasets(
    root: Path,
    specs: Sequence[ClipSpec],
    kinds: FrameKinds = "both",
    with_faults: bool = False,
    workers: int = 2,
) -> Iterator[ClipSpec]:
    """Write datasets; yields each clip when its frames are on disk. Sheets come last.

    Args:
        root: folder to write to; synthetic datasets in it are replaced.
        specs: clips of one or more datasets, those of a dataset together.
        kinds: which frames.
        with_faults: plant faults of every kind, listed in ``planted_faults.csv``.
        workers: processes; the bytes do not depend on it.

    Raises:
        UserError: the folder holds something else, or there are too few clips for the faults.
    """
    registered = REGISTERED_OR_NOT[kinds]
    datasets = list(dict.fromkeys(spec.dataset for spec in specs))
    rows = {name: make_rows([s for s in specs if s.dataset == name]) for name in datasets}
    # Planned before anything is drawn, so that too few clips are refused at once.
    plans = {
        name: plan_faults(rows[name], with_raw=False in registered) if with_faults else {}
        for name in datasets
    }
    _make_room(root)
    owned = OwnedFolder(root)
    jobs = [row for name in datasets for row in rows[name]]
    yield from run_jobs(partial(_write_clip, root=root, registered=registered), jobs, workers)
    owned.check_there()
    lost = [
        path for row in jobs for path in _first_files(root, row, registered) if not path.exists()
    ]
    if lost:
        raise UserError(f"{lost[0]} vanished while this program wrote there. Run it again.")
    record: list[PlantedFault] = []
    for name, other in zip(datasets, datasets[1:] + datasets[:1], strict=True):
        sheet_rows, planted = plant_faults(root / name, rows[name], plans[name], registered)
        record += planted
        write_sheet(root / name / FORMATS[name].file_name, name, sheet_rows)
        if with_faults:
            record += plant_sheet_faults(root, name, other)
    if with_faults:
        write_record(root, record)
    # Frames are not written atomically, so all files are recorded together, at the end.
    names = set(_names(root, jobs, registered))
    owned.adopt(path for path in sorted(root.rglob("*")) if path in names)


def _first_files(root: Path, row: SheetRow, registered: Sequence[bool]) -> Iterator[Path]:
    """A clip's true motion and its first frames."""
    yield _motion_path(root, row)
    yield from (root / row.spec.dataset / row.frame(row.first, kind) for kind in registered)


def _names(root: Path, rows: Sequence[SheetRow], registered: Sequence[bool]) -> Iterator[Path]:
    """What may be written, with planted faults too; anything else is a user's."""
    yield from (root / README, root / FAULTS_FILE)
    for name in dict.fromkeys(row.spec.dataset for row in rows):
        yield root / name / FORMATS[name].file_name
        yield from (root / FAULTY_SHEETS / f"{name}_{kind}.xlsx" for kind in FAULTY_KINDS)
    for row in rows:
        yield _motion_path(root, row)
        folder = root / row.spec.dataset
        for number in range(row.first, max(row.last, row.onset + LONG_CLIP) + 1):
            frames = (folder / row.frame(number, kind) for kind in registered)
            yield from (own for path in frames for own in (path, path.with_suffix(".png")))


def _motion_path(root: Path, row: SheetRow) -> Path:
    return root / MOTION_FOLDER / row.spec.dataset / f"{row.spec.subject}_{row.clip}.npz"


def _make_room(root: Path) -> None:
    """Remove what an earlier call wrote; refuse a folder that holds anything else.

    Frames are recorded when all are there, so those of an unfinished call are left to the user.
    """
    if root.is_dir() and any(root.iterdir()):
        readme = root / README
        title = NOTICE.splitlines()[0]
        if not readme.is_file() or title not in readme.read_text(encoding="utf-8"):
            raise UserError(
                f"{root} holds something else than synthetic raw datasets. Give another folder."
            )
        owned = OwnedFolder(root)
        if not owned.exists:
            raise UserError(
                f"{root} holds synthetic raw datasets that are not finished, or of an early "
                "version. Delete it, or give another folder."
            )
        owned.check(path for path in root.rglob("*") if _is_entry(path) and path != owned.record)
        owned.record.unlink()
        for name in (*DATASETS, MOTION_FOLDER, FAULTY_SHEETS):
            shutil.rmtree(root / name, ignore_errors=True)
        (root / FAULTS_FILE).unlink(missing_ok=True)
    write_text(root / README, NOTICE)


def _is_entry(path: Path) -> bool:
    """Whether it is anything but a folder of its own: a file, a link, a pipe."""
    return path.is_symlink() or not path.is_dir()


def _write_clip(row: SheetRow, root: Path, registered: Sequence[bool]) -> ClipSpec:
    """Draw a clip in each of the wanted views; write its frames and its true motion."""
    motion: dict[str, Any] = {}
    for is_registered in registered:
        clip = draw_clip(row.spec, REGISTERED if is_registered else raw_view(row.spec))
        motion["registered" if is_registered else "raw"] = clip.motion.astype(np.float16)
        for number, pixels in enumerate(clip.frames, start=row.first):
            path = root / row.spec.dataset / row.frame(number, is_registered)
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not atomic: an unfinished dataset has no sheet and is drawn again.
            path.write_bytes(_encode(pixels, row.spec.dataset, path.suffix))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **motion)
    write_bytes(_motion_path(root, row), buffer.getvalue())
    return row.spec


def _encode(pixels: NDArray[np.uint8], dataset: str, suffix: str) -> bytes:
    picture: NDArray[np.uint8] = pixels
    if FORMATS[dataset].in_color:
        picture = np.clip(np.rint(pixels[..., None] * TINT), 0, 255).astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
    return cv2.imencode(suffix, picture, options)[1].tobytes()
