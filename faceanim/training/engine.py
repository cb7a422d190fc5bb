"""Execution of training steps, whatever the network: processes, devices, precision, parts of a batch.

A GPU runs one training at a time. All randomness of a step depends on seed, step and rank alone, so that a
resumed run repeats it.
"""

import getpass
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from filelock import FileLock, Timeout
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.plugins.environments import TorchElasticEnvironment
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from faceanim.config import EngineConfig
from faceanim.errors import FaceanimError
from faceanim.training.losses import NonFiniteLossError

Model = TypeVar("Model", bound=nn.Module)


class Engine:
    """Lightning Fabric as both trainings use it, in one process or in those started by torchrun.

    Args:
        config: precision, compilation, accumulation and clipping.
        batch_size: samples of a step, over all processes.

    Raises:
        FaceanimError: the batch cannot be divided evenly among the processes and their parts.
    """

    def __init__(self, config: EngineConfig, batch_size: int) -> None:
        self.config = config
        nodes, self.local_processes = count_processes()
        processes = nodes * self.local_processes
        self.on_gpu = torch.cuda.is_available()
        device = "cuda" if self.on_gpu else "cpu"
        self.fabric = Fabric(
            accelerator=device,
            strategy="ddp" if processes > 1 else "auto",
            num_nodes=nodes,
            devices=self.local_processes,
            plugins=Autocast("bf16-mixed", device) if config.precision == "bf16" else None,
        )
        self.fabric.launch()
        self.rank: int = self.fabric.global_rank
        self.processes: int = self.fabric.world_size
        if batch_size % (self.processes * config.accumulate_grad_batches):
            raise FaceanimError(
                f"batch_size is {batch_size}, which cannot be divided evenly among {self.processes} "
                f"processes with {config.accumulate_grad_batches} parts each (engine.accumulate_grad_batches)"
            )
        # On a CPU, the animation networks take a quarter longer with channels_last.
        self.layout = torch.channels_last if self.on_gpu else torch.contiguous_format

    @property
    def is_main(self) -> bool:
        """True in the process that writes files and reports progress."""
        return self.rank == 0

    @contextmanager
    def exclusive_gpu(self) -> Iterator[None]:
        """Hold the lock of this process's GPU, which excludes other trainings; a CPU is shared."""
        if not self.on_gpu:
            yield
            return
        with exclusive_device(f"gpu-{torch.cuda.get_device_properties(self.fabric.device).uuid}"):
            yield

    def setup(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
        """Wrap a module and its optimizer for use in their place; the originals are trained in place.

        The state dictionaries of the originals therefore keep plain names, whatever the wrappers add.
        """
        module = module.to(memory_format=self.layout)
        if self.processes > 1 and self.on_gpu:
            # One process's part of a batch is too small for separate statistics.
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        if self.config.compile:
            module.compile()
        return self.fabric.setup(module, optimizer)

    def accumulate(
        self,
        batch: tuple[Tensor, ...],
        modules: Sequence[nn.Module],
        gradients: Callable[..., dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        """Accumulate the gradients of this process's samples of a batch, part by part.

        Args:
            batch: tensors with the same number of samples.
            modules: modules returned by `setup`; processes exchange gradients at the last part only.
            gradients: callable that takes the tensors of a part, calls `backward` and returns the losses.

        Returns:
            The losses, averaged over parts and processes.
        """
        count = self.config.accumulate_grad_batches
        tensors = (self._to_layout(tensor) for tensor in self.fabric.to_device(batch))
        losses = []
        for number, part in enumerate(zip(*(tensor.chunk(count) for tensor in tensors), strict=True), 1):
            with ExitStack() as stack:
                for module in modules:
                    stack.enter_context(self.fabric.no_backward_sync(module, enabled=number < count))
                losses.append(gradients(*part))
        means = {name: torch.stack([part[name].detach() for part in losses]).mean() for name in losses[0]}
        return self.average(means)

    def _to_layout(self, tensor: Tensor) -> Tensor:
        """Convert images to the memory layout of the networks; other tensors have no such layout."""
        return tensor.contiguous(memory_format=self.layout) if tensor.dim() == 4 else tensor

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a part's loss, divided by the number of parts."""
        self.fabric.backward(loss / self.config.accumulate_grad_batches)

    def update(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Take an optimizer step along the gradients, clipped if configured, and reset them.

        Raises:
            NonFiniteLossError: the gradients are not finite; the weights are unchanged.
        """
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        norm = get_total_norm(gradients)
        if not norm.isfinite():
            raise NonFiniteLossError(f"the gradient of the {type(module).__name__} is not finite")
        if self.config.clip_norm > 0:
            clip_grads_with_norm_(module.parameters(), self.config.clip_norm, norm)
        optimizer.step()
        optimizer.zero_grad()

    def average(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Average losses over the processes, so that a non-finite value in one of them stops all."""
        values = self.fabric.all_reduce(torch.stack([loss.detach() for loss in losses.values()]))
        return dict(zip(losses, values, strict=True))

    def any_process(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        if self.processes == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.fabric.device)
        return bool(self.fabric.all_reduce(flags, reduce_op="max"))


class Autocast(MixedPrecision):  # type: ignore[misc]
    """Mixed precision that computes layers in bfloat16 and leaves frames as they are.

    Fabric's own plugin converts the frames to bfloat16 as well, and with them the targets and every grid of
    their type, which then has only 128 positions between 0 and 1.
    """

    def convert_input(self, data: Any) -> Any:
        """Return the data unchanged."""
        return data


def count_processes() -> tuple[int, int]:
    """Return the numbers of nodes and of processes per node that torchrun started; (1, 1) without it."""
    if not TorchElasticEnvironment.detect():
        return 1, 1
    return int(os.environ["GROUP_WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])


@contextmanager
def exclusive_device(device: str, folder: Path | None = None) -> Iterator[None]:
    """Hold a device for one training; wait, and print a notice, while another one of this user holds it.

    The operating system releases the lock of a process that ends, whatever the cause.

    Args:
        device: identifier of the device on this machine.
        folder: folder of the lock files; None: the system's folder for temporary files.
    """
    locks = folder or Path(tempfile.gettempdir())
    lock = FileLock(locks / f"faceanim-{getpass.getuser()}-{device}.lock")
    try:
        acquired = lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another training on {device} to end", file=sys.stderr, flush=True)
        acquired = lock.acquire()
    with acquired:
        yield


def enable_determinism() -> None:
    """Make torch prefer algorithms whose results do not vary between runs."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    # No code here reads memory before writing it, and filling it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch on every device for one step; step 0 also covers the construction of the networks.

    Args:
        seed: seed of the run.
        step: number of the step.
        rank: rank of the process; each draws the random values for its part of the batch.
    """
    sequence = np.random.SeedSequence((seed, step, rank))
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


@contextmanager
def evaluating(model: Model) -> Iterator[Model]:
    """Keep a model in evaluation mode, without gradients, for the duration of the block."""
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        model.train()
