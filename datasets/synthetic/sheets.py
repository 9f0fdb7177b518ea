"""Synthetic clips as rows of annotation sheets, which look like those of the five datasets.

Every sheet has one column more than the real one: ``source``, which says synthetic.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import xlsxwriter

from common.files import write_bytes
from datasets.inputs import SYNTHETIC
from datasets.synthetic.courses import plan_course
from datasets.synthetic.faces import generator
from datasets.synthetic.specs import EMOTIONS, ClipSpec

# What a dataset calls a clip's emotion: by the action units, else by the class. Both spellings of
# "others" occur in CAS(ME)3.
EMOTION_NAMES = {
    "casme2": {
        "24": "repression",
        "4+24": "repression",
        "negative": "disgust",
        "positive": "happiness",
        "surprise": "surprise",
        "others": "others",
    },
    "samm": {
        "24": "Contempt",
        "4+7": "Disgust",
        "4+15": "Sadness",
        "negative": "Anger",
        "positive": "Happiness",
        "surprise": "Surprise",
        "others": "Other",
    },
    "smic": {"negative": "negative", "positive": "positive", "surprise": "surprise"},
    "mmew": {
        "24": "anger",
        "4+24": "anger",
        "4+15": "sadness",
        "negative": "disgust",
        "positive": "happiness",
        "surprise": "surprise",
        "others": "others",
    },
    "casme3": {
        "24": "anger",
        "4+24": "anger",
        "4+15": "sad",
        "4+7": "fear",
        "negative": "disgust",
        "positive": "happy",
        "surprise": "surprise",
        "17": "Others",
        "others": "others",
    },
}
# First frame numbers: SAMM counts in a long recording, MMEW from 1.
FIRST_FRAMES = {
    "casme2": (1, 80),
    "samm": (1000, 9000),
    "smic": (100, 5000),
    "mmew": (1, 2),
    "casme3": (1, 2),
}


@dataclass(frozen=True)
class SheetFormat:
    """How a dataset's sheet looks and where its frames are.

    Attributes:
        file_name: of the sheet.
        columns: header and the field of ``SheetRow`` in it; no field leaves the cells empty.
        text_rows: rows of prose above the header.
        raw_frame, registered_frame: a frame's file, with names in braces.
        in_color: whether its camera sees color.
    """

    file_name: str
    columns: tuple[tuple[str, str], ...]
    raw_frame: str
    registered_frame: str
    text_rows: int = 0
    in_color: bool = True


FORMATS = {
    "casme2": SheetFormat(
        file_name="CASME2-coding-20140508.xlsx",
        columns=(
            ("Subject", "subject"),
            ("Filename", "file"),
            ("", ""),
            ("OnsetFrame", "onset"),
            ("ApexFrame", "apex"),
            ("OffsetFrame", "offset"),
            ("", ""),
            ("Action Units", "action_units"),
            ("Estimated Emotion", "emotion"),
        ),
        raw_frame="CASME2_RAW_selected/{subject}/{file}/img{number}.jpg",
        registered_frame="Cropped/{subject}/{file}/reg_img{number}.jpg",
    ),
    "samm": SheetFormat(
        file_name="SAMM_Micro_FACS_Codes_v2.xlsx",
        columns=(
            ("Subject", "subject"),
            ("Filename", "file"),
            ("Inducement Code", ""),
            ("Onset Frame", "onset"),
            ("Apex Frame", "apex"),
            ("Offset Frame", "offset"),
            ("Duration", "duration"),
            ("Micro", ""),
            ("Action Units", "action_units"),
            ("Estimated Emotion", "emotion"),
            ("Objective Classes", ""),
            ("Notes", ""),
        ),
        raw_frame="SAMM/{subject}/{file}/{subject}_{number:05d}.jpg",
        registered_frame="registered/SAMM/{subject}/{file}/{subject}_{number:05d}.jpg",
        text_rows=13,
        in_color=False,
    ),
    "smic": SheetFormat(
        file_name="SMIC-HS-E_annotation_2019.xlsx",
        columns=(
            ("Subject", "subject"),
            ("Filename", "file"),
            ("OnsetF", "onset"),
            ("OffsetF", "offset"),
            ("TotalMF1", "duration"),
            ("Onset2F", "second_onset"),
            ("Offset2F", "second_offset"),
            ("TotalMF2", ""),
            ("Onset3F", ""),
            ("Offset3F", ""),
            ("TotalMF3", ""),
            ("Emotion", "emotion"),
            ("FirstF", "first"),
            ("LastF", "last"),
            ("TotalVL", "frame_count"),
        ),
        raw_frame="SMIC_HS_E/{subject}/{file}/image{number}.jpg",
        registered_frame="SMIC_all_cropped/HS/{subject}/micro/{emotion}/{file}/"
        "reg_image{number:06d}.bmp",
    ),
    "mmew": SheetFormat(
        file_name="MMEW_Micro_Exp.xlsx",
        columns=(
            ("Subject", "subject"),
            ("Filename", "file"),
            ("OnsetFrame", "onset"),
            ("ApexFrame", "apex"),
            ("OffsetFrame", "offset"),
            ("Action Units", "action_units"),
            ("Estimated Emotion", "emotion"),
            ("remarks", ""),
        ),
        raw_frame="Micro_Expression/{emotion}/{file}/{number}.jpg",
        registered_frame="registered/Micro_Expression/{emotion}/{file}/{number}.jpg",
    ),
    "casme3": SheetFormat(
        file_name="cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
        columns=(
            ("Subject", "subject"),
            ("Filename", "file"),
            ("Onset", "onset"),
            ("Apex", "apex"),
            ("Offset", "offset"),
            ("AU", "action_units"),
            ("Objective class", ""),
            ("emotion", "emotion"),
        ),
        raw_frame="part_A/{subject}/{file}/color/{number}.jpg",
        registered_frame="registered/part_A/{subject}/{file}/color/{number}.jpg",
    ),
}


@dataclass(frozen=True)
class SheetRow:
    """A clip as its dataset annotates it; an apex may be text, so that faults can be planted.

    ``first`` is the number of its first frame.
    """

    spec: ClipSpec
    subject: str
    file: str
    first: int
    frame_count: int
    onset: int
    apex: int | str
    offset: int
    action_units: str
    emotion: str
    second_onset: int | str = ""
    second_offset: int | str = ""

    @property
    def last(self) -> int:
        """The number of its last frame."""
        return self.first + self.frame_count - 1

    @property
    def duration(self) -> int:
        """Frames from onset to offset, both counted."""
        return self.offset - self.onset + 1

    @property
    def clip(self) -> str:
        """The clip's name in tables; clips of a CAS(ME)3 recording are named by their onset."""
        return f"{self.file}_{self.onset}" if self.spec.dataset == "casme3" else self.spec.clip

    def frame(self, number: int, registered: bool) -> Path:
        """A frame's file below the dataset's folder."""
        layout = FORMATS[self.spec.dataset]
        template = layout.registered_frame if registered else layout.raw_frame
        subject = self.spec.subject if self.spec.dataset != "smic" else self.subject
        return Path(
            template.format(subject=subject, file=self.file, emotion=self.emotion, number=number)
        )


