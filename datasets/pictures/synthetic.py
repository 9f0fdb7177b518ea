"""A picture of one synthetic clip: key frames, computed and true motion, strain and directions."""

import io
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from datasets.direction_maps import direction_map
from datasets.frames.flow import FlowMethod, compute_flow, flow_map, optical_strain
from datasets.synthetic.clips import SyntheticClip
from datasets.synthetic.specs import EMOTIONS

ARROW_STEP = 8
COLUMNS = 4


def flow_colors(flow: NDArray[np.floating], longest: float) -> NDArray[np.uint8]:
    """A flow [H, W, 2] as RGB: the hue is its direction, white no motion, full color ``longest``.

    Red points right, yellow-green down, cyan left, violet up.
    """
    length, degrees = cv2.cartToPolar(
        flow[..., 0].astype(np.float32), flow[..., 1].astype(np.float32), angleInDegrees=True
    )
    saturation = np.clip(length / longest, 0, 1)
    hsv = np.dstack([degrees, saturation, np.ones_like(length)]).astype(np.float32)
    return np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def draw_clip_picture(clip: SyntheticClip, method: FlowMethod = "tvl1") -> bytes:
    """The picture as a PNG file's bytes; the same clip gives the same bytes."""
    figure = Figure(figsize=(12.4, 10.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes: NDArray[Any] = figure.subplots(3, COLUMNS)
    spec = clip.spec
    figure.suptitle(
        f"SYNTHETIC clip {spec.dataset} {spec.subject}/{spec.clip}, drawn, not filmed\n"
        f"{EMOTIONS[clip.label]}: action units {' + '.join(clip.action_units)}",
        fontsize=15,
    )
    _draw_frames(axes[0], clip)
    longest = float(np.linalg.norm(_centered(clip.motion), axis=-1).max())
    _draw_wheel(axes[0, COLUMNS - 1], longest)
    for phase, row in enumerate(axes[1:]):
        _draw_phase(row, clip, phase, method, longest)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _centered(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flow [..., H, W, 2] without its median, which is mostly the head's own motion."""
    return flow - np.median(flow, axis=(-3, -2), keepdims=True)


def _show(axis: Any, picture: NDArray[Any], title: str, **style: Any) -> Any:
    axis.set_title(title, fontsize=11)
    axis.set_xticks([])
    axis.set_yticks([])
    return axis.imshow(picture, **style)


def _draw_frames(row: NDArray[Any], clip: SyntheticClip) -> None:
    for axis, name in zip(row, ("onset", "apex", "offset"), strict=False):
        at = getattr(clip, name)
        _show(axis, clip.frames[at], f"{name}: frame {at}", cmap="gray", vmin=0, vmax=255)


def _draw_wheel(axis: Any, longest: float) -> None:
    """The key to the colors: each direction from the middle, in the picture's axes."""
    side = np.linspace(-1, 1, 201, dtype=np.float32)
    wheel = np.stack(np.meshgrid(side, side), axis=-1)
    colors = flow_colors(wheel, 1.0)
    colors[np.linalg.norm(wheel, axis=-1) > 1] = 255
    _show(axis, colors, f"direction; rim = {longest:.1f} pixels")
    axis.set_frame_on(False)


def _draw_phase(
    row: NDArray[Any], clip: SyntheticClip, phase: int, method: FlowMethod, longest: float
) -> None:
    names = ("onset", "apex", "offset")[phase : phase + 2]
    first, second = (clip.frames[getattr(clip, name)] for name in names)
    flow = compute_flow(first, second, method)
    row[0].set_ylabel(" to ".join(names), fontsize=12)
    _draw_flow(row[0], _centered(flow), f"{method} flow, less its median", longest)
    _draw_flow(row[1], _centered(clip.motion[phase]), "true motion, less its median", longest)
    _show(row[2], optical_strain(flow), "optical strain of the flow", cmap="magma")
    directions = direction_map(flow_map(flow))
    _show(row[3], directions[..., ::-1], "direction map (published form)")


def _draw_flow(axis: Any, flow: NDArray[np.float32], title: str, longest: float) -> None:
    _show(axis, flow_colors(flow, longest), title)
    at = np.arange(ARROW_STEP // 2, flow.shape[0], ARROW_STEP)
    arrows = flow[at][:, at]
    # Longest arrow: one and a half steps of the grid. imshow's y grows downwards, as v does.
    axis.quiver(
        at,
        at,
        arrows[..., 0],
        arrows[..., 1],
        angles="xy",
        scale_units="xy",
        scale=longest / (1.5 * ARROW_STEP),
        width=0.004,
        color="black",
    )
