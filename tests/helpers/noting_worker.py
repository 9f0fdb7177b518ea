"""Stands in for a worker in tests of executors; imports little, as every process imports it."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from datasets import Fold
from training.configuration import Configuration
from training.group_task import GroupTask


class NotingWorker:
    """Notes every start of a task in a folder, then does what the task's name says."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def train(self, task: GroupTask) -> str:
        name = task.folds[0].name
        with (self.notes / name).open("a") as file:
            file.write(f"{os.getpid()}\n")
        if name == "deadly" or (name == "deadly once" and len(self.processes(name)) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "endless":
            time.sleep(3600)
        if name == "wrong":
            raise ValueError("this fold is wrong")
        return f"{name} is trained"

    def processes(self, name: str) -> list[int]:
        """The process of every start of a task."""
        return [int(line) for line in (self.notes / name).read_text().split()]


def task_named(name: str) -> GroupTask:
    """A task of one fold without clips."""
    none = np.arange(0)
    fold = Fold("smic", name, name, none, none)
    return GroupTask(Configuration("0.5_1_1_2", ""), (fold,))
