"""Super-resolution network (section 3.2, figure 3): five levels down and five up, with concatenated skips.

The levels run at the size of the input, a quarter of the work when that is doubled, and the last convolution
predicts all output pixels that correspond to an input pixel (sub-pixel convolution, Shi et al., 2016).

That last convolution exists twice. In a crop of a photograph, edges are in the right place and should be
sharp. In a generated frame, they are slightly displaced from the true ones, where sharp edges cost more than
soft ones, and the network hardly learns to distinguish the two kinds by appearance. The caller therefore
states the kind; all other layers are shared. (The paper has a single one, as does `generated_strength` None.)
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 5


def conv_block(inputs: int, outputs: int) -> nn.Sequential:
    """Build two 3x3 convolutions, the first of which halves the size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
    )


class UpBlock(nn.Module):
    """A 3x3 deconvolution that doubles the size, then a 3x3 convolution over its output and the skip."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.conv = nn.Conv2d(outputs + skip, outputs, 3, padding=1)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Map (B, inputs, h, w) and (B, skip, 2h, 2w) to (B, outputs, 2h, 2w)."""
        larger = F.leaky_relu(self.deconv(features), 0.1)
        return F.leaky_relu(self.conv(torch.cat((larger, skip), dim=1)), 0.1)


class SuperResolution(nn.Module):
    """Network that adds a learned residual to bicubic enlargement; before training, the residual is zero.

    Args:
        factor: output side over input side.
        channels: channels of the first level; doubled at each further level, up to eight times as many.
        generated_strength: fraction of a generated frame's residual that is added outside training, which
            keeps most of its gain and much less of its harm on people unlike those trained on; None: such
            frames are treated like crops.
    """

    def __init__(self, factor: int, channels: int, generated_strength: float | None) -> None:
        super().__init__()
        self.factor = factor
        self.generated_strength = generated_strength
        widths = [channels * min(2**level, 8) for level in range(LEVELS + 1)]
        self.first = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down = nn.ModuleList(conv_block(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(UpBlock(b, a, a) for a, b in reversed(list(pairwise(widths))))
        for layer in self.modules():
            # torch's default shrinks activations; over this depth, little would be left of them.
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, a=0.1)
        self.of_crops = make_output_layer(widths[0], factor)
        self.of_generated = None if generated_strength is None else make_output_layer(widths[0], factor)

    def forward(self, image: Tensor, generated: Tensor) -> Tensor:
        """Enlarge frames of any size.

        Args:
            image: (B, 3, h, w), RGB in [0, 1].
            generated: (B,) bool, whether a frame comes from the animation model rather than a photograph.

        Returns:
            (B, 3, factor * h, factor * w). Clamped to [0, 1] except in training, where clamping would stop
            the gradient.
        """
        features = self._features(image)
        residual = self.of_crops(features)
        if self.of_generated is not None:
            strength = 1.0 if self.training else self.generated_strength
            mask = generated[:, None, None, None]
            residual = torch.where(mask, strength * self.of_generated(features), residual)
        height, width = image.shape[-2:]
        residual = F.pixel_shuffle(residual[..., :height, :width], self.factor)
        out: Tensor = upscale_bicubic(image, self.factor) + residual
        return out if self.training else out.clamp(0, 1)

    def _features(self, image: Tensor) -> Tensor:
        """Compute the features (figure 3): (B, 3, h, w) to (B, channels, h, w), padded to multiples of 32."""
        height, width = image.shape[-2:]
        step = 2**LEVELS
        features = F.pad(2 * image - 1, (0, -width % step, 0, -height % step), mode="replicate")
        features = F.leaky_relu(self.first(features), 0.1)
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(features)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            features = up(features, skip)
        return features


def make_output_layer(channels: int, factor: int) -> nn.Conv2d:
    """Build the layer from features to factor x factor colors each; zeros: training starts at bicubic."""
    layer = nn.Conv2d(channels, 3 * factor**2, 3, padding=1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def upscale_bicubic(image: Tensor, factor: int) -> Tensor:
    """Enlarge bicubically (the baseline): (B, 3, h, w) to (B, 3, factor * h, factor * w), not clamped."""
    if factor == 1:
        return image
    return F.interpolate(image, scale_factor=float(factor), mode="bicubic", align_corners=False)
