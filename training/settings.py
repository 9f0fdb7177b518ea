"""The settings of a run, as flags or from Python. Imports nothing heavy: --help is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.choices import Ablation, Precision, Protocol, Schedule


@dataclass(frozen=True)
class RunSettings:
    """What a run is; what is not given comes from the method's file."""

    method: str | None = None
    """Name of a method, or path of your own method file (docs/your_own_method.md)."""
    set: tuple[str, ...] = ()
    """Settings of the method, as NAME=VALUE; --list-methods names them."""
    protocol: Protocol = "composite"
    """Train on all other subjects; on those of the same dataset; or leave whole datasets out."""
    subject_share: float = 1.0
    """Train on this share of the training subjects of each dataset, drawn by the seed; the test
    subjects stay. For a learning curve."""
    ablation: Ablation = "none"
    """Leave a part of CausalNet out."""
    inner: bool = False
    """Train every fold without validation subjects too, and choose the epoch on them: the rules
    inner and inner_refit. Takes up to twice the time."""
    label_shuffle: int | None = None
    """Null check: permute the labels within datasets with this seed before anything else."""
    mirror: bool | None = None
    """Training clips are also seen mirrored, with the sign of u changed."""
    shift: int | None = None
    """Training clips are also seen moved by up to this many pixels."""
    regions: bool | None = None
    """The four published regions of each map, tiled; else the whole map."""
    affine: bool | None = None
    """The affine part of u and v is taken away."""
    rms: bool | None = None
    """u and v are divided by their root mean square."""
    phase_sum: bool | None = None
    """Contraction less weighted relaxation, and its reverse, in place of the two phases."""
    center: bool | None = None
    """u and v relative to their median over the map."""
    strain: bool | None = None
    """The flow maps keep their strain channel."""
    scale: float | None = None
    """All values are multiplied by this."""
    gammas: tuple[float, ...] | None = None
    """Values of CausalNet's gamma in the grid."""
    layer1: tuple[int, ...] | None = None
    """CausalNet's encoder layers in the first stage."""
    layer2: tuple[int, ...] | None = None
    """CausalNet's encoder layers in the second stage."""
    layer3: tuple[int, ...] | None = None
    """CausalNet's encoder layers in the third stage, and cross layers."""
    epochs: int | None = None
    """Passes over the training clips."""
    learning_rate: float | None = None
    """Step size; the highest one of the schedule."""
    batch_size: int | None = None
    """Clips in an optimizer step."""
    precision: Precision | None = None
    """Arithmetic of the training steps; tf32 and bf16 are faster on GPUs and not the same bits."""
    schedule: Schedule | None = None
    """How the step size changes over the training."""
    label_smoothing: float | None = None
    """Share of each label that is spread over all classes."""
    averaging: float | None = None
    """Decay of the moving average of the weights that is tested; 0: none."""
    test_mirrored: bool | None = None
    """Average the logits of each test clip and its mirror image."""
    init_weights: Path | None = None
    """Folder of weights that each fold starts from, its own; refused where they have seen its test
    subject, or where nobody knows (docs/methods.md)."""
    seed: int = 2025
    """Seed of the run; every fold draws its own from it, its dataset and its subject."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    threads: int | None = None
    """CPU threads of a worker; the bytes of the results depend on it. Default: as recorded, else 1,
    which is fastest for small networks."""
    group_size: int | None = None
    """Number of folds trained together in one batched step. Default: as recorded, else what the
    method's file says."""
