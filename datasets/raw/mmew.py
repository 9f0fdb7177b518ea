"""MMEW: 90 frames per second, 300 micro-expression clips."""

import re

from datasets.raw.dataset_format import DatasetFormat, FrameLayout, frame_file, numbered_subject

MMEW = DatasetFormat(
    name="mmew",
    title="MMEW",
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
    clip_pattern=re.compile(r"(?P<subject>S\d+)-\d+-\d+"),
    clip_example="S01-03-001",
    subject_name=numbered_subject("S", 2),
    written_clip=str.upper,
    worksheets="micro",
    layouts=(
        FrameLayout(
            "both", ("Micro_Expression/{emotion}/{clip}", "{emotion}/{clip}"), frame_file("")
        ),
    ),
    frame_rate=90,
)
