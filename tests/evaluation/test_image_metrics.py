import math

import numpy as np
import pytest
import pytorch_msssim
import torch
from skimage.data import astronaut
from skimage.measure import block_reduce
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from faceanim.evaluation.image_metrics import compute_frame_metrics
from faceanim.media.tensors import to_float


@pytest.fixture(scope="module")
def pairs():
    """Noisy and clean versions of 20 real frames: (20, 96, 96, 3) uint8 each."""
    rng = np.random.default_rng(0)
    picture = astronaut()
    clean = [picture[y : y + 96, x : x + 96] for y, x in rng.integers(0, 400, size=(20, 2))]
    noise = rng.normal(0, 1, size=(20, 96, 96, 3)) * rng.uniform(1, 40, size=(20, 1, 1, 1))
    return np.clip(np.stack(clean) + noise, 0, 255).astype(np.uint8), np.stack(clean)


def test_equal_to_scikit_image(pairs):
    noisy, clean = pairs
    found = compute_frame_metrics(to_float(noisy), to_float(clean))
    for index, (a, b) in enumerate(zip(noisy / 255, clean / 255, strict=True)):
        assert float(found["psnr"][index]) == pytest.approx(
            peak_signal_noise_ratio(b, a, data_range=1), abs=1e-4
        )
        assert float(found["ssim"][index]) == pytest.approx(
            structural_similarity(
                b,
                a,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1,
                channel_axis=2,
            ),
            abs=1e-4,
        )
        assert float(found["l1"][index]) == pytest.approx(np.abs(a - b).mean(), abs=1e-6)


def test_by_hand():
    target = torch.full((2, 3, 16, 16), 0.5)
    prediction = target.clone()
    prediction[0] += 0.1  # MSE 0.01: 20 dB
    prediction[1, 0] += 0.2  # one channel of three: MSE 0.04 / 3
    found = compute_frame_metrics(prediction, target)
    assert found["l1"].tolist() == pytest.approx([0.1, 0.2 / 3], abs=1e-6)
    assert found["psnr"].tolist() == pytest.approx([20.0, -10 * math.log10(0.04 / 3)], abs=1e-4)
    # Flat frames have no variance: SSIM is its luminance term.
    luminance = [(2 * 0.5 * b + 1e-4) / (0.25 + b * b + 1e-4) for b in (0.6, 0.7)]
    assert found["ssim"].tolist() == pytest.approx([luminance[0], (luminance[1] + 2) / 3], abs=1e-4)


def test_identical_frames_score_perfect_and_finite(pairs):
    frames = to_float(pairs[1])
    found = compute_frame_metrics(frames, frames)
    assert torch.equal(found["psnr"], torch.full((20,), 100.0))
    assert found["ssim"].tolist() == pytest.approx([1.0] * 20, abs=1e-4)
    assert not found["l1"].any()


def test_uint8_is_refused_because_it_inflates_scores(pairs):
    noisy, clean = pairs
    flattered = ((noisy - clean) ** 2).mean()  # squares modulo 256: no frame can fall under 24 dB
    assert flattered < 0.5 * ((noisy.astype(float) - clean) ** 2).mean()
    raw_noisy, raw_clean = torch.from_numpy(noisy), torch.from_numpy(clean)
    with pytest.raises(TypeError, match="float32"):
        compute_frame_metrics(raw_noisy.permute(0, 3, 1, 2), raw_clean.permute(0, 3, 1, 2))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        compute_frame_metrics(raw_noisy.permute(0, 3, 1, 2).float(), raw_clean.permute(0, 3, 1, 2).float())
    # The metrics accept the output of the conversion that all frames pass through.
    assert to_float(noisy).dtype == torch.float32
    assert float(to_float(noisy).max()) <= 1


def test_other_misuse_is_refused():
    frames = torch.zeros(1, 3, 16, 16)
    with pytest.raises(ValueError, match="shapes differ"):
        compute_frame_metrics(frames, torch.zeros(1, 3, 16, 17))
    with pytest.raises(ValueError, match="11x11"):
        compute_frame_metrics(frames[..., :8], frames[..., :8])
    with pytest.raises(ValueError, match="nan"):
        compute_frame_metrics(frames, frames * math.nan)


def test_ms_ssim_equals_another_library(pairs):
    # The library accepts no frames under 161 pixels.
    noisy, clean = (np.tile(frames, (1, 2, 2, 1)) for frames in pairs)
    found = compute_frame_metrics(to_float(noisy), to_float(clean))["ms_ssim"]
    wanted = pytorch_msssim.ms_ssim(to_float(noisy), to_float(clean), data_range=1, size_average=False)
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-4)
    assert found.min() < 0.9


def contrast_and_structure(a, b):
    """Compute SSIM of a channel without and with its luminance term, from maps of scikit-image."""
    from scipy.ndimage import gaussian_filter

    window = {"sigma": 1.5, "truncate": 3.5}
    _, similarity = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, full=True
    )
    mean_a, mean_b = gaussian_filter(a, **window), gaussian_filter(b, **window)
    luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    return (similarity / luminance)[5:-5, 5:-5].mean(), similarity[5:-5, 5:-5].mean()


def test_ms_ssim_of_small_frames_by_hand(pairs):
    """Frames of 96 pixels have four scales, whose weights are normalized to a sum of 1."""
    noisy, clean = pairs
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363]) / 0.8668
    found = compute_frame_metrics(to_float(noisy), to_float(clean))["ms_ssim"]
    for index in range(20):
        channels = []
        for channel in range(3):
            a, b = noisy[index, ..., channel] / 255, clean[index, ..., channel] / 255
            product = 1.0
            for scale, weight in enumerate(weights):
                contrast, both = contrast_and_structure(a, b)
                product *= (both if scale == 3 else contrast) ** weight
                a, b = (block_reduce(image, (2, 2), np.mean) for image in (a, b))
            channels.append(product)
        assert float(found[index]) == pytest.approx(np.mean(channels), abs=1e-4)
