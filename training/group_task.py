"""The unit of work: a configuration and the folds that are trained together."""

from dataclasses import dataclass

from datasets import Fold
from training.configuration import Configuration


@dataclass(frozen=True)
class GroupTask:
    """One unit of work: a configuration and the folds that are trained together."""

    configuration: Configuration
    folds: tuple[Fold, ...]


def group_folds(folds: list[Fold], group_size: int, batch_size: int) -> list[tuple[Fold, ...]]:
    """Split the folds into groups of at most ``group_size`` with equally many steps in an epoch."""
    groups: dict[int, list[Fold]] = {}
    for fold in folds:
        groups.setdefault(-(-len(fold.train_indices) // batch_size), []).append(fold)
    return [
        tuple(members[start : start + group_size])
        for members in groups.values()
        for start in range(0, len(members), group_size)
    ]
