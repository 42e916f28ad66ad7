"""Page tokens: text that a client returns unread to get the next page."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str) -> str:
    """Raises ValueError for what is no such token."""
    return urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
