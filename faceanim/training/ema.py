"""The average of the weights over the last steps, which is a better model than the last weights."""

from typing import Any, Generic, TypeVar, cast

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Model = TypeVar("Model", bound=nn.Module)
WARM_UP = 10
"""After n steps, the average keeps at most (1 + n) / (WARM_UP + n): the first weights are soon forgotten."""
Tensors = tuple[Tensor, ...] | list[Tensor]


class WeightAverage(Generic[Model]):
    """An exponential moving average that starts with the weights after the first step.

    Buffers, which hold the batch statistics, are averages already and are copied.

    Args:
        model: being trained, and on its device.
        decay: share of the average that a step keeps, but less at first; 0: no average is kept.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.averaged = AveragedModel(model, multi_avg_fn=self._average) if decay > 0 else None

    def _average(self, averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        decay = min(self.decay, (1 + int(count)) / (WARM_UP + int(count)))
        get_ema_multi_avg_fn(decay)(averaged, current, count)  # type: ignore[no-untyped-call]

    def update(self) -> None:
        """Take in the weights of a step."""
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)

    @property
    def result(self) -> Model:
        """The model to keep: the average, or the one that is trained."""
        return self.model if self.averaged is None else cast(Model, self.averaged.module)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {} if self.averaged is None else self.averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if self.averaged is not None:
            self.averaged.load_state_dict(state)
