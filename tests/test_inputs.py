"""The reader of the published layout: the 442 real samples, and folders with something wrong."""

import hashlib
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from datasets import arrays, direction_map, read_inputs, tile_regions, write_maps, write_table
from datasets.arrays import PHASES, flow_path, frames_path
from datasets.inputs import KNOWN_COLUMNS, MAPS_FOLDER, TABLE_NAME, map_file_name

# Measured once on the released files, in the order of the sorted stems.
RELEASED_MAPS_SHA256 = "68645cc9e324a747dcacd341ca01bd7b8137270b51d5498cd2d47edb5e649b14"
RELEASED_COMPOSITES_SHA256 = "045e54cbda3bb0d394034dc46c2a9f3f83f85757c4e947c2392db2db5a6c3881"
# The input hash, which finished runs are compared by.
RELEASED_INPUTS_SHA256 = "24a6b7704ee1d08b8e0ae9ee16d5cd6ed2a1f459f4ae781c37ae38d659d731b8"

CLIPS = pd.DataFrame(
    {
        "dataset": ["samm", "casme2", "smic"],
        "subject": ["006", "sub01", "s03"],
        "clip": ["006_1_2", "EP01_01", "s03_ne_01"],
        "label": [0, 1, 2],
    }
)
STEMS = ["006_006_1_2", "s03_s03_ne_01", "sub01_EP01_01"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips of random flow maps, written in the published layout."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 2, 28, 28, 3), dtype=np.uint8)
    write_table(tmp_path, CLIPS, synthetic=False)
    for row, flow_maps in zip(CLIPS.itertuples(), pixels, strict=True):
        maps = np.concatenate([flow_maps, direction_map(flow_maps)])
        write_maps(tmp_path, f"{row.subject}_{row.clip}", maps)
    return tmp_path


def change_table(folder: Path, old: str, new: str) -> None:
    table = folder / TABLE_NAME
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))


def map_path(folder: Path, stem: str, map_index: int) -> Path:
    return folder / MAPS_FOLDER / map_file_name(stem, map_index)


def test_the_released_samples_hash_to_the_measured_values(released_folder: Path) -> None:
    inputs = read_inputs(released_folder)
    assert hashlib.sha256(inputs.maps.tobytes()).hexdigest() == RELEASED_MAPS_SHA256
    assert (
        hashlib.sha256(tile_regions(inputs.maps).tobytes()).hexdigest()
        == RELEASED_COMPOSITES_SHA256
    )
    assert inputs.sha256 == RELEASED_INPUTS_SHA256
    assert inputs.clips["label"].value_counts().sort_index().tolist() == [250, 109, 83]
    assert inputs.clips.groupby("dataset").size().to_dict() == {
        "casme2": 145,
        "samm": 133,
        "smic": 164,
    }
    assert not inputs.synthetic


def test_all_released_direction_maps_are_computed_exactly(released_folder: Path) -> None:
    maps = read_inputs(released_folder).maps
    assert np.array_equal(direction_map(maps[:, :2]), maps[:, 2:])


def test_what_is_written_is_read_back_in_the_order_of_the_stems(folder: Path) -> None:
    inputs = read_inputs(folder)
    assert inputs.clips["stem"].tolist() == STEMS
    assert inputs.clips["subject"].tolist() == ["006", "s03", "sub01"]
    assert inputs.clips["label"].tolist() == [0, 2, 1]
    stored = np.asarray(cv2.imread(str(map_path(folder, "s03_s03_ne_01", 1))))
    assert np.array_equal(inputs.maps[1, 1], stored)
    assert not inputs.synthetic


def test_a_clone_of_the_repository_gives_the_same_inputs(folder: Path) -> None:
    beside = read_inputs(folder)
    (folder / "datasets").mkdir()
    (folder / MAPS_FOLDER).rename(folder / "datasets" / MAPS_FOLDER)
    assert read_inputs(folder).sha256 == beside.sha256


def test_absent_direction_maps_are_computed(folder: Path) -> None:
    complete = read_inputs(folder)
    map_path(folder, STEMS[0], 2).unlink()
    for map_index in (2, 3):
        map_path(folder, STEMS[2], map_index).unlink()
    assert read_inputs(folder).sha256 == complete.sha256


def test_the_space_before_the_extension_may_be_absent(folder: Path) -> None:
    expected = read_inputs(folder)
    for path in list((folder / MAPS_FOLDER).iterdir()):
        path.rename(path.with_name(path.name.replace(" .png", ".png")))
    assert read_inputs(folder).sha256 == expected.sha256


def test_files_that_belong_to_no_clip_are_ignored(folder: Path) -> None:
    expected = read_inputs(folder)
    for name in (".DS_Store", "Thumbs.db", "sub99_EP01_01 .png"):
        (folder / MAPS_FOLDER / name).write_bytes(b"not a map")
    assert read_inputs(folder).sha256 == expected.sha256


