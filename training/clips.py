"""The clips of a run as its networks see them: prepared once, or batch by batch where they are
large.

Shape legend: K folds in a group, B clips in a step, V views of a clip (as stored, mirrored, ...),
N clips, ``*shape`` of one prepared clip.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import UserError
from datasets import Inputs, Preparation, prepare
from datasets.arrays import StoredArray
from datasets.preprocessing import Gains
from models.method import Method, user_code


class Clips(Protocol):
    """The clips of one fold."""

    @property
    def views(self) -> int:
        """V; training draws one of them for every clip and epoch."""
        ...

    def batch(self, rows: Tensor, views: Tensor, generator: torch.Generator | None) -> Tensor:
        """Training clips [B, *shape] of the rows [B], each in the view of its number [B]."""
        ...

    def test(self, rows: NDArray[np.int64], view: int = 0) -> Tensor:
        """Clips as they are tested, [T, *shape]; view 1 is the mirrored clip where there is one."""
        ...


@dataclass(frozen=True)
class PreparedClips:
    """All clips in all views, in memory: float32 [V, N, *shape]."""

    values: Tensor

    @property
    def views(self) -> int:
        """V."""
        return len(self.values)

    def batch(self, rows: Tensor, views: Tensor, generator: torch.Generator | None) -> Tensor:
        """See ``Clips``; nothing is drawn."""
        return self.values.flatten(0, 1)[views * self.values.shape[1] + rows]

    def test(self, rows: NDArray[np.int64], view: int = 0) -> Tensor:
        """See ``Clips``."""
        return self.values[view, torch.from_numpy(rows).to(self.values.device)]


@dataclass(frozen=True)
class StoredClips:
    """Clips that are prepared batch by batch, by the method's own function."""

    stored: StoredArray
    """[N, ...]; a large one reads the clips asked for."""
    table: pd.DataFrame
    prepare: Callable[..., Any]
    source: str
    device: torch.device

    @property
    def views(self) -> int:
        """One: what else is seen, ``prepare`` draws."""
        return 1

    def batch(self, rows: Tensor, views: Tensor, generator: torch.Generator | None) -> Tensor:
        """See ``Clips``; jitter and augmentation are drawn from the generator."""
        return self._prepared(rows.cpu().numpy(), generator)

    def test(self, rows: NDArray[np.int64], view: int = 0) -> Tensor:
        """See ``Clips``; there is no other view."""
        return self._prepared(rows, None)

    def _prepared(self, rows: NDArray[np.int64], generator: torch.Generator | None) -> Tensor:
        stored, table = np.asarray(self.stored[rows]), self.table.iloc[rows]
        with user_code(self.source, "prepare failed"):
            made = torch.as_tensor(self.prepare(stored, table, generator), dtype=torch.float32)
            if not made.ndim or len(made) != len(rows):
                raise UserError(
                    f"{self.source}: prepare gave an array of shape {list(made.shape)} for "
                    f"{len(rows)} clips. Return one each."
                )
            return made.to(self.device)


def prepare_clips(
    method: Method,
    inputs: Inputs,
    preparation: Preparation,
    arguments: Mapping[str, Any],
    device: str,
    gains: Gains | None,
) -> Clips:
    """The clips of a fold, as the method's file says.

    Args:
        arguments: further ones of the file's ``prepare``.
        gains: of the fold, where the preparation has a phase sum; else None, and the clips serve
            all folds.

    Raises:
        UserError: the inputs lack what the method takes.
    """
    own = method.hook("prepare")
    if own is not None:
        stored = inputs.array(method.input)
        return StoredClips(
            stored, inputs.clips, partial(own, **arguments), str(method.path), torch.device(device)
        )
    datasets = inputs.clips["dataset"].to_numpy(str)
    values = prepare(both_phases(inputs), preparation, datasets, gains)
    return PreparedClips(torch.from_numpy(values).to(device))


def both_phases(inputs: Inputs) -> NDArray[np.uint8]:
    """Maps [N, 4, 28, 28, 3]; where a folder has the first phase alone, it takes all places.

    Methods that look at another phase are refused before (``training/run_settings.py``).
    """
    if inputs.phases == 2:
        return inputs.maps
    return np.repeat(inputs.maps, 4, axis=1)


def stack_batches(
    clips: Sequence[Clips],
    rows: Tensor,
    views: Tensor,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """The batch of every fold, [K, B, *shape]; one gather where the folds share their clips."""
    first = clips[0]
    if isinstance(first, PreparedClips) and all(own is first for own in clips):
        return first.batch(rows.flatten(), views.flatten(), None).unflatten(0, rows.shape)
    parts = [own.batch(*drawn) for own, *drawn in zip(clips, rows, views, generators, strict=True)]
    return torch.stack(parts)
