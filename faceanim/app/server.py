"""Server of the page, which runs until it is interrupted."""

import os
import signal
import socket
import sys
import tempfile
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from faceanim.app.options import MAX_UPLOAD_MB
from faceanim.errors import FaceanimError
from faceanim.inference.backend import Network
from faceanim.loopback import bypass_proxies

PRIVACY_ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Environment variables that disable telemetry."""


def check_address(host: str, port: int) -> None:
    """Check that an address is free before anything is loaded; warn if other machines may reach it.

    Raises:
        FaceanimError: the port is in use or the address is not local.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError:
        raise FaceanimError(
            f"cannot listen on {host}:{port}: the port is in use, or the address does not belong to this "
            "machine; choose another --port"
        ) from None
    if not is_loopback(host):
        print(
            f"warning: {host} may be reachable from other machines, without a password and unencrypted; "
            "put an authenticating proxy in front of it",
            file=sys.stderr,
        )


def parse_root_path(root_path: str) -> str:
    """Parse the path under which a proxy shows the page, such as `/animate`; empty without a proxy.

    Raises:
        FaceanimError: it is neither a path that begins with a slash nor a whole address.
    """
    try:
        address = urlsplit(root_path)
        is_address = address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        is_address = False
    is_path = root_path.startswith("/") and not root_path.startswith("//")
    if root_path and (not (is_address or is_path) or set(root_path) & set("?# ")):
        raise FaceanimError(
            f"invalid --root-path {root_path!r}: give the path that visitors see, such as /animate, or the "
            "whole address, such as https://example.org/animate"
        )
    return root_path.rstrip("/")


def serve(network: Network, model: str, host: str, port: int, root_path: str = "") -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        network: the trained networks, shared by all sessions.
        model: address or path of the model.
        host: address to listen on.
        port: port to listen on.
        root_path: see `parse_root_path`.
    """
    with tempfile.TemporaryDirectory(prefix="faceanim-app-", ignore_cleanup_errors=True) as folder:
        # Gradio reads these on import and when components are created.
        os.environ.update(PRIVACY_ENVIRONMENT, GRADIO_TEMP_DIR=folder)
        bypass_proxies(host)  # Gradio checks by a request that its own server is up
        page = start_page(network, model, host, port, Path(folder), root_path)
        place = f", for a proxy that shows it at {root_path}" if root_path else ""
        print(f"faceanim is running at {page.local_url}{place} (press Ctrl-C to stop)", flush=True)
        wait_for_signal()
        page.close(verbose=False)


def start_page(network: Network, model: str, host: str, port: int, folder: Path, root_path: str = "") -> Any:
    """Build the page and start its server in a separate thread."""
    from faceanim.app.examples import examples_folder, make_examples
    from faceanim.app.page import build_page
    from faceanim.app.theme import STYLE, make_theme

    page = build_page(network, display_name(model), make_examples(examples_folder()), folder)
    page.launch(
        server_name=f"[{host}]" if ":" in host else host, server_port=port, share=False, inbrowser=False,
        inline=False, quiet=True, prevent_thread_lock=True, max_file_size=f"{MAX_UPLOAD_MB}mb",
        allowed_paths=[str(examples_folder())], footer_links=[], run_history=False, enable_monitoring=False,
        mcp_server=False, ssr_mode=False, pwa=False, show_error=False, theme=make_theme(), css_paths=[STYLE],
        root_path=root_path,
    )  # fmt: skip
    return page


def display_name(model: str) -> str:
    """Return the name of a model on the page: its address, or the last two components of its path."""
    return model if model.startswith("models:") else "/".join(Path(model).absolute().parts[-2:])


def is_loopback(host: str) -> bool:
    """Check whether an address is reachable from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def wait_for_signal() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    interrupted.wait()
