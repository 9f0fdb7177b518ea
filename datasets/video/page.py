"""What was found in a video: rows of a table, one self-contained web page, an annotated video."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.action_units import ACTION_UNITS, GAZE, NAMES
from datasets.pictures.clip import (
    arrows,
    color_wheel,
    flow_colors,
    grey,
    longest_motion,
    without_median,
)
from datasets.video.analysis import (
    LEAST_QUALITY,
    LEAST_SCORE,
    Analysis,
    Event,
    Verdicts,
    verdict,
)
from datasets.video.decode import Video
from datasets.video.face import FACE_SIZE
from datasets.video.muscle_picture import draw_muscles
from datasets.video.spotting import EXPRESSIONS, MotionCurve

KEY_FRAMES = ("onset", "apex", "offset")
TRUST = (
    "Movements were found by motion alone and no expression was classified. The spotting was "
    "measured on planted movements (docs/video.md), never on your camera: look at the frames "
    "before you believe an entry."
)
SCORE = "score_"
SIDE_NAMES = ("left", "right")
# Of the activations in the table: each unit in the left and the right half of the picture.
COLUMNS = tuple(
    f"{muscle if muscle == GAZE else f'AU{muscle}'}_{side}"
    for muscle in ACTION_UNITS
    for side in SIDE_NAMES
)
MUSCLE_TITLES = tuple(
    f"{muscle if muscle == GAZE else f'AU {muscle}'} {NAMES[muscle]}, {side}"
    for muscle in ACTION_UNITS
    for side in SIDE_NAMES
)
MOST_MUSCLES, LEAST_SHARE = 6, 0.1
"""How many muscles are named, and from which share of the strongest one's activation on."""
# The timeline in units of its view box, and how many points of its curve are drawn.
WIDTH, HEIGHT, MOST_POINTS = 1000, 180, 1000


def table_of(name: str, analysis: Analysis, verdicts: Verdicts | None) -> pd.DataFrame:
    """One row a movement, in order of time.

    Args:
        name: of the video, the first column.
        analysis: of the video.
        verdicts: of a method, a row for each event; None leaves out its columns.
    """
    rows = []
    for place, event in enumerate(analysis.events):
        spotted = event.spotted
        scores = None if verdicts is None else verdicts.scores[place]
        row: dict[str, Any] = {"video": name, "kind": spotted.kind}
        for key, seconds in zip(KEY_FRAMES, spotted.seconds, strict=True):
            row[f"{key}_frame"] = getattr(spotted, key)
            row[f"{key}_seconds"] = round(seconds, 3)
        row |= {"pixels": round(spotted.pixels, 2), "region": spotted.region}
        row |= {"quality": spotted.quality, "given": spotted.given}
        classes = verdicts.classes if verdicts else ()
        row["verdict"] = verdict(spotted, classes, scores)
        if verdicts is not None and scores is not None:
            told = spotted.kind in EXPRESSIONS
            row |= {f"{SCORE}{c}": _score(s, told) for c, s in zip(classes, scores, strict=True)}
            if verdicts.activations is not None:
                values = zip(COLUMNS, verdicts.activations[place].reshape(-1), strict=True)
                row |= {name: round(float(value), 3) for name, value in values}
        rows.append(row)
    return pd.DataFrame(rows)


def _score(value: float, told: bool) -> float | None:
    """A blink has no class."""
    return round(float(value), 4) if told else None


def render_page(name: str, video: Video, analysis: Analysis, verdicts: Verdicts | None) -> str:
    """The page as HTML: no script, no other file or host; every text in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = table_of(name, analysis, verdicts).to_dict("records")
    shown = [
        {
            "row": row,
            "number": place + 1,
            "pictures": _pictures(event),
            "muscle_pictures": _muscle_pictures(event, verdicts, place),
            "scores": [(k.removeprefix(SCORE), v) for k, v in row.items() if k.startswith(SCORE)],
            "muscles": _strongest(verdicts, place),
        }
        for place, (row, event) in enumerate(zip(rows, analysis.events, strict=True))
    ]
    seconds = float(analysis.curve.seconds[-1]) if len(analysis.curve.seconds) else 0.0
    return environment.get_template("page.html").render(
        name=name,
        synthetic=video.synthetic,
        seconds=seconds,
        rate=video.rate,
        warnings=analysis.warnings,
        trust=verdicts.trust if verdicts else TRUST,
        events=shown,
        expressions=[one for one in shown if one["row"]["kind"] in EXPRESSIONS],
        timeline=_timeline(analysis),
        wheel=_data_uri(color_wheel()),
        least_quality=LEAST_QUALITY,
        least_score=LEAST_SCORE,
    )


def _timeline(analysis: Analysis) -> dict[str, Any]:
    """Places of the timeline's parts in its view box."""
    curve = analysis.curve
    end = max([e.spotted.seconds[2] for e in analysis.events] + [*curve.seconds[-1:], 0.1])
    top = max([curve.threshold * 2, *curve.pixels.tolist()])

    def x(seconds: float) -> float:
        return round(WIDTH * seconds / end, 1)

    def y(pixels: float) -> float:
        return round(HEIGHT * (1 - pixels / top), 1)

    spans = [
        {"x": x(e.spotted.seconds[0]), "apex": x(e.spotted.seconds[1]), "kind": e.spotted.kind,
         "width": max(x(e.spotted.seconds[2]) - x(e.spotted.seconds[0]), 2.0)}
        for e in analysis.events
    ]  # fmt: skip
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "threshold": y(curve.threshold),
        "top": top,
        "end": end,
        "lines": [" ".join(f"{x(s)},{y(p)}" for s, p in line) for line in _lines(curve)],
        "spans": spans,
        "absences": [(x(start), x(stop) - x(start)) for start, stop in analysis.face.absences],
    }