def test_the_hash_covers_pixels_and_labels(folder: Path) -> None:
    first = read_inputs(folder).sha256
    change_table(folder, "006_1_2,0", "006_1_2,1")
    second = read_inputs(folder).sha256
    cv2.imwrite(str(map_path(folder, STEMS[0], 0)), np.zeros((28, 28, 3), np.uint8))
    assert len({first, second, read_inputs(folder).sha256}) == 3


def test_a_drawn_source_is_said_in_the_table(folder: Path) -> None:
    write_table(folder, CLIPS, synthetic=True)
    assert read_inputs(folder).synthetic
    assert "synthetic" in (folder / TABLE_NAME).read_text()


def test_a_picture_of_gigabytes_is_refused_by_its_header(folder: Path) -> None:
    path = map_path(folder, STEMS[0], 0)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 65_500, 65_500)
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(UserError, match="65500 x 65500 pixels, not 28 x 28"):
        read_inputs(folder)


def test_every_problem_with_the_maps_is_named_in_one_error(folder: Path) -> None:
    missing, broken, small = (map_path(folder, stem, 0) for stem in STEMS)
    truncated = map_path(folder, STEMS[0], 1)
    missing.unlink()
    broken.write_bytes(b"")
    cv2.imwrite(str(small), np.zeros((14, 28, 3), np.uint8))
    truncated.write_bytes(truncated.read_bytes()[:-40])
    with pytest.raises(UserError) as caught:
        read_inputs(folder)
    message = str(caught.value)
    assert f"missing: {missing.name};" in message
    assert f"not a readable PNG: {truncated.name}, {broken.name};" in message
    assert f"14 x 28 pixels, not 28 x 28: {small.name}." in message


def test_a_sixteen_bit_map_is_refused(folder: Path) -> None:
    path = map_path(folder, STEMS[0], 0)
    cv2.imwrite(str(path), np.zeros((28, 28, 3), np.uint16))
    with pytest.raises(UserError, match="28 x 28 x 3 uint16, not"):
        read_inputs(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("006_1_2,0", "006_1_2,3", "006_006_1_2 has '3'"),
        ("006_1_2,0", "006_1_2,", "006_006_1_2 has ''"),
        ("samm,006,", "samm,../006,", "'../006'"),
        ("samm,006,", "samm,,", "''"),
        ("samm,006,006_1_2", "samm,sub01,EP01_01", "sub01_EP01_01 and sub01_EP01_01"),
        ("samm,006,006_1_2", "samm,sub01,EP01_01_1", "sub01_EP01_01_1 and sub01_EP01_01"),
        ("filename_o", "name", "no column filename_o"),
    ],
)
def test_a_bad_table_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    change_table(folder, old, new)
    with pytest.raises(UserError) as caught:
        read_inputs(folder)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00binary", b'"unclosed\n1,2'])
def test_a_table_that_is_no_table_is_refused(folder: Path, content: bytes) -> None:
    (folder / TABLE_NAME).write_bytes(content)
    with pytest.raises(UserError, match=TABLE_NAME):
        read_inputs(folder)


def test_a_table_without_rows_is_refused(folder: Path) -> None:
    table = folder / TABLE_NAME
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match="lists no clip"):
        read_inputs(folder)


def test_a_wrong_folder_is_refused_with_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        read_inputs(tmp_path / "absent")
    with pytest.raises(UserError, match=f"holds no {TABLE_NAME}"):
        read_inputs(tmp_path)
    write_table(tmp_path, CLIPS, synthetic=False)
    with pytest.raises(UserError, match="no maps"):
        read_inputs(tmp_path)


def test_what_else_is_known_of_a_clip_is_read_and_leaves_the_hash(folder: Path) -> None:
    before = read_inputs(folder)
    assert not set(KNOWN_COLUMNS) & set(before.clips)
    known = CLIPS.assign(apex=[7, None, 12], point1_x=[9.5, 9.25, None], offset=None)
    write_table(folder, known, synthetic=False)
    inputs = read_inputs(folder)
    assert inputs.clips.columns.tolist()[5:] == ["apex", "point1_x"]
    np.testing.assert_array_equal(inputs.clips["apex"], [7, 12, np.nan])
    np.testing.assert_array_equal(inputs.clips["point1_x"], [9.5, np.nan, 9.25])
    assert inputs.sha256 == before.sha256
    change_table(folder, "9.25", "left")
    with pytest.raises(UserError, match="point1_x must be a number, not 'left'"):
        read_inputs(folder)


