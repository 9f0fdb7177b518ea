"""CASME II: 200 frames per second, 255 clips of 26 subjects."""

import re

from datasets.raw.dataset_format import DatasetFormat, FrameLayout, frame_file, numbered_subject

CLIP = re.compile(r"EP(\d+(?:_\d+){0,2})(f?)", re.IGNORECASE)


def written_clip(text: str) -> str:
    """In the sheet's case: ep02_01F is EP02_01f."""
    match = CLIP.fullmatch(text)
    return f"EP{match[1]}{match[2].lower()}" if match else text


CASME2 = DatasetFormat(
    name="casme2",
    title="CASME II",
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
    clip_pattern=re.compile(r"EP\d+(?:_\d+){0,2}f?"),
    clip_example="EP02_01f",
    subject_name=numbered_subject("sub", 2),
    written_clip=written_clip,
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
