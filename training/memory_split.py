"""A group of folds that does not fit into a GPU's memory is trained as two halves.

Whether a group fits is a matter of its configuration, its number of folds and the GPU, so a group
is split the same way whichever groups were trained before it and whoever trains it. The sizes used
are written into the run's record, and a resumed run keeps to them.
"""

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch

from common.errors import UserError
from training.group_task import GroupTask

Result = TypeVar("Result")

# Configuration name -> folds of a group -> most folds trained together, where they are fewer.
UsedSizes = dict[str, dict[int, int]]


def on_parts_that_fit(
    task: GroupTask, most: int, action: Callable[[GroupTask], Result]
) -> list[tuple[int, Result]]:
    """Do ``action`` on a group, or on halves of it until they fit.

    Args:
        most: a part with more folds than this is known not to fit and is halved untried.

    Returns:
        The number of folds of each part with its result, in the order of the folds.

    Raises:
        UserError: a lone fold does not fit.
    """
    folds = len(task.folds)
    if folds <= most:
        try:
            return [(folds, action(task))]
        except torch.OutOfMemoryError as error:
            if folds == 1:
                raise UserError(_too_large(task, error)) from error
        # Only now, with the exception gone, is nothing left that holds the group's tensors.
        gc.collect()
        torch.cuda.empty_cache()
    middle = (folds + 1) // 2
    parts = (task.folds[:middle], task.folds[middle:])
    return [
        result
        for part in parts
        for result in on_parts_that_fit(replace(task, folds=part), most, action)
    ]


def _too_large(task: GroupTask, error: torch.OutOfMemoryError) -> str:
    return (
        f"fold {task.folds[0].name} of configuration {task.configuration.name} does not fit into "
        f"the GPU's memory even alone ({str(error).split('. ')[0]}). Free the GPU, train fewer "
        "folds on it at a time, or use --device cpu."
    )