@pytest.fixture
def with_arrays(folder: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """The folder with signed flow and frames for every clip, in the order of the stems."""
    random = np.random.default_rng(1)
    flow = random.normal(size=(3, 2, 6, 6, 2)).astype(np.float16)
    frames = random.integers(0, 256, (3, 9, 5, 5, 3), dtype=np.uint8)
    for number, stem in enumerate(STEMS):
        for path in (flow_path(folder, stem), frames_path(folder, stem)):
            path.parent.mkdir(exist_ok=True)
        np.savez(flow_path(folder, stem), **dict(zip(PHASES, flow[number], strict=True)))
        np.save(frames_path(folder, stem), frames[number])
    return folder, flow, frames


@pytest.mark.parametrize("large", [False, True])
def test_named_arrays_are_read_in_the_order_of_the_clips(
    large: bool,
    with_arrays: tuple[Path, np.ndarray, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrays, "LARGE_BYTES", 0 if large else 2**28)
    folder, flow, frames = with_arrays
    inputs = read_inputs(folder)
    assert inputs.array("maps") is inputs.maps
    for name, expected in (("flow", flow), ("frames", frames)):
        stored = inputs.array(name)
        assert isinstance(stored, np.ndarray) != large
        assert (stored.shape, stored.dtype, len(stored)) == (expected.shape, expected.dtype, 3)
        np.testing.assert_array_equal(np.asarray(stored), expected)
        for places in (1, -1, slice(1, 3), [2, 0], np.array([True, False, True]), np.arange(0)):
            np.testing.assert_array_equal(stored[places], expected[places])
    other = replace(inputs, arrays={"flow": flow[:, :1]})
    assert other.array("flow").shape == (3, 1, 6, 6, 2)
    with pytest.raises(UserError, match=r"no input 'depth'\. Choose one of: maps, flow, frames"):
        inputs.array("depth")


def test_the_hash_of_an_array_covers_it_and_the_table(
    with_arrays: tuple[Path, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, flow, _ = with_arrays
    inputs = read_inputs(folder)
    assert inputs.sha256_of("maps") == inputs.sha256
    first = inputs.sha256_of("flow")
    assert replace(inputs, arrays={"flow": flow}).sha256_of("flow") == first
    monkeypatch.setattr(arrays, "LARGE_BYTES", 0)
    assert inputs.sha256_of("flow") == first
    moved = replace(inputs, clips=inputs.clips.assign(apex=3.0)).sha256_of("flow")
    changed = replace(inputs, arrays={"flow": flow + 1}).sha256_of("flow")
    assert len({first, moved, changed, inputs.sha256_of("frames"), inputs.sha256}) == 5


def test_an_absent_or_damaged_array_is_refused_with_the_command_that_makes_it(
    with_arrays: tuple[Path, np.ndarray, np.ndarray],
) -> None:
    folder, *_ = with_arrays
    inputs = read_inputs(folder)
    np.save(frames_path(folder, STEMS[1]), np.zeros((9, 7, 7, 3), np.uint8))
    with pytest.raises(UserError, match=r"s03_s03_ne_01.npy holds uint8 \[9, 7, 7, 3\], and "):
        inputs.array("frames")
    frames_path(folder, STEMS[1]).unlink()
    with pytest.raises(UserError) as caught:
        inputs.array("frames")
    assert str(caught.value) == (
        f"{folder} holds no frames of smic. This command makes the frames: python "
        "build_inputs.py --dataset smic --sheet FILE --frames DIR --keep frames --out "
        "ANOTHER_FOLDER (without a dataset at hand, make_synthetic.py --what raw draws one)."
    )
    flow_path(folder, STEMS[0]).write_bytes(b"PK")
    with pytest.raises(UserError, match=r"is damaged: .*Remove it and build it again"):
        inputs.array("flow")


@pytest.mark.parametrize("ending", [".png", " .png"])
def test_a_folder_with_the_first_map_alone_has_one_phase(folder: Path, ending: str) -> None:
    both = read_inputs(folder)
    for path in list((folder / MAPS_FOLDER).iterdir()):
        if path.name.removesuffix(" .png") in STEMS:
            path.rename(path.with_name(path.name.replace(" .png", ending)))
        else:
            path.unlink()
    inputs = read_inputs(folder)
    assert (both.phases, inputs.phases) == (2, 1)
    np.testing.assert_array_equal(inputs.maps, both.maps[:, :1])
    assert inputs.maps.shape == (3, 1, 28, 28, 3)
    assert inputs.sha256 != both.sha256
    (folder / MAPS_FOLDER / f"{STEMS[1]}{ending}").unlink()
    with pytest.raises(UserError, match=rf"missing: {STEMS[1]} \.png\."):
        read_inputs(folder)


def test_the_released_samples_say_what_they_lack(released_folder: Path) -> None:
    inputs = read_inputs(released_folder)
    assert inputs.phases == 2
    with pytest.raises(UserError, match="holds no flow of casme2, samm, smic"):
        inputs.array("flow")
