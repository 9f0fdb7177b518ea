"""Label schemes by name: which emotions of which dataset form which class."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from common.class_names import CLASS_NAMES
from common.dataset_names import COMPOSITE
from common.errors import UserError, name_list
from datasets.raw.findings import Finding
from datasets.raw.raw_clip import RawClip

ALL_SCHEMES = "all"


@dataclass(frozen=True)
class LabelScheme:
    """A classification task.

    Attributes:
        name: as on the command line.
        classes: class names; a label is an index into this list.
        emotions: dataset -> emotion -> class name. Emotions not named are left out.
    """

    name: str
    classes: tuple[str, ...]
    emotions: Mapping[str, Mapping[str, str]]

    def label(self, dataset: str, emotion: str) -> int | None:
        """The class number of an emotion, None where the scheme leaves it out."""
        class_name = self.emotions[dataset].get(emotion)
        return None if class_name is None else self.classes.index(class_name)


def _valence(negative: Iterable[str]) -> dict[str, str]:
    return {
        **dict.fromkeys(negative, "negative"),
        "happiness": "positive",
        "surprise": "surprise",
    }


def _same_names(dataset: str, classes: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """A scheme of one dataset whose classes are emotions."""
    return {dataset: {name: name for name in classes}}


VALENCE = CLASS_NAMES
SMIC_EMOTIONS = {name: name for name in VALENCE}
CASME3_VALENCE = _valence(("disgust", "fear", "anger", "sadness"))
CASME2_5 = ("happiness", "disgust", "repression", "surprise", "others")
SAMM_5 = ("anger", "contempt", "happiness", "surprise", "others")
MMEW_4 = ("happiness", "surprise", "disgust", "others")
MMEW_7 = ("happiness", "anger", "surprise", "disgust", "fear", "sadness", "others")
CASME3_7 = ("happiness", "disgust", "fear", "anger", "sadness", "surprise", "others")

SCHEMES = {
    scheme.name: scheme
    for scheme in (
        LabelScheme(
            "megc2019",
            VALENCE,
            {
                "casme2": _valence(("disgust", "repression")),
                "samm": _valence(("anger", "contempt", "disgust", "fear", "sadness")),
                "smic": SMIC_EMOTIONS,
            },
        ),
        LabelScheme("casme2_5", CASME2_5, _same_names("casme2", CASME2_5)),
        LabelScheme("samm_5", SAMM_5, _same_names("samm", SAMM_5)),
        LabelScheme("smic_3", VALENCE, {"smic": SMIC_EMOTIONS}),
        LabelScheme("mmew_4", MMEW_4, _same_names("mmew", MMEW_4)),
        LabelScheme("mmew_7", MMEW_7, _same_names("mmew", MMEW_7)),
        LabelScheme("casme3_3", VALENCE, {"casme3": CASME3_VALENCE}),
        LabelScheme(
            "casme3_4", (*VALENCE, "others"), {"casme3": {**CASME3_VALENCE, "others": "others"}}
        ),
        LabelScheme("casme3_7", CASME3_7, _same_names("casme3", CASME3_7)),
    )
}

DEFAULT_SCHEMES = {
    **dict.fromkeys(COMPOSITE, "megc2019"),
    "mmew": "mmew_4",
    "casme3": "casme3_3",
}


@dataclass(frozen=True)
class LabelledClip:
    """A clip and its class number under a scheme."""

    clip: RawClip
    label: int


def get_scheme(name: str, dataset: str) -> LabelScheme:
    """The scheme of that name.

    Raises:
        UserError: there is none, or it is not defined for the dataset.
    """
    if name not in SCHEMES:
        raise UserError(f"unknown label scheme {name!r}. Choose one of {name_list(SCHEMES)}.")
    scheme = SCHEMES[name]
    if dataset not in scheme.emotions:
        fitting = [name for name, other in SCHEMES.items() if dataset in other.emotions]
        raise UserError(
            f"label scheme {scheme.name} is not defined for {dataset}. "
            f"Choose one of {name_list(fitting)}."
        )
    return scheme


def label_clips(
    clips: Iterable[RawClip], scheme: LabelScheme
) -> tuple[list[LabelledClip], list[Finding]]:
    """The clips that the scheme takes, with their labels, and a finding for each it leaves out."""
    labelled, left_out = [], []
    for clip in clips:
        label = scheme.label(clip.dataset, clip.emotion)
        excluded = [name for name in (ALL_SCHEMES, scheme.name) if name in clip.left_out_of]
        if excluded:
            value, reason = f"exclude {excluded[0]}", clip.left_out_of[excluded[0]]
            left_out.append(_left_out(clip, "correction", value, reason))
        elif label is None:
            reason = f"{scheme.name} has no class for this emotion."
            left_out.append(_left_out(clip, "scheme", clip.emotion, reason))
        else:
            labelled.append(LabelledClip(clip, label))
    return labelled, left_out


def exclusion_findings(clips: Iterable[RawClip], schemes: Iterable[LabelScheme]) -> list[Finding]:
    """What corrections leave out under each of the schemes; one line a correction."""
    clips = list(clips)
    left_out = [finding for scheme in schemes for finding in label_clips(clips, scheme)[1]]
    return list(dict.fromkeys(finding for finding in left_out if finding.rule == "correction"))


def _left_out(clip: RawClip, rule: str, value: str, reason: str) -> Finding:
    return Finding(clip.dataset, clip.row, clip.subject, clip.clip, rule, value, "excluded", reason)
