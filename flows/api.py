"""Prefect's API: whether it answers, and what it raises where it does not."""

import httpx
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

API_ERRORS = (httpx.HTTPError, PrefectHTTPStatusError)
"""What the client raises when the API does not answer, or not as it should."""


def api_address() -> str | None:
    """The address, from the environment or the active Prefect profile; None where none is configured."""
    address: str | None = PREFECT_API_URL.value()
    return address


def api_answers() -> bool:
    """Whether the API is well, asked once; the client itself asks for a minute."""
    try:
        httpx.get(f"{api_address()}/health", timeout=10).raise_for_status()
    except httpx.HTTPError:
        return False
    return True
