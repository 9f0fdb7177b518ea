"""Which synthetic clips there are, and their names, which follow each dataset's convention."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.dataset_names import COMPOSITE, DATASETS
from common.errors import UserError
from datasets.synthetic.faces import generator

EMOTIONS = ("negative", "positive", "surprise", "others")
# The three classes of the composite; only raw datasets also have "others".
CLASS_COUNT, OTHERS = 3, 3
# Half of a subject's clips are negative, as in the composite; the order is turned by subject.
LABEL_CYCLE = (0, 1, 0, 2, 0, 1, 0, 2)
# A subject's clips come in films of four; a clip of "others" is in a film after all of them.
CLIPS_PER_FILM, MOST_CLIPS, OTHERS_INDEX = 4, 96, 100


@dataclass(frozen=True)
class ClipSpec:
    """Names one synthetic clip; ``label`` is 0 negative, 1 positive, 2 surprise, 3 others."""

    seed: int
    dataset: str
    subject: str
    clip: str
    label: int

    @property
    def stem(self) -> str:
        """Its name in the published layout."""
        return f"{self.subject}_{self.clip}"


def list_synthetic_clips(
    subjects_per_dataset: int = 6,
    clips_per_subject: int = 8,
    seed: int = 1,
    datasets: Sequence[str] = COMPOSITE,
    with_others: bool = False,
) -> list[ClipSpec]:
    """Name the clips of each dataset, ordered by dataset, subject and number.

    A longer list begins each subject with the same clips as a shorter one.

    Args:
        subjects_per_dataset: 1 to 99.
        clips_per_subject: 1 to 96, in the three classes.
        seed: another seed gives other subjects and other clips.
        datasets: which parts.
        with_others: each subject has one more clip, of no class; SMIC has none.

    Raises:
        UserError: a count out of range.
    """
    if not 1 <= subjects_per_dataset <= 99 or not 1 <= clips_per_subject <= MOST_CLIPS:
        raise UserError(
            f"Synthetic clips come from 1 to 99 subjects with 1 to {MOST_CLIPS} clips each, not "
            f"{subjects_per_dataset} with {clips_per_subject}."
        )
    return [
        spec
        for dataset in datasets
        for number in range(1, subjects_per_dataset + 1)
        for spec in _clips_of(
            seed, dataset, number, clips_per_subject, with_others and dataset != "smic"
        )
    ]


def find_synthetic_clip(name: str, seed: int = 1) -> ClipSpec:
    """The clip called ``subject/clip``, such as sub01/EP01_01.

    Raises:
        UserError: no synthetic clip has this name.
    """
    for spec in list_synthetic_clips(99, MOST_CLIPS, seed, DATASETS):
        if f"{spec.subject}/{spec.clip}" == name:
            return spec
    raise UserError(
        f"There is no synthetic clip {name!r}. Names are like sub01/EP01_01, 001/001_1_1, "
        "s01/s01_ne_01, S01/S01-01-001 and spNO.1/a_1."
    )


def _clips_of(
    seed: int, dataset: str, number: int, clip_count: int, with_others: bool
) -> Iterator[ClipSpec]:
    """The clips of a subject."""
    subject = _subject_name(dataset, number)
    start = int(generator(seed, dataset, subject, "labels").integers(len(LABEL_CYCLE)))
    seen: Counter[int] = Counter()
    for index in range(clip_count):
        label = LABEL_CYCLE[(start + index) % len(LABEL_CYCLE)]
        seen[label] += 1
        clip = _clip_name(dataset, subject, index, label, seen[label])
        yield ClipSpec(seed, dataset, subject, clip, label)
    if with_others:
        clip = _clip_name(dataset, subject, OTHERS_INDEX, OTHERS, 1)
        yield ClipSpec(seed, dataset, subject, clip, OTHERS)


def _subject_name(dataset: str, number: int) -> str:
    names = {
        "casme2": f"sub{number:02d}",
        "samm": f"{number:03d}",
        "smic": f"s{number:02d}",
        "mmew": f"S{number:02d}",
        "casme3": f"spNO.{number}",
    }
    return names[dataset]


def _clip_name(dataset: str, subject: str, index: int, label: int, count: int) -> str:
    """``count``: running number among the subject's clips of the label."""
    film, part = index // CLIPS_PER_FILM + 1, index % CLIPS_PER_FILM + 1
    names = {
        "casme2": f"EP{film:02d}_{part:02d}",
        "samm": f"{subject}_{film}_{part}",
        "smic": f"{subject}_{('ne', 'po', 'sur', 'oth')[label]}_{count:02d}",
        "mmew": f"{subject}-{film:02d}-{part:03d}",
        "casme3": f"{chr(ord('a') + film - 1)}_{part}",
    }
    return names[dataset]
