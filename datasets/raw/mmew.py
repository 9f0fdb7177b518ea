"""MMEW: 90 frames per second, 300 micro-expression clips."""

import re

from datasets.raw.dataset_format import DatasetFormat, FrameLayout, frame_file


def subject_name(text: str) -> str:
    """ "1", "01" and "S01" are all S01."""
    digits = text.upper().removeprefix("S")
    return f"S{int(digits):02d}" if digits.isdecimal() else text


MMEW = DatasetFormat(
    name="mmew",
    title="MMEW",
    columns={
        "subject": ("subject",),
        "clip": ("filename",),
        "onset": ("onsetframe",),
        "apex": ("apexframe",),
        "offset": ("offsetframe",),
        "action_units": ("actionunits", "actionunit", "au"),
        "emotion": ("estimatedemotion", "emotion"),
    },
    expected_rows=(300,),
    emotions={
        "happiness": "happiness",
        "anger": "anger",
        "surprise": "surprise",
        "disgust": "disgust",
        "fear": "fear",
        "sadness": "sadness",
        "others": "others",
    },
    # No more is known about the names than that they differ from those of the other datasets.
    clip_pattern=re.compile(r"(?!EP\d+_|\d{3}_\d+_\d+$|s\d+_(?:ne|po|sur)_).+"),
    subject_name=subject_name,
    layouts=(
        FrameLayout(
            "both", ("Micro_Expression/{emotion}/{clip}", "{emotion}/{clip}"), frame_file("")
        ),
    ),
    frame_rate=90,
)
