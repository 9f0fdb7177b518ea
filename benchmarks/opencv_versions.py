"""How far the flow of other releases of OpenCV is from that of the one installed.

    python -m pip install --target cv/4.10 --no-deps "opencv-contrib-python-headless==4.10.*"
    python -m benchmarks.opencv_versions cv/*

Draws synthetic clips and computes their flow, onset to apex and apex to offset, with every release,
each in a process of its own. Prints, for each release and flow method, the largest and the mean
length of the difference in pixels, the correlation of the strain, the share of the bytes of the
published maps that differ, and a hash of the flow (equal for equal flow); and one JSON object as
its last line. Releases before 4.10 were built
for NumPy 1: install numpy==1.26.* into their folders too.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray

from datasets.frames.flow import FLOW_METHODS, FlowMethod, clip_maps, optical_strain, phase_flows
from datasets.synthetic.clips import draw_clip, list_synthetic_clips

# Without the suite's packages: they need a newer NumPy than an old release of OpenCV.
CHILD = """
import sys
import cv2, numpy
cv2.setNumThreads(1)
make = {
    "tvl1": lambda: cv2.optflow.DualTVL1OpticalFlow_create(),
    "dis": lambda: cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM),
    "farneback": lambda: None,
}[sys.argv[3]]
flow = make()
def compute(first, second):
    if flow is None:
        return cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return flow.calc(first, second, None)
clips = numpy.load(sys.argv[1])
flows = [[compute(clip[0], clip[1]), compute(clip[1], clip[2])] for clip in clips]
numpy.savez(sys.argv[2], flows=numpy.array(flows), version=cv2.__version__)
"""


@dataclass(frozen=True)
class Config:
    """What to compare."""

    packages: tyro.conf.Positional[tuple[Path, ...]]
    """Folders into which releases of OpenCV were installed."""
    reference: Path | None = None
    """Folder of the release to compare with. Default: the one installed."""
    methods: tuple[FlowMethod, ...] = FLOW_METHODS
    """Flow methods."""
    n_subjects: int = 2
    """Subjects in each of the three parts."""
    n_clips: int = 2
    """Clips of each subject."""
    seed: int = 1
    """Another seed draws other clips."""


def main() -> None:
    """Measure and print."""
    config = tyro.cli(Config, description=__doc__)
    cv2.setNumThreads(1)
    specs = list_synthetic_clips(config.n_subjects, config.n_clips, config.seed)
    clips = np.array([draw_clip(spec).key_frames for spec in specs])
    found: dict[str, dict[str, dict[str, object]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "clips.npy", clips)
        for method in config.methods:
            if config.reference is None:
                own = np.array([phase_flows(clip, method) for clip in clips])
            else:
                _, own = _flows_of(config.reference, Path(folder), method)
            for package in config.packages:
                version, flows = _flows_of(package, Path(folder), method)
                found.setdefault(version, {})[method] = _compare(flows, own)
                print(version, method, found[version][method], flush=True)
    print(json.dumps({"clips": len(clips), "installed": cv2.__version__, "versions": found}))


def _flows_of(package: Path, folder: Path, method: str) -> tuple[str, NDArray[np.float32]]:
    """The release's version, and the flows of all clips by it, [N, 2, H, W, 2]."""
    environment = {**os.environ, "PYTHONPATH": str(package.resolve())}
    out = folder / "flows.npz"
    command = [sys.executable, "-c", CHILD, str(folder / "clips.npy"), str(out), method]
    subprocess.run(command, env=environment, check=True, cwd=folder)
    with np.load(out) as stored:
        return str(stored["version"]), stored["flows"]


def _compare(found: NDArray[np.float32], own: NDArray[np.float32]) -> dict[str, object]:
    error = np.linalg.norm(found - own, axis=-1)
    strains = [
        np.concatenate([optical_strain(flow).ravel() for clip in flows for flow in clip])
        for flows in (found, own)
    ]
    maps = [np.stack([clip_maps(clip)[:2] for clip in flows]) for flows in (found, own)]
    numbers = {
        "largest_px": error.max(),
        "mean_px": error.mean(),
        "strain_correlation": np.corrcoef(strains[0], strains[1])[0, 1],
        "map_bytes_that_differ": (maps[0] != maps[1]).mean(),
    }
    content = hashlib.sha256(found.astype(np.float32).tobytes()).hexdigest()[:8]
    return {"hash": content, **{name: round(float(v), 4) for name, v in numbers.items()}}


if __name__ == "__main__":
    main()
