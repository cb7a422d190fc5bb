import json
import math

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from faceanim.evaluation.image_metrics import compute_frame_metrics
from faceanim.evaluation.metric_pitfalls import compute_variants, write_variants


def flat(*levels: int) -> torch.Tensor:
    """Return one uniform gray frame per level."""
    return torch.stack([torch.full((3, 16, 16), level / 255) for level in levels])


def values(prediction: torch.Tensor, driving: torch.Tensor, metric: str) -> dict[str, float]:
    return {
        variant.name: variant.value
        for variant in compute_variants(prediction, driving)
        if variant.metric == metric
    }


@pytest.fixture(scope="module")
def clip():
    face = torch.from_numpy(astronaut()[20:116, 150:246].copy()).permute(2, 0, 1)[None].float() / 255
    driving = torch.cat([torch.roll(face, shift, dims=3) for shift in range(3)])
    noise = torch.randn(driving.shape, generator=torch.Generator().manual_seed(0)) * 0.08
    return (driving + noise).clamp(0, 1), driving


def test_the_protocol_is_scikit_image_with_a_data_range_of_one(clip):
    frames = [
        tuple(frame.permute(1, 2, 0).double().numpy() for frame in pair) for pair in zip(*clip, strict=True)
    ]
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    psnr = [peak_signal_noise_ratio(one, other, data_range=1) for one, other in frames]
    ssim = [structural_similarity(*pair, channel_axis=-1, data_range=1, **window) for pair in frames]
    assert values(clip[0], clip[1], "psnr")["pinned"] == pytest.approx(np.mean(psnr), abs=1e-4)
    assert values(clip[0], clip[1], "ssim")["pinned"] == pytest.approx(np.mean(ssim), abs=1e-4)


def test_uint8_wraps_around():
    # Off by 20: 20^2 = 400 = 144 modulo 256, in either direction.
    for driving in (120, 80):
        found = values(flat(100), flat(driving), "psnr")
        assert found["pinned"] == pytest.approx(20 * math.log10(255 / 20), abs=1e-4)  # 22.11 dB
        assert found["uint8 arithmetic"] == pytest.approx(20 * math.log10(255 / 12), abs=1e-4)  # 26.55 dB


def test_uint8_calls_black_and_gray_the_same():
    found = values(flat(0), flat(64), "psnr")
    assert found["pinned"] == pytest.approx(12.01, abs=0.01)
    assert found["uint8 arithmetic"] == 100  # 64^2 = 16 * 256


def test_uint8_cannot_fall_below_24_db(clip):
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = values(noise, 1 - noise, "psnr")
    assert found["pinned"] < 6
    assert found["uint8 arithmetic"] > 10 * math.log10(255**2 / 255) == pytest.approx(24.065, abs=1e-3)


def test_the_protocol_refuses_uint8(clip):
    prediction, driving = ((frames * 255).byte() for frames in clip)
    with pytest.raises(TypeError, match="uint8"):
        compute_frame_metrics(prediction, driving)
    with pytest.raises(TypeError, match="uint8"):
        compute_variants(prediction, driving)


def test_a_difference_in_uint8_punishes_the_darker_pixel():
    # 99 - 100 = 255, the largest error; 101 - 100 = 1.
    assert values(flat(99), flat(100), "psnr")["uint8 difference"] == pytest.approx(0, abs=1e-9)
    assert values(flat(101), flat(100), "psnr")["uint8 difference"] == pytest.approx(48.1308, abs=1e-4)


def test_data_range_is_a_constant_of_psnr():
    # 51 / 255 = 0.2, so MSE = 0.04.
    found = values(flat(51), flat(102), "psnr")
    assert found["pinned"] == pytest.approx(13.9794, abs=1e-4)
    assert found["data_range 2"] == pytest.approx(13.9794 + 6.0206, abs=1e-4)
    assert found["data_range 255"] == pytest.approx(13.9794 + 48.1308, abs=1e-4)


def test_luma_of_gray_gains_by_its_range():
    found = values(flat(51), flat(102), "psnr")
    assert found["luma only"] == pytest.approx(13.9794 + 20 * math.log10(255 / 219), abs=1e-3)


def test_luma_does_not_see_color():
    red = torch.zeros(1, 3, 16, 16)
    red[:, 0] = 0.2  # 0.2 * 65.481 = 13.096 of 255
    found = values(red, torch.zeros_like(red), "psnr")
    assert found["pinned"] == pytest.approx(10 * math.log10(3 / 0.04), abs=1e-4)
    assert found["luma only"] == pytest.approx(20 * math.log10(255 / 13.0962), abs=1e-3)


def test_pooled_error():
    # 20 dB and 40 dB: the mean is 30; of MSE 0.01 and 0.0001 it is 22.97.
    driving = torch.zeros(2, 3, 16, 16)
    prediction = torch.stack((torch.full((3, 16, 16), 0.1), torch.full((3, 16, 16), 0.01)))
    found = values(prediction, driving, "psnr")
    assert found["pinned"] == pytest.approx(30, abs=1e-3)
    assert found["pooled error"] == pytest.approx(-10 * math.log10(0.00505), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "data_range"), [("pinned", 1), ("data_range 2", 2), ("data_range 255", 255)]
)
def test_data_range_of_ssim(name, data_range):
    # Without variance SSIM is its first factor: (2 a b + C1) / (a^2 + b^2 + C1), C1 = (0.01 L)^2.
    a, b, c1 = 0.2, 0.4, (0.01 * data_range) ** 2
    wanted = (2 * a * b + c1) / (a**2 + b**2 + c1)  # 0.8001, 0.8004, 0.9941
    assert values(flat(51), flat(102), "ssim")[name] == pytest.approx(wanted, abs=1e-4)


def test_mistakes_flatter_ssim(clip):
    found = values(clip[0], clip[1], "ssim")
    assert found["pinned"] < found["data_range 2"] < found["data_range 255"]
    assert found["data_range 255"] > 0.99
    assert found["flat 7x7 window"] != pytest.approx(found["pinned"], abs=1e-3)


def test_gray_does_not_see_color():
    # rgb2gray weighs red with 0.2125 and green with 0.7154: 0.7154 / 0.2125 times the red is as bright.
    red, green = torch.zeros(2, 1, 3, 16, 16)
    red[:, 0], green[:, 1] = 0.5, 0.5 * 0.2125 / 0.7154
    found = values(red, green, "ssim")
    assert found["grey"] == pytest.approx(1, abs=1e-6)
    assert found["pinned"] < 0.5


def test_equal_frames():
    for variant in compute_variants(flat(51, 80), flat(51, 80)):
        assert variant.value == pytest.approx(100 if variant.metric == "psnr" else 1)


def test_json(clip, tmp_path):
    found = compute_variants(*clip)
    write_variants("ada--one", found, tmp_path / "variants.json")
    stored = json.loads((tmp_path / "variants.json").read_text())
    assert stored["item_id"] == "ada--one"
    assert next(row["name"] for row in stored["rows"] if row["metric"] == "ssim") == "pinned"
    assert all(set(row) == {"metric", "name", "value", "what"} for row in stored["rows"])
    assert len(stored["rows"]) == len({(row["metric"], row["name"]) for row in stored["rows"]}) == len(found)
