"""How a step is computed, whatever is trained: processes, devices, precision, the parts of a batch."""

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


@contextmanager
def exclusive_device(device: str, folder: Path | None = None) -> Iterator[None]:
    """Be the only training on a device: wait, and say so, while another of this user is on it.

    The system ends the other's claim with its process, by whatever cause.

    Args:
        device: identifies it on this machine.
        folder: of the claims; None: the system's for temporary files.
    """
    claims = folder or Path(tempfile.gettempdir())
    claim = FileLock(claims / f"faceanim-{getpass.getuser()}-{device}.lock")
    try:
        claimed = claim.acquire(timeout=0)
    except Timeout:
        print(f"another training is on {device}: this one waits for its turn", file=sys.stderr, flush=True)
        claimed = claim.acquire()
    with claimed:
        yield


def enable_determinism() -> None:
    """Ask torch for algorithms whose results do not vary from run to run."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory before writing it, and filling it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch, on every device, for one step; step 0 also stands for the building of the networks.

    Args:
        seed: of the run.
        step: its number.
        rank: of the process; each draws what is random for its own share of the batch.
    """
    sequence = np.random.SeedSequence((seed, step, rank))
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


class Autocast(MixedPrecision):  # type: ignore[misc]
    """Layers compute in bfloat16; frames stay as they are.

    Fabric's own plugin hands over the frames in bfloat16 too, and with them what is to be reconstructed and
    every grid that is made like them: 128 positions between 0 and 1.
    """

    def convert_input(self, data: Any) -> Any:
        """The same."""
        return data


class Engine:
    """Lightning Fabric as both trainings use it: one process, or those that torchrun has started.

    Args:
        config: precision, compilation, accumulation and clipping.
        batch_size: samples of a step, of all processes together.

    Raises:
        FaceanimError: the batch can't be divided among the processes and their parts.
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
                f"batch_size is {batch_size}, which {self.processes} processes that cut their shares into "
                f"{config.accumulate_grad_batches} parts (engine.accumulate_grad_batches) can't divide evenly"
            )
        # On a CPU the animation networks take a quarter longer so.
        self.layout = torch.channels_last if self.on_gpu else torch.contiguous_format

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    @contextmanager
    def exclusive_gpu(self) -> Iterator[None]:
        """Have this process's GPU to itself among the trainings of this machine; a CPU is shared."""
        if not self.on_gpu:
            yield
            return
        with exclusive_device(f"gpu-{torch.cuda.get_device_properties(self.fabric.device).uuid}"):
            yield

    def setup(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
        """What to call in the place of `module` and of `optimizer`; both stay what they are, and are trained.

        Their own state dictionaries so have plain names, whatever is wrapped around them.
        """
        module = module.to(memory_format=self.layout)
        if self.processes > 1 and self.on_gpu:
            # A share of a batch is too small for statistics of its own.
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
        """Add up the gradients of this process's share of a batch, part by part.

        Args:
            batch: tensors of as many samples each.
            modules: what `setup` gave; processes exchange gradients at the last part only.
            gradients: takes the tensors of a part, calls `backward` and gives the losses.

        Returns:
            The losses, averaged over parts and processes.
        """
        count = self.config.accumulate_grad_batches
        ready = (self._to_layout(tensor) for tensor in self.fabric.to_device(batch))
        losses = []
        for number, part in enumerate(zip(*(tensor.chunk(count) for tensor in ready), strict=True), 1):
            with ExitStack() as stack:
                for module in modules:
                    stack.enter_context(self.fabric.no_backward_sync(module, enabled=number < count))
                losses.append(gradients(*part))
        means = {name: torch.stack([part[name].detach() for part in losses]).mean() for name in losses[0]}
        return self.average(means)

    def _to_layout(self, tensor: Tensor) -> Tensor:
        """Images as the networks want them; what is no image has no such layout."""
        return tensor.contiguous(memory_format=self.layout) if tensor.dim() == 4 else tensor

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a part's loss."""
        self.fabric.backward(loss / self.config.accumulate_grad_batches)

    def update(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Step along the gradients, clipped if that is asked for, and forget them.

        Raises:
            NonFiniteLossError: they are not finite; the weights are as before.
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
        """Losses averaged over the processes, so that what is not finite in one ends all."""
        values = self.fabric.all_reduce(torch.stack([loss.detach() for loss in losses.values()]))
        return dict(zip(losses, values, strict=True))

    def any_process(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.processes == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.fabric.device)
        return bool(self.fabric.all_reduce(flags, reduce_op="max"))


def count_processes() -> tuple[int, int]:
    """The nodes, and the processes on each, that torchrun has started; (1, 1) without it."""
    if not TorchElasticEnvironment.detect():
        return 1, 1
    return int(os.environ["GROUP_WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])


@contextmanager
def evaluating(model: Model) -> Iterator[Model]:
    """Put a model in evaluation mode, without gradients, for the length of the block."""
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        model.train()
