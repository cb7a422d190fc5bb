"""Video of high dynamic range or wide gamut looks like the ordinary video that it was made of."""

from itertools import islice

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from faceanim.faces.cropping import ClipTarget, crop_video
from faceanim.inference.face_track import track_face
from faceanim.media.frames import YuvFrame
from faceanim.media.mjpeg import read_mjpeg
from faceanim.media.video import decode_frames, probe, read_frames
from tests.helpers.videos import SMALL_CROPS, moving
from tests.helpers.wide_colors import KINDS, Kind, pq_signal, write_wide

PORTRAIT = astronaut()[:300, 60:380]


def frames_of(path):
    return list(decode_frames(path, probe(path), "pyav"))


def difference(frame, expected):
    return float(np.abs(frame.astype(float) - expected).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("bits", "full_range"), [(10, False), (12, True)])
def test_ordinary_colors_come_back(tmp_path, kind, bits, full_range):
    path = write_wide(tmp_path / "wide.mkv", [PORTRAIT], KINDS[kind], bits, full_range)
    for decoder in ("pyav", "decord"):
        (frame,) = read_frames(path, decoder)
        assert difference(frame, PORTRAIT) < 2
        assert np.abs((frame.astype(float) - PORTRAIT).mean((0, 1))).max() < 1
    (decoded,) = frames_of(path)
    halved = PORTRAIT.reshape(150, 2, 160, 2, 3).mean((1, 3))
    assert difference(decoded.to_rgb((160, 150)), halved) < 2.5
    gray = cv2.cvtColor(PORTRAIT, cv2.COLOR_RGB2GRAY)
    assert difference(decoded.luma, gray if full_range else 16 + gray * (219 / 255)) < 6


def test_eight_bits_of_hdr_are_enough_for_a_face(tmp_path):
    path = write_wide(tmp_path / "wide.mkv", [PORTRAIT], KINDS["hlg"], 8)
    assert difference(next(read_frames(path, "pyav")), PORTRAIT) < 2.5


def test_reference_white_is_white_and_highlights_are_clipped(tmp_path):
    luminances = np.repeat([[20.3, 203.0, 1000.0]], 32, axis=0).repeat(32, axis=1)
    signal = np.repeat(pq_signal(luminances)[..., None], 3, axis=-1)
    kind = KINDS["pq"]._replace(gamut=np.eye(3), encode=lambda light: signal)
    path = write_wide(tmp_path / "white.mkv", [np.zeros((32, 96, 3), np.uint8)], kind, 12)
    (frame,) = read_frames(path, "pyav")
    assert [frame[16, x].tolist() for x in (16, 48, 80)] == [[98] * 3, [255] * 3, [255] * 3]


def test_the_face_is_found_and_cropped_as_in_the_ordinary_video(tmp_path):
    frames = list(moving(6, (150, 165)))
    rows = {}
    for kind in ("pq", "bt2020"):
        path = write_wide(tmp_path / f"{kind}.mkv", frames, KINDS[kind])
        (row,) = crop_video(path, [ClipTarget(kind, 0, None, None, None)], SMALL_CROPS, tmp_path)
        rows[kind] = row, read_mjpeg(tmp_path / row["path"], row["frame_offsets"], row["frame_lengths"])
    (plain, plain_crops), (wide, wide_crops) = rows["bt2020"], rows["pq"]
    assert wide["status"] == "ok"
    assert np.abs(np.subtract(wide["box"], plain["box"])).max() <= 4
    if wide["box"] == plain["box"]:
        assert difference(wide_crops, plain_crops) < 2
    boxes = [track_face(frames_of(tmp_path / f"{kind}.mkv"), "largest", "").boxes for kind in rows]
    assert min(a.iou(b) for a, b in zip(*boxes, strict=True)) > 0.9


def test_frames_decoded_again_are_the_same(tmp_path, monkeypatch):
    path = write_wide(tmp_path / "wide.mkv", list(moving(6, (150, 165))), KINDS["hlg"])
    contents = []
    for limit in (2**29, 0):
        monkeypatch.setattr("faceanim.faces.cropping.MAX_BUFFER_BYTES", limit)
        (row,) = crop_video(path, [ClipTarget("c", 0, None, None, None)], SMALL_CROPS, tmp_path)
        contents.append((tmp_path / row["path"]).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    "tags", [(1, 1, 1), (2, 2, 2), (5, 6, 5), (6, 6, 6), (7, 7, 7), (22, 13, 1), (1, 4, 1)]
)
def test_near_enough_colors_are_left_alone(tmp_path, tags):
    primaries, transfer, matrix = tags
    kind = Kind(primaries, transfer, matrix, np.eye(3), lambda light: light ** (1 / 2.4))
    path = write_wide(tmp_path / "plain.mkv", [PORTRAIT], kind, 8)
    assert isinstance(frames_of(path)[0], YuvFrame)
    assert probe(path).caveats == ()


def test_a_matrix_that_cannot_be_converted_is_said_once(tmp_path, caplog):
    kind = KINDS["pq"]
    path = write_wide(tmp_path / "ictcp.mkv", [PORTRAIT], kind)
    tagged = path.read_bytes().replace(b"\x55\xb1\x81\x09", b"\x55\xb1\x81\x0e")
    path.write_bytes(tagged)
    assert next(read_frames(path, "pyav")).shape == PORTRAIT.shape
    probe(path)
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"{path}: color matrix ICtCp cannot be converted, so its colors may be wrong"]


def test_the_script_s_hdr_video_looks_like_its_original(awkward):
    """Its encoder loses 2.5 levels, which are noise."""
    shown, originals = (
        np.stack([frame.to_rgb((80, 106)) for frame in islice(frames_of(awkward / name), 9)]).astype(float)
        for name in ("hdr_pq.mp4", "base.mp4")
    )
    assert np.abs((shown - originals).mean((0, 1, 2))).max() < 2
    assert difference(shown, originals) < 3


@pytest.mark.parametrize(
    ("size", "matrix"), [((1280, 64), 1), ((64, 640), 1), ((640, 480), 5), ((720, 576), 5)]
)
def test_a_video_that_names_no_matrix_is_read_as_players_do(tmp_path, size, matrix):
    """Red, green and blue differ by up to 30 levels if the wrong matrix is used."""
    width, height = size
    colors = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 160, 140]], np.uint8)
    frame = colors[np.arange(width) * 4 // width][None].repeat(height, 0)
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        coded = av.VideoFrame.from_ndarray(frame, format="rgb24")
        output.mux(stream.encode(coded.reformat(format="yuv420p", dst_colorspace=matrix)))
        output.mux(stream.encode(None))
    (read,) = read_frames(tmp_path / "a.mkv", "pyav")
    centers = read[height // 2, width // 8 :: width // 4].astype(int)
    assert np.abs(centers - colors).max() <= 3
    assert np.array_equal(next(read_frames(tmp_path / "a.mkv", "decord")), read) == (matrix == 1)
