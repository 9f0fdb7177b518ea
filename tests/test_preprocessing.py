"""The composite and the named steps from stored maps to network input."""

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import UserError
from datasets import Preparation, direction_map, prepare, tile_regions

PUBLISHED = Preparation(regions=True, center=False, scale=1.0, mirror=False)


@pytest.fixture
def maps() -> NDArray[np.uint8]:
    """Five clips of random flow maps with the direction maps that belong to them."""
    flow_maps = np.random.default_rng(3).integers(0, 256, (5, 2, 28, 28, 3), dtype=np.uint8)
    return np.concatenate([flow_maps, direction_map(flow_maps)], axis=1)


def test_composite_takes_each_pixel_from_where_the_specification_says() -> None:
    rows, columns = np.meshgrid(np.arange(28), np.arange(28), indexing="ij")
    tiled = tile_regions(np.stack([rows, columns], axis=-1)[None])[0]
    assert tiled[0, 0].tolist() == [2, 4]
    assert tiled[13, 13].tolist() == [15, 17]
    assert tiled[0, 14].tolist() == [14, 3]
    assert tiled[13, 27].tolist() == [27, 16]
    assert tiled[14, 0].tolist() == [3, 14]
    assert tiled[27, 13].tolist() == [16, 27]
    assert tiled[14, 14].tolist() == [13, 14]
    assert tiled[27, 27].tolist() == [26, 27]


def test_the_published_preparation_is_the_composite_in_blue_green_red(
    maps: NDArray[np.uint8],
) -> None:
    prepared = prepare(maps, PUBLISHED)
    assert prepared.dtype == np.float32
    assert prepared.shape == (1, 5, 4, 3, 28, 28)
    for channel in range(3):
        assert np.array_equal(prepared[0, :, :, channel], tile_regions(maps)[..., channel])


def test_centring_moves_the_medians_of_u_and_v_alone_to_zero(maps: NDArray[np.uint8]) -> None:
    stored, centered = (
        prepare(maps, Preparation(regions=False, center=center))[0] for center in (False, True)
    )
    assert not np.median(centered[:, :2, 1:], axis=(-2, -1)).any()
    assert np.array_equal(centered[:, :2, 0], stored[:, :2, 0])
    assert np.array_equal(centered[:, 2:], stored[:, 2:])
    shift = stored[:, :2, 1:] - centered[:, :2, 1:]
    assert np.array_equal(shift, np.broadcast_to(shift[..., :1, :1], shift.shape))


def test_a_mirrored_centered_map_is_the_map_flipped_with_u_negated(
    maps: NDArray[np.uint8],
) -> None:
    seen, mirrored = prepare(maps, Preparation(regions=False, center=True, mirror=True))
    flipped = seen[:, :2, :, :, ::-1] * np.array([1, 1, -1])[:, None, None]
    assert np.array_equal(mirrored[:, :2], flipped)


def test_mirrored_direction_maps_belong_to_the_mirrored_flow_maps(
    maps: NDArray[np.uint8],
) -> None:
    mirrored = prepare(maps, Preparation(regions=False, mirror=True))[1]
    flow_maps = np.moveaxis(mirrored[:, :2], 2, -1).astype(np.uint8)
    directions = np.moveaxis(mirrored[:, 2:], 2, -1)
    assert np.array_equal(directions, direction_map(flow_maps))


def test_the_first_view_does_not_depend_on_mirroring(maps: NDArray[np.uint8]) -> None:
    alone = prepare(maps, Preparation(center=True))
    assert np.array_equal(alone[0], prepare(maps, Preparation(center=True, mirror=True))[0])


def test_scale_multiplies_every_value(maps: NDArray[np.uint8]) -> None:
    scaled = prepare(maps, Preparation(regions=True, scale=1 / 255))
    assert np.allclose(scaled * 255, prepare(maps, PUBLISHED), rtol=1e-6)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_no_positive_number_is_refused(scale: float) -> None:
    with pytest.raises(UserError, match="positive"):
        Preparation(scale=scale)


def test_shifted_views_move_whole_pixels_and_come_after_the_stored_and_mirrored_ones(
    maps: NDArray[np.uint8],
) -> None:
    preparation = Preparation(regions=False, mirror=True, shift=1)
    views = prepare(maps, preparation)
    plain = prepare(maps, Preparation(regions=False, mirror=True))
    assert len(views) == preparation.views == 18
    assert np.array_equal(views[:2], plain)
    # The third pair of views is the first step to the left: columns 1.. come to 0..
    assert np.array_equal(views[2][..., :-1], plain[0][..., 1:])
    assert np.array_equal(views[2][..., -1], plain[0][..., -1])
    assert len({view.tobytes() for view in views}) == 18
    with pytest.raises(UserError, match="shift is 4"):
        Preparation(shift=4)


def test_without_strain_the_flow_maps_keep_u_and_v_alone(maps: NDArray[np.uint8]) -> None:
    kept, without = (
        prepare(maps, Preparation(regions=False, strain=strain))[0] for strain in (True, False)
    )
    assert not without[:, :2, 0].any()
    assert np.array_equal(without[:, :2, 1:], kept[:, :2, 1:])
    assert np.array_equal(without[:, 2:], kept[:, 2:])
