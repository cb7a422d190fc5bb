"""Optimizer of the animation model, and average of the weights.

SWATS is Adam that switches to SGD automatically (Keskar & Socher, 2017, algorithm 1). The average of the
weights over the last steps is a better model than the last weights.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from faceanim.config import OptimizerConfig

Model = TypeVar("Model", bound=nn.Module)
EMA_WARM_UP = 10
"""After n steps, the decay is no more than (1 + n) / (EMA_WARM_UP + n): the first weights fade quickly."""
Tensors = tuple[Tensor, ...] | list[Tensor]


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Build the optimizer of the animation model."""
    betas = (config.beta1, config.beta2)
    if config.name == "adam":
        return torch.optim.Adam(model.parameters(), lr=config.lr, betas=betas)
    return Swats(model.parameters(), config.lr, betas, config.swats_eps, config.sgd_lr_cap)


def cosine_factor(step: int, steps: int) -> float:
    """Return the factor of a learning rate that falls from 1 to 0 along half a cosine."""
    return (1 + math.cos(math.pi * min(1.0, step / max(1, steps)))) / 2


class Swats(torch.optim.Adam):
    """torch's Adam until the SGD rate equivalent to its steps has settled, then SGD with that rate.

    pytorch-optimizer's SWATS is not used: its single `eps` is both Adam's and the tolerance of the switch,
    the estimate of any single tensor switches all others, and the rate is not bounded.

    The phase and the learned rate are stored in the parameter group, and therefore in checkpoints.

    Args:
        params: parameters of a single group.
        lr: learning rate of Adam.
        betas: decays of Adam; beta1 is also the momentum of the SGD phase, beta2 averages the learned rate.
        switch_tolerance: relative distance between the averaged and the present rate below which to switch.
        sgd_lr_cap: upper limit of the SGD rate; the estimate is a ratio and at times far too large.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float],
        switch_tolerance: float,
        sgd_lr_cap: float,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, fused=True)
        self.switch_tolerance = switch_tolerance
        self.sgd_lr_cap = sgd_lr_cap
        self.param_groups[0].update(phase="adam", steps=0, mean_rate=0.0)

    @property
    def phase(self) -> str:
        """Present phase, `adam` or `sgd`."""
        return str(self.param_groups[0]["phase"])

    @property
    def rate(self) -> float:
        """Learning rate in use."""
        return float(self.param_groups[0]["lr"])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step in the present phase."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        group = self.param_groups[0]
        params = [p for p in group["params"] if p.grad is not None]
        grads = [p.grad for p in params if p.grad is not None]
        if group["phase"] == "sgd":
            self._sgd_step(params, grads, group)
        else:
            moves = [-p for p in params]
            super().step()
            torch._foreach_add_(moves, params)
            self._learn_rate(moves, grads, group)
        return loss

    def _learn_rate(self, moves: Sequence[Tensor], grads: Sequence[Tensor], group: dict[str, Any]) -> None:
        """Average gamma = p.p / -p.g, p being the last step, g its gradient; switch once it has settled."""
        dot, square = broadcast_from_first(
            torch.stack((inner_product(moves, grads), inner_product(moves, moves)))
        )
        group["steps"] += 1
        if dot == 0:
            return
        gamma = square / -dot
        beta2 = group["betas"][1]
        group["mean_rate"] = beta2 * group["mean_rate"] + (1 - beta2) * gamma
        mean = group["mean_rate"] / (1 - beta2 ** group["steps"])
        # Before it covers its horizon, the mean is close to the present rate because it holds little else.
        horizon = round(1 / (1 - beta2))
        settled = group["steps"] >= horizon and abs(mean - gamma) < self.switch_tolerance * mean
        if settled and mean > 0:
            group.update(phase="sgd", lr=min(mean, self.sgd_lr_cap))
            for p in group["params"]:
                self.state[p]["exp_avg"].zero_()

    def _sgd_step(self, params: Sequence[Tensor], grads: Sequence[Tensor], group: dict[str, Any]) -> None:
        """Apply v = beta1 v + g, w = w - (1 - beta1) rate v; Adam's first moment is (1 - beta1) v."""
        beta1 = group["betas"][0]
        for p, grad in zip(params, grads, strict=True):
            momentum = self.state[p]["exp_avg"].lerp_(grad, 1 - beta1)
            p.add_(momentum, alpha=-group["lr"])


def inner_product(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Compute the inner product of two lists of tensors, each treated as one long vector."""
    return torch.stack([torch.dot(x.flatten(), y.flatten()) for x, y in zip(a, b, strict=True)]).sum()


def broadcast_from_first(values: Tensor) -> list[float]:
    """Return the first process's values, so that all processes switch at the same step, to the same rate.

    Their gradients are equal already, but not every device computes a sum in the same order.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.broadcast(values, src=0)
    numbers: list[float] = values.tolist()
    return numbers


class WeightAverage(Generic[Model]):
    """Exponential moving average of the weights, starting from those after the first step.

    Buffers, which hold the batch statistics, are averages already and are copied.

    Args:
        model: model in training, on its device.
        decay: fraction of the average that a step retains, lower at first; 0: no average is kept.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.averaged = AveragedModel(model, multi_avg_fn=self._average) if decay > 0 else None

    def _average(self, averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        decay = min(self.decay, (1 + int(count)) / (EMA_WARM_UP + int(count)))
        get_ema_multi_avg_fn(decay)(averaged, current, count)  # type: ignore[no-untyped-call]

    def update(self) -> None:
        """Add the weights of a step to the average."""
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)

    @property
    def averaged_model(self) -> Model:
        """Model to keep: the average, or without one the model in training."""
        return self.model if self.averaged is None else cast(Model, self.averaged.module)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {} if self.averaged is None else self.averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        if self.averaged is not None:
            self.averaged.load_state_dict(state)
