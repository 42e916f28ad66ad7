"""Page tokens: text that a client returns unread to get the next page."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def of_agent(key: tuple[str, str]) -> str:
    """Return the token of the page that begins after the agent with this namespace and name."""
    return encode("/".join(key))


def agent_of(token: object) -> tuple[str, str]:
    """Return the namespace and name that a token of `of_agent` holds. Raises ValueError for what is no such token."""
    if not isinstance(token, str):
        raise ValueError("a token is text")
    namespace, name = decode(token).split("/")
    return namespace, name


def decode(token: str) -> str:
    """Raises ValueError for what is no such token."""
    return urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
