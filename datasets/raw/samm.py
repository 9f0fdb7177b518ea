"""SAMM: 200 frames per second, grey, 159 clips; subjects are text with leading zeros."""

import re

from datasets.raw.dataset_format import DatasetFormat, FrameLayout, frame_file, numbered_subject


def written_clip(text: str) -> str:
    """With the subject's zeros: 6_1_2 is 006_1_2."""
    return re.sub(r"^\d{1,2}(?=_\d+_\d+$)", lambda match: match[0].zfill(3), text, flags=re.ASCII)


SAMM = DatasetFormat(
    name="samm",
    title="SAMM",
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
    clip_pattern=re.compile(r"(?P<subject>\d{3})_\d+_\d+"),
    clip_example="006_1_2",
    subject_name=numbered_subject("", 3),
    written_clip=written_clip,
    worksheets="micro",
    layouts=(
        FrameLayout("both", ("SAMM/{subject}/{clip}", "{subject}/{clip}"), frame_file(r"\d+_")),
    ),
    frame_rate=200,
)
