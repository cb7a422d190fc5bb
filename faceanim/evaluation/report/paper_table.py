"""What the paper reports, for reference: its figures cannot be compared with anything measured here."""

from dataclasses import dataclass

SOURCE = (
    "Karim & Saleh, Face Image Animation with Adversarial Learning and Motion Transfer, iJIM 16(10), 2022, "
    "Table 1, doi 10.3991/ijim.v16i10.30047"
)


@dataclass(frozen=True)
class Reported:
    """A row of the paper's Table 1, digit for digit; None: it says N/A.

    Attributes:
        method: its name there.
        psnr: in dB.
        ssim: an index.
    """

    method: str
    psnr: str | None
    ssim: str


TABLE_1 = (
    Reported("X2Face", "22.54", "0.72"),
    Reported("MoCoGAN", "17.36", "0.54"),
    Reported("MonkeyNet", "30.87", "0.74"),
    Reported("Few-shot", None, "0.72"),
    Reported("PuppeteerGAN", None, "0.73"),
    Reported("The suggested method", "30.74", "0.90"),
)

WHY_NOT = (
    "It states neither the split, nor the frames, nor data_range, nor SSIM's window, and there is no code: "
    "nobody can measure the same again.",
    "PSNR is published on two scales in this field: the same model is given 22 to 24 dB in one paper and "
    "about 31 dB in another. A table that takes its rows from several papers mixes them.",
    "A mean absolute error of 0.041, as is published for models of this kind, allows no more than about "
    "27.7 dB: a mean square is never less than the square of the mean, so PSNR ≤ −20 log10(L1).",
    "The text calls its own PSNR the highest; in the table MonkeyNet's is 0.13 dB higher.",
)
