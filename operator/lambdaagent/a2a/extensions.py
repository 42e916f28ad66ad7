"""Protocol extensions that a client requests by their URIs (1.0 section 3.2.6; 0.3's header begins with X-)."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from lambdaagent.a2a.errors import A2AError, Problem, Violation, invalid

HEADERS = ("A2A-Extensions", "X-A2A-Extensions")
_MOST = 64
_LONGEST = 2048


class Declared(Protocol):
    @property
    def uri(self) -> str: ...
    @property
    def required(self) -> bool: ...


class Headers(Protocol):
    def getall(self, key: str, default: Sequence[str]) -> Sequence[str]: ...


def asked(headers: Headers) -> tuple[str, ...]:
    """Return the URIs in the client's order, each once. Raises A2AError for what a header cannot hold."""
    found = [uri.strip() for name in HEADERS for value in headers.getall(name, ()) for uri in value.split(",")]
    uris = tuple(dict.fromkeys(uri for uri in found if uri))
    if len(uris) > _MOST or any(len(uri) > _LONGEST or not (uri.isascii() and uri.isprintable()) for uri in uris):
        wrong = f"must contain at most {_MOST} URIs of at most {_LONGEST} ASCII characters"
        raise invalid(Violation(HEADERS[0], wrong))
    return uris


def require(declared: Iterable[Declared], uris: Sequence[str]) -> None:
    """Raise A2AError if the agent requires an extension that the client does not request (1.0 section 3.3.4)."""
    missing = [each.uri for each in declared if each.required and each.uri not in uris]
    if missing:
        text = f"The agent requires {', '.join(missing)}; name it in the header {HEADERS[0]}."
        raise A2AError(Problem.EXTENSION_REQUIRED, text, metadata={"extensions": ",".join(missing)})
