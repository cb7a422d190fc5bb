import math

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull, Delaunay
from skimage.metrics import peak_signal_noise_ratio

from faceanim.errors import FaceanimError
from faceanim.evaluation.protocol import REGION_METRICS
from faceanim.evaluation.regions import (
    LANDMARK_REGIONS,
    MIN_PIXELS,
    REGIONS,
    compute_region_metrics,
    find_clip_regions,
    find_disoccluded,
    find_regions,
    hull_distance,
    map_to_source,
    masked_psnr,
    measure_face,
    pixel_centers,
    smallest_stretch,
)
from faceanim.faces.landmark_sets import IBUG68
from faceanim.synthetic.head import load_head
from faceanim.synthetic.pairs import RenderedPairs

SIDE = 64
BOTH = torch.tensor([True, True])
LOWER_LIP = [*range(55, 60), *range(65, 68)]
TURN = torch.tensor([[math.cos(0.5), math.sin(0.5)], [-math.sin(0.5), math.cos(0.5)]])


@pytest.fixture(scope="module")
def face():
    """Landmarks of the mean head, seen from the front, (478, 2)."""
    head = load_head()
    points = torch.from_numpy(head.landmarks(head.mean))[:, :2].float() * torch.tensor([1.0, -1.0])
    points = points - points.mean(dim=0)
    return torch.cat((points, points[[33, 263]].repeat_interleave(5, dim=0))) * 7


@pytest.fixture(scope="module")
def ibug(face):
    return face[list(IBUG68)]


def regions_of(points, size=SIDE):
    return {name: mask[0, 0] for name, mask in find_regions(points[None], BOTH[:1], size).items()}


def disoccluded(source, driving):
    return find_disoccluded(torch.stack((source, driving)), BOTH, SIDE)[0, 0]


def pixel_of(point):
    column, row = (((point + 1) * SIDE - 1) / 2).round().long().tolist()
    return row, column


def test_every_region_has_a_metric():
    assert tuple(f"psnr_{name}" for name in REGIONS) == REGION_METRICS


def test_regions_are_where_the_landmarks_are(ibug):
    regions = regions_of(ibug)
    for name, points in {"mouth": (51, 57, 62, 66), "eyes": (37, 41, 44, 46), "face": (30, 27, 33)}.items():
        assert all(regions[name][pixel_of(ibug[point])] for point in points)
    assert regions["outside"][[0, 0, -1, -1], [0, -1, 0, -1]].all()
    assert not regions["outside"][pixel_of(ibug[0])]
    assert sum(mask.long() for mask in regions.values()).max() == 1
    forehead = ibug[27] + 0.7 * (ibug[27] - ibug[33])
    assert regions["face"][pixel_of(forehead)]
    counts = [int(regions[name].sum()) for name in LANDMARK_REGIONS]
    assert MIN_PIXELS < counts[1] < counts[2] < counts[3]
    assert MIN_PIXELS < counts[0] < counts[2]


def test_both_schemes_give_the_same_regions(face, ibug):
    for name, mask in regions_of(face).items():
        assert torch.equal(mask, regions_of(ibug)[name])
    with pytest.raises(FaceanimError, match="5 landmarks: unknown scheme"):
        regions_of(ibug[:5])


def test_regions_follow_a_face_that_is_turned_and_enlarged(ibug):
    for factor in (0.6, 1.2):
        shares = [int(mask.sum()) for mask in list(regions_of(factor * ibug @ TURN, 256).values())[:3]]
        expected = [int(mask.sum()) * factor**2 for mask in list(regions_of(ibug, 256).values())[:3]]
        assert shares == pytest.approx(expected, rel=0.03)


def test_frames_without_landmarks_have_empty_regions(ibug):
    points = torch.stack((ibug, torch.full_like(ibug, torch.nan), ibug + 0.2))
    masks = find_clip_regions(points, torch.tensor([True, False, True]), SIDE)
    assert set(masks) == set(REGIONS)
    for mask in masks.values():
        assert mask.shape == (2, 1, SIDE, SIDE)
        assert not mask[0].any()
        assert mask[1].any()
    unknown_source = find_clip_regions(points[[1, 0]], torch.tensor([False, True]), SIDE)
    assert not unknown_source["disoccluded"].any()
    assert unknown_source["mouth"].any()


def test_hull_against_scipy():
    points = np.random.default_rng(0).uniform(-0.7, 0.7, (12, 2)).astype(np.float32)
    pixels = pixel_centers(SIDE, torch.float32).reshape(-1, 2).numpy()
    distance = hull_distance(torch.from_numpy(points)[None], SIDE).flatten().numpy()
    within = Delaunay(points).find_simplex(pixels) >= 0
    assert (within == (distance <= 0)).mean() > 0.995  # too large between tangents
    corners = points[ConvexHull(points).vertices]
    edges = np.roll(corners, -1, axis=0) - corners
    along = ((pixels[:, None] - corners) * edges).sum(-1) / (edges**2).sum(-1)
    nearest = corners + along.clip(0, 1)[..., None] * edges
    outside = np.linalg.norm(pixels[:, None] - nearest, axis=-1).min(axis=1)[~within]
    assert distance[~within] == pytest.approx(outside, abs=0.03)


