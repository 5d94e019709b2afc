"""Tell an IP address from a host name, and this machine from others."""

import ipaddress

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""This machine, as it calls itself: what is sent to one of these does not leave it."""


def is_ip_address(host: str) -> bool:
    """Whether a host is given by its IP address (version 4 or 6), not by a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