def make_rows(specs: Sequence[ClipSpec]) -> list[SheetRow]:
    """The rows of clips of one dataset, in their order, all of them correct."""
    rows: list[SheetRow] = []
    for spec in specs:
        rng = generator(spec.seed, spec.dataset, spec.subject, spec.clip, "numbers")
        first = int(rng.integers(*FIRST_FRAMES[spec.dataset]))
        if rows and spec.dataset == "casme3" and _names(spec) == (rows[-1].subject, rows[-1].file):
            # Its clips follow each other in one recording.
            first = rows[-1].last + 1
        rows.append(_make_row(spec, first))
    return rows


def write_sheet(path: Path, dataset: str, rows: Sequence[SheetRow]) -> None:
    """Write rows as the dataset's workbook; the same rows give the same bytes."""
    layout = FORMATS[dataset]
    prose = [[f"Synthetic clips, note {number + 1}."] for number in range(layout.text_rows)]
    header = [*(name for name, _ in layout.columns), "source"]
    cells = [
        [*(getattr(row, field) if field else "" for _, field in layout.columns), SYNTHETIC]
        for row in rows
    ]
    write_bytes(path, workbook_bytes([*prose, header, *cells]))


def workbook_bytes(table: Sequence[Sequence[str | int]]) -> bytes:
    """A workbook of one worksheet; text stays text, so that "006" is not the number 6."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as workbook:
        # A fixed date, so that the same cells give the same bytes.
        workbook.set_properties({"created": datetime(2020, 1, 1), "comments": SYNTHETIC})
        sheet = workbook.add_worksheet()
        for row, cells in enumerate(table):
            for column, cell in enumerate(cells):
                write = sheet.write_string if isinstance(cell, str) else sheet.write_number
                write(row, column, cell)
    return buffer.getvalue()


def _make_row(spec: ClipSpec, first: int) -> SheetRow:
    course = plan_course(spec)
    action_units = "+".join(course.action_units)
    names = EMOTION_NAMES[spec.dataset]
    subject, file = _names(spec)
    return SheetRow(
        spec=spec,
        subject=subject,
        file=file,
        first=first,
        frame_count=course.frame_count,
        onset=first + course.onset,
        apex=first + course.apex,
        offset=first + course.offset,
        action_units=action_units,
        emotion=names.get(action_units) or names[EMOTIONS[spec.label]],
    )


def _names(spec: ClipSpec) -> tuple[str, str]:
    """Subject and file name as the sheet writes them."""
    if spec.dataset == "casme2":
        return spec.subject.removeprefix("sub"), spec.clip
    if spec.dataset == "smic":
        # s01_ne_01 in the tables of the field is s1_ne_01 in the dataset.
        short = "s" + spec.subject.removeprefix("s").lstrip("0")
        return short, short + spec.clip.removeprefix(spec.subject)
    if spec.dataset == "casme3":
        return spec.subject, spec.clip.split("_")[0]
    return spec.subject, spec.clip
