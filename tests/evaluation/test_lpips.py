"""LPIPS against its authors' package, with random weights because the published ones are not downloaded."""

import lpips
import numpy as np
import pytest
import torch
import torchvision
from skimage.data import astronaut

from faceanim.errors import FaceanimError
from faceanim.evaluation.image_metrics import Lpips
from faceanim.media.tensors import to_float


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    """File of random weights in the layout of torchvision's."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), path)
    return path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torchvision, about how their package calls it
def test_equal_to_the_authors_package(alexnet):
    rng = np.random.default_rng(0)
    clean = np.stack([astronaut()[y : y + 96, x : x + 96] for y, x in rng.integers(0, 400, size=(20, 2))])
    noisy = np.clip(clean + rng.normal(0, 25, clean.shape), 0, 255).astype(np.uint8)
    found = Lpips(alexnet)(to_float(noisy), to_float(clean))

    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    weights = torch.load(alexnet, weights_only=True)
    own = theirs.net.state_dict()
    theirs.net.load_state_dict({name: weights[f"features.{name.split('.', 1)[1]}"] for name in own})
    with torch.inference_mode():
        wanted = theirs(to_float(noisy), to_float(clean), normalize=True).flatten()
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-4)
    assert found.min() > 0.005
    assert not Lpips(alexnet)(to_float(clean), to_float(clean)).any()


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    with pytest.raises(FaceanimError, match="does not hold AlexNet's weights"):
        Lpips(path)
