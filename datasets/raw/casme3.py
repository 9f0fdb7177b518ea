"""CAS(ME)3 part A: 860 clips in long recordings of 94 subjects; no frame rate in the sheet."""

import re
from collections.abc import Mapping

from datasets.raw.dataset_format import DatasetFormat, FrameLayout, frame_file


def clip_name(cells: Mapping[str, str]) -> str:
    """A recording holds several expressions, so the onset is part of a clip's name."""
    return f"{cells['clip']}_{cells['onset']}"


def folder_names(cells: Mapping[str, str]) -> Mapping[str, str]:
    """The sheet's file name is the recording, the folder of all its expressions."""
    return {"recording": cells["clip"]}


CASME3 = DatasetFormat(
    name="casme3",
    title="CAS(ME)3 part A",
    expected_rows=(860,),
    emotions={
        "happy": "happiness",
        "happiness": "happiness",
        "disgust": "disgust",
        "fear": "fear",
        "anger": "anger",
        "sad": "sadness",
        "sadness": "sadness",
        "surprise": "surprise",
        "others": "others",
    },
    clip_pattern=re.compile(r"[a-z]{1,2}"),
    clip_example="a",
    subject_name=str,
    clip_name=clip_name,
    folder_names=folder_names,
    layouts=(
        FrameLayout(
            "both",
            (
                "part_A/{subject}/{recording}/color",
                "{subject}/{recording}/color",
                "{subject}/{recording}",
            ),
            frame_file(""),
        ),
    ),
    long_recordings=True,
    longest=60,
    worksheets=r"micro|(?:^|[^a-z])me(?:s|$|[^a-z])",
)
