"""Tell an IP address from a host name."""

import ipaddress


def is_ip_address(host: str) -> bool:
    """Whether a host is given by its IP address (version 4 or 6), not by a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
