"""One progress for work of several steps."""

from collections.abc import Callable, Iterator

from faceanim.data.pictures import Frame
from faceanim.progress import OnProgress

FOLLOW, READ, ANIMATE = 0.02, 0.18, 0.8
"""What each step takes of the time, about, at 256x256 on a CPU."""


class Phases:
    """Tells how much of the whole is done, counted in frames, so that the time left means something.

    Args:
        on_progress: whom to tell.
        reads: whether there is a video to follow and to read first.
        animates: whether a portrait is animated then.
    """

    def __init__(self, on_progress: OnProgress | None, reads: bool = True, animates: bool = True) -> None:
        self._on_progress = on_progress
        self._whole = (FOLLOW + READ) * reads + ANIMATE * animates
        self._before = 0.0

    def step(self, note: str, share: float, count: int) -> Callable[[int], None]:
        """The next step, of `count` frames; gives what is to be told how many of them are done."""
        begin, self._before = self._before, self._before + share

        def tell(done: int) -> None:
            if self._on_progress is not None:
                part = (begin + share * min(done / count, 1)) / self._whole
                self._on_progress(round(part * count), count, note)

        return tell


def told(frames: Iterator[Frame], tell: Callable[[int], None]) -> Iterator[Frame]:
    """The frames, each told of once it has been taken on."""
    for number, frame in enumerate(frames, start=1):
        yield frame
        tell(number)
