"""Clips that every method gets wrong: is the label at fault, or are the methods?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.explanations import ClipLooks
from evaluation.methods import CLIP_COLUMNS, Method
from evaluation.report.drawing import Picture, canvas, finish, shorten
from evaluation.report.looks import draw_flow, draw_units
from evaluation.report.pictures import file_name
from evaluation.tables import DATASET_TITLES

TABLE_NAME = "disagreements.csv"
PHASES = ("onset to apex", "apex to offset")
SPLIT = "–"
"""In place of a class where the methods name different ones."""


def always_wrong(methods: Sequence[Method]) -> pd.DataFrame:
    """The clips that no method gets right.

    Returns:
        Columns dataset, subject, clip, true, agreed (the wrong class that all name, else a dash),
        and each method's class under its title. Seeds of a method count as one, by their averaged
        scores.
    """
    names = np.array(methods[0].class_names)
    predicted = np.stack([method.mean_predicted() for method in methods])
    clips = methods[0].clips
    wrong = (predicted != clips["true"].to_numpy()).all(axis=0)
    named = names[predicted[:, wrong]]
    table = clips.loc[wrong, CLIP_COLUMNS].assign(true=names[clips.loc[wrong, "true"]])
    table["agreed"] = np.where((named == named[0]).all(axis=0), named[0], SPLIT)
    return table.assign(
        **{method.title: own for method, own in zip(methods, named, strict=True)}
    ).reset_index(drop=True)


def count_by_dataset(methods: Sequence[Method], table: pd.DataFrame) -> pd.DataFrame:
    """How many clips every method gets wrong, how many of them with one class, by dataset."""
    clips = methods[0].clips
    rows = []
    for dataset in sorted(clips["dataset"].unique()):
        own = table[table["dataset"] == dataset]
        rows.append(
            {
                "Dataset": DATASET_TITLES.get(dataset, dataset),
                "Clips": int((clips["dataset"] == dataset).sum()),
                "Wrong in every method": len(own),
                "with one and the same class": int((own["agreed"] != SPLIT).sum()),
                "Subjects": own["subject"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def draw_wrong_clip(table: pd.DataFrame, looks: ClipLooks, place: int, notice: str) -> Picture:
    """The motion of both phases and the muscles of one clip."""
    clip = table.iloc[place]
    name = f"{clip['subject']}/{clip['clip']}"
    agreed = "different classes" if clip["agreed"] == SPLIT else clip["agreed"]
    phases = looks.flow[place]
    columns = len(phases) + (looks.activations is not None)
    with canvas(1.6, f"{shorten(name)}: {clip['true']}, taken for {agreed}", notice) as figure:
        panels = figure.subplots(1, columns, squeeze=False)[0]
        for axes, flow, phase in zip(panels, phases, PHASES, strict=False):
            draw_flow(axes, looks.backgrounds[place], flow)
            axes.set_title(phase, size=8, weight="normal")
        words = ""
        if looks.activations is not None:
            draw_units(panels[-1], looks.activations[place], looks.units)
            strongest = looks.units[int(looks.activations[place].argmax())]
            words = f" Strongest muscle: AU {strongest}."
        caption = f"{DATASET_TITLES.get(clip['dataset'], clip['dataset'])}, {name}.{words}"
        alt = f"Motion of {name} in both phases.{words}"
        return finish(figure, file_name("wrong", clip["dataset"], name), caption, alt)
