"""CASME II: 200 frames per second, 255 clips of 26 subjects."""

import re

from datasets.raw.dataset_format import DatasetFormat, FrameLayout, frame_file


def subject_name(text: str) -> str:
    """ "4", "04" and "sub04" are all sub04."""
    digits = text.lower().removeprefix("sub")
    return f"sub{int(digits):02d}" if digits.isdecimal() else text


CASME2 = DatasetFormat(
    name="casme2",
    title="CASME II",
    columns={
        "subject": ("subject",),
        "clip": ("filename",),
        "onset": ("onsetframe",),
        "apex": ("apexframe",),
        "offset": ("offsetframe",),
        "action_units": ("actionunits", "actionunit", "au"),
        "emotion": ("estimatedemotion", "emotion"),
    },
    expected_rows=(255, 256),
    emotions={
        "happiness": "happiness",
        "disgust": "disgust",
        "repression": "repression",
        "surprise": "surprise",
        "others": "others",
        "fear": "fear",
        "sadness": "sadness",
    },
    clip_pattern=re.compile(r"EP\d+_\d+f?"),
    subject_name=subject_name,
    layouts=(
        FrameLayout(
            "raw",
            ("CASME2_RAW_selected/{subject}/{clip}", "{subject}/{clip}"),
            frame_file("img"),
        ),
        FrameLayout(
            "registered", ("Cropped/{subject}/{clip}", "{subject}/{clip}"), frame_file("reg_img")
        ),
    ),
    frame_rate=200,
)