def _lines(curve: MotionCurve) -> Iterator[list[tuple[float, float]]]:
    """The curve in pieces without gaps, thinned to the largest of each few points."""
    if not len(curve.seconds):
        return
    every = max(1, len(curve.seconds) // MOST_POINTS)
    breaks = np.flatnonzero(np.diff(curve.seconds) > 5 * np.median(np.diff(curve.seconds))) + 1
    for piece in np.split(np.arange(len(curve.seconds)), breaks):
        groups = [piece[start : start + every] for start in range(0, len(piece), every)]
        yield [(float(curve.seconds[g[0]]), float(curve.pixels[g].max())) for g in groups]


def _pictures(event: Event) -> list[tuple[str, str, str]]:
    """Caption, description and data URI of each picture of an event."""
    flows = [without_median(flow) for flow in event.clip.flows]
    longest = longest_motion(flows)
    spotted = event.spotted
    pictures = []
    for key, seconds, frame in zip(KEY_FRAMES, spotted.seconds, event.clip.frames, strict=True):
        caption = f"{key}, {seconds:.2f} s"
        pictures.append((caption, f"The face at the {caption}", _data_uri(grey(frame))))
    for flow, phase in zip(flows, ("onset to apex", "apex to offset"), strict=True):
        text = f"Motion from {phase} as colors, up to {longest:.1f} pixels"
        pictures.append((f"motion, {phase}", text, _data_uri(flow_colors(flow, longest))))
    drawn = arrows(event.clip.frames[0], flows[0], longest)
    text = f"Motion from onset to apex as arrows on the face; the {spotted.region} moves most"
    pictures.append(("motion, onset to apex, as arrows", text, _data_uri(drawn)))
    return pictures


def _muscle_pictures(
    event: Event, verdicts: Verdicts | None, place: int
) -> list[tuple[str, str, str]]:
    if verdicts is None or verdicts.activations is None:
        return []
    own = verdicts.activations[place]
    names = ", ".join(name for name, _, _ in _strongest(verdicts, place)[:2])
    text = f"Muscles as red and blue spots on the face; the strongest: {names}"
    caption = (
        "Muscles on the face at onset. Red: they pull as their action unit says; blue: the other "
        "way round. Numbers: the strongest action units."
    )
    return [(caption, text, _data_uri(draw_muscles(event.clip.frames[0], own)))]


def _strongest(verdicts: Verdicts | None, place: int) -> list[tuple[str, float, float]]:
    """Name, activation, and share of the strongest one, of the muscles that move most."""
    if verdicts is None or verdicts.activations is None:
        return []
    values = verdicts.activations[place].reshape(-1)
    order = np.abs(values).argsort()[::-1][:MOST_MUSCLES]
    longest = max(float(np.abs(values).max()), 1e-6)
    named = [(MUSCLE_TITLES[n], float(values[n]), abs(float(values[n])) / longest) for n in order]
    return [muscle for muscle in named if muscle[2] >= LEAST_SHARE]


def _data_uri(picture: NDArray[np.uint8]) -> str:
    encoded = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(encoded).decode()}"


def annotated_frames(
    video: Video, analysis: Analysis, rows: Sequence[dict[Any, Any]]
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The video in color, the face framed and each movement named while it lasts."""
    motion, transforms = analysis.motion, analysis.face.transforms
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * FACE_SIZE
    for number, (seconds, picture) in enumerate(video.source(True)):
        at = min(int(np.searchsorted(motion.numbers, number)), len(motion.numbers) - 1)
        # Fast video is thinned out, so the nearest frame with a face may be a few frames away.
        if abs(int(motion.numbers[at]) - number) < 5:
            back = cv2.invertAffineTransform(transforms[motion.stretches[at]])
            placed = np.rint(corners @ back[:, :2].T + back[:, 2]).astype(np.int32)
            cv2.polylines(picture, [placed], True, (240, 240, 240), 1, cv2.LINE_AA)
        now = [r for r in rows if r["onset_frame"] <= number <= r["offset_frame"]]
        for line, row in enumerate(now, start=1):
            text = f"{row['kind']}: {row['verdict']}"
            for color, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
                place = (8, 24 * line)
                cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, width)
        yield seconds, picture
