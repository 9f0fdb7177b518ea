"""SAMM: 200 frames per second, grey, 159 clips; subjects are text with leading zeros."""

import re

from datasets.raw.dataset_format import DatasetFormat, FrameLayout, frame_file


def subject_name(text: str) -> str:
    """A spreadsheet may have turned "006" into the number 6."""
    return f"{int(text):03d}" if text.isdecimal() else text


SAMM = DatasetFormat(
    name="samm",
    title="SAMM",
    columns={
        "subject": ("subject",),
        "clip": ("filename",),
        "onset": ("onsetframe",),
        "apex": ("apexframe",),
        "offset": ("offsetframe",),
        "action_units": ("actionunits", "actionunit", "au"),
        "emotion": ("estimatedemotion", "emotion"),
    },
    expected_rows=(159,),
    emotions={
        "anger": "anger",
        "contempt": "contempt",
        "disgust": "disgust",
        "fear": "fear",
        "happiness": "happiness",
        "sadness": "sadness",
        "surprise": "surprise",
        "other": "others",
        "others": "others",
    },
    clip_pattern=re.compile(r"\d{3}_\d+_\d+"),
    subject_name=subject_name,
    layouts=(
        FrameLayout("both", ("SAMM/{subject}/{clip}", "{subject}/{clip}"), frame_file(r"\d+_")),
    ),
    frame_rate=200,
)
