"""Why the system does not let us listen on a port, and what a person can do about it."""

import errno
import os


def why(error: OSError, port: int, *, key: str) -> str:
    """Return the reason with what to do; ``key`` is the table of ``service.toml`` that has ``host`` and ``port``."""
    if not error.errno:  # asyncio adds where it tried
        return error.strerror or "cannot be listened on"
    said = f"{os.strerror(error.errno)} (port {port})"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{said}; end the program that has it (`ss -ltnp` shows which), or set another {key}.port"
        case errno.EACCES:
            return f"{said}; let the service bind ports below 1024 (CAP_NET_BIND_SERVICE), or set another {key}.port"
        case errno.EADDRNOTAVAIL:
            return f"{said}; set {key}.host to an address of this machine"
        case _:
            return said
