"""SMIC-HS: 100 frames per second, 164 clips of 16 subjects; no apex is annotated."""

import re
from collections.abc import Mapping

from datasets.raw.dataset_format import DatasetFormat, FrameLayout, frame_file, numbered_subject

CLIP = re.compile(r"(?P<subject>s\d+)_(?P<emotion>ne|po|sur)_(\d+)", re.IGNORECASE)
subject_name = numbered_subject("s", 2)


def padded_clip(text: str) -> str:
    """Zero-padded as in the tables of the field: s1_ne_01 is s01_ne_01."""
    match = CLIP.fullmatch(text)
    if match is None:
        return text
    return f"{subject_name(match['subject'])}_{match[2].lower()}_{match[3]}"


def clip_name(cells: Mapping[str, str]) -> str:
    """The padded file name."""
    return padded_clip(cells["clip"])


def folder_names(cells: Mapping[str, str]) -> Mapping[str, str]:
    """The names as the dataset's folders write them, without zeros in front."""
    subject = subject_name(cells["subject"])
    return {
        "short_subject": re.sub(r"^s0+", "s", subject),
        "short_clip": re.sub(r"^s0+", "s", cells["clip"].lower()),
    }


PLACES = (
    "{short_subject}/micro/{emotion}/{short_clip}",
    "{subject}/micro/{emotion}/{short_clip}",
    "{subject}/micro/{emotion}/{clip}",
    "{short_subject}/{short_clip}",
    "{subject}/{short_clip}",
    "{subject}/{clip}",
)


def places(*above: str) -> tuple[str, ...]:
    """Every folder that a clip may have below each of the folders named."""
    return tuple(folder + place for folder in above for place in PLACES)


SMIC = DatasetFormat(
    name="smic",
    title="SMIC-HS",
    expected_rows=(164,),
    emotions={"negative": "negative", "positive": "positive", "surprise": "surprise"},
    clip_pattern=CLIP,
    clip_example="s1_ne_01",
    subject_name=subject_name,
    clip_name=clip_name,
    written_clip=padded_clip,
    folder_names=folder_names,
    layouts=(
        FrameLayout(
            "raw",
            places("SMIC_all_raw/HS/", "SMIC_HS_E/", "HS/", ""),
            frame_file("image"),
        ),
        FrameLayout(
            "registered", places("SMIC_all_cropped/HS/", "HS/", ""), frame_file("reg_image")
        ),
    ),
    frame_rate=100,
    has_apex=False,
    worksheets=r"(?:^|[^a-z]|smic)hs(?:e?$|[^a-z])",
)
