"""URLs in the configuration."""

from urllib.parse import SplitResult, urlsplit


def parts_of_url(text: str, *schemes: str) -> SplitResult | None:
    """Return the parts of a URL that has one of the schemes, names a host, and no port that is none; else ``None``."""
    try:
        url = urlsplit(text)
        return url if url.scheme in schemes and url.hostname and (url.port or 1) > 0 else None
    except ValueError:
        return None
