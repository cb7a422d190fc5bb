"""How far what ONNX Runtime computes is from what torch does."""

import numpy as np
import torch

from faceanim.animating.onnx_format import DEFORMATION, PAINTED, PREDICTION
from faceanim.animating.onnx_network import OnnxNetwork, arrays
from faceanim.animating.torch_network import to_keypoints, to_points
from faceanim.data.pictures import Frames
from faceanim.inference import Animator, to_float


@torch.inference_mode()
def largest_difference(animator: Animator, network: OnnxNetwork, frames: Frames | None = None) -> float:
    """The largest difference in keypoints, predictions, deformations, what is painted, and enlargements.

    Args:
        animator: torch's.
        network: ONNX Runtime's, of the same model.
        frames: (N, size, size, 3) uint8 RGB, the first being the source; without them random ones.
    """
    if frames is None:
        side = animator.size
        frames = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    floats = to_float(frames)
    source = animator.prepare(floats[:1])
    keypoints = animator.detect(floats[1:])
    found = network.detect(frames[1:])
    # Each graph is given the same, so that what one errs does not count for another.
    posed = animator.posed(source, to_keypoints(found, "cpu"))
    prediction = posed.prediction.clamp(0, 1)
    given = [floats[:1].numpy(), *arrays(to_points(source.keypoints)), *arrays(found)]
    made = network.animate(given, [PREDICTION, DEFORMATION, PAINTED])
    theirs = [prediction, posed.deformation, posed.prediction - posed.warped, animator.enlarge(prediction)]
    pairs = [
        *zip(arrays(to_points(keypoints)), arrays(found), strict=True),
        *zip([each.numpy() for each in theirs], [*made, network.enlarge(prediction.numpy())], strict=True),
    ]
    return max(float(np.abs(a - b).max()) for a, b in pairs)
