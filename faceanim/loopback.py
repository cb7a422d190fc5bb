"""Requests to this machine, which never go through a proxy."""

import os

HOSTS = ("127.0.0.1", "localhost", "::1")
"""Names of this machine. The last has no brackets, which urllib would need but httpx refuses."""


def bypass_proxies(*hosts: str) -> None:
    """Exempt this machine from the proxies in the environment, for this process and those that it starts.

    To be called before any client is made. Exemptions that are already in NO_PROXY are kept.

    Args:
        hosts: further hosts to exempt, such as the address on which a server listens.
    """
    # On macOS, this variable alone would hide the proxies of the system's settings from urllib.
    if not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ):
        return
    lower, upper = os.environ.get("no_proxy"), os.environ.get("NO_PROXY")
    # Most clients read the lower case first, and the upper case only in its absence.
    os.environ["no_proxy"] = add_hosts(lower or upper or "", *hosts)
    os.environ["NO_PROXY"] = add_hosts(upper or lower or "", *hosts)


def add_hosts(exempt: str, *hosts: str) -> str:
    """Add this machine and other hosts to a list of exemptions, unless that is `*`, which exempts all."""
    listed = [host.strip() for host in exempt.split(",") if host.strip()]
    return "*" if listed == ["*"] else ",".join(dict.fromkeys((*listed, *HOSTS, *hosts)))
