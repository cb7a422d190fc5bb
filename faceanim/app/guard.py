"""What stands between a request and the page's functions: whatever fails, fails in one sentence."""

import logging
from typing import Any

import gradio as gr

from faceanim.app import words
from faceanim.errors import FaceanimError

log = logging.getLogger(__name__)


class GuardedBlocks(gr.Blocks):  # type: ignore[misc]  # Gradio is Any to mypy
    """Blocks that say every failure in one sentence, and write those that are ours to the log.

    Gradio looks at the errors that functions raise, not at those of requests that reach no function.
    """

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """See Gradio's.

        Raises:
            gr.Error: whatever failed.
        """
        try:
            answer: dict[str, Any] = await super().process_api(*args, **kwargs)
        except gr.Error:
            raise
        except FaceanimError as error:
            raise said(words.sentence(str(error))) from None
        except Exception:
            log.exception("a request failed")
            raise said(words.OURS) from None
        return answer

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """See Gradio's; nothing is fetched here that a request names by its address.

        Raises:
            gr.Error: the request holds what no component gives.
        """
        if names_address(inputs):
            raise said(words.NO_ADDRESS)
        try:
            taken: list[Any] = await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception:
            raise said(words.THEIRS) from None
        return taken


def said(sentence: str) -> gr.Error:
    """An error that says one sentence, until whoever reads it closes it."""
    return gr.Error(sentence, duration=None, print_exception=False)


def names_address(given: object) -> bool:
    """Whether a request names a file by its address, anywhere in it."""
    if isinstance(given, dict):
        return "://" in str(given.get("path")) or names_address([*given.values()])
    return isinstance(given, list) and any(map(names_address, given))