def test_size_of_a_face_by_hand():
    corners = torch.tensor([[[3.0, 4.0], [-3.0, -4.0], [4.0, -3.0], [-4.0, 3.0]]])
    assert measure_face(corners + 7).tolist() == [5]


def test_masked_psnr_against_skimage():
    generator = torch.Generator().manual_seed(0)
    target, prediction = torch.rand(2, 2, 3, 16, 16, generator=generator)
    mask = torch.rand(2, 1, 16, 16, generator=generator) < 0.3
    found = masked_psnr(prediction, target, mask)
    for n in range(2):
        chosen = [frames[n][:, mask[n, 0]].numpy() for frames in (target, prediction)]
        assert float(found[n]) == pytest.approx(peak_signal_noise_ratio(*chosen, data_range=1), abs=1e-4)


def test_masked_psnr_of_few_or_identical_pixels():
    frames = torch.rand(1, 3, 16, 16)
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    assert masked_psnr(frames, frames, mask).isnan().all()
    mask.view(-1)[: MIN_PIXELS - 1] = True
    assert masked_psnr(frames, frames, mask).isnan().all()
    mask.view(-1)[:MIN_PIXELS] = True
    assert masked_psnr(frames, frames, mask).tolist() == [100]
    elsewhere = frames.clone()
    elsewhere[..., 8:, :] = 1 - elsewhere[..., 8:, :]
    assert compute_region_metrics(elsewhere, frames, {"mouth": mask})["psnr_mouth"].tolist() == [100]


def test_smallest_stretch_by_hand():
    x, y = pixel_centers(SIDE, torch.float64).unbind(-1)
    half = smallest_stretch(torch.stack((x / 2, 3 * y), dim=-1) @ TURN.double())
    assert half.numpy() == pytest.approx(0.5)
    assert smallest_stretch(torch.stack((-x, y), dim=-1)).numpy() == pytest.approx(-1)


def test_nothing_is_disoccluded_where_nothing_moves(ibug):
    assert not disoccluded(ibug, ibug).any()


def test_the_spline_leads_from_driving_to_source(ibug):
    positions = map_to_source(ibug + torch.tensor([0.1, 0.05]), ibug, SIDE)
    row, column = pixel_of(ibug[30] + torch.tensor([0.1, 0.05]))
    shift = positions[row, column] - pixel_centers(SIDE, torch.float32)[row, column]
    assert shift.tolist() == pytest.approx([-0.1, -0.05], abs=0.005)


def test_an_opening_mouth_and_not_a_closing_one_is_disoccluded(ibug):
    closed, opened = ibug, ibug.clone()
    opened[LOWER_LIP, 1] += 0.15
    between = pixel_of((opened[62] + opened[66]) / 2)
    found = disoccluded(closed, opened)
    assert found[between]
    assert int((found & regions_of(opened)["mouth"]).sum()) > int(found.sum()) / 2
    assert not disoccluded(opened, closed)[pixel_of(closed[62])]


def test_a_head_uncovers_the_side_that_it_leaves(ibug):
    shift = torch.tensor([0.15, 0.0])
    found = disoccluded(ibug, ibug + shift)
    columns = found.nonzero()[:, 1]
    assert int(found.sum()) > 40
    assert int(columns.max()) < pixel_of(ibug[30])[1]
    mirror = torch.tensor([-1, 1])
    assert torch.equal(disoccluded(ibug * mirror, (ibug + shift) * mirror), found.flip(-1))


@pytest.mark.slow
def test_disoccluded_pixels_against_the_truth_of_rendered_pairs():
    """The estimate is coarse: hair and shoulders are not known. It must be far better than chance."""
    hidden, found = [], []
    for seed in range(3):
        batch = RenderedPairs(SIDE, 8, 1, seed)[0]
        # The landmarks' -1 and 1 are the centers of the outermost pixels.
        source, driving = (
            points * (SIDE - 1) / SIDE for points in (batch.source_landmarks, batch.driving_landmarks)
        )
        pairs = zip(source, driving, strict=True)
        found += [disoccluded(*pair) for pair in pairs]
        hidden += list(batch.visible[:, 0] == 0)
    estimate, truth = torch.stack(found), torch.stack(hidden)
    precision, recall = ((estimate & truth).sum() / mask.sum() for mask in (estimate, truth))
    assert float(precision) > 5 * float(truth.float().mean())
    assert float(recall) > 0.15
