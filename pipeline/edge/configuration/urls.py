"""URLs in the configuration."""

from urllib.parse import SplitResult, urlsplit


def parts_of_url(text: str, *schemes: str) -> SplitResult | None:
    """Return the parts of a URL with one of these schemes, a host, and no port outside 1 to 65535; else ``None``."""
    try:
        url = urlsplit(text)
        return url if url.scheme in schemes and url.hostname and url.port != 0 else None
    except ValueError:
        return None
