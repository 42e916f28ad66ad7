"""Extensions of the protocol that a client asks for by their URIs (1.0 section 3.2.6; 0.3's header has an X-)."""

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
    """In the order of the client, each once. Raises A2AError for what no header of ours could hold."""
    found = [uri.strip() for name in HEADERS for value in headers.getall(name, ()) for uri in value.split(",")]
    uris = tuple(dict.fromkeys(uri for uri in found if uri))
    if len(uris) > _MOST or any(len(uri) > _LONGEST or not (uri.isascii() and uri.isprintable()) for uri in uris):
        wrong = f"must hold at most {_MOST} URIs of at most {_LONGEST} ASCII characters"
        raise invalid(Violation(HEADERS[0], wrong))
    return uris


def require(declared: Iterable[Declared], uris: Sequence[str]) -> None:
    """Raises A2AError where the agent requires an extension that the client does not ask for (1.0 section 3.3.4)."""
    missing = [each.uri for each in declared if each.required and each.uri not in uris]
    if missing:
        text = f"The agent requires {', '.join(missing)}; name it in the header {HEADERS[0]}."
        raise A2AError(Problem.EXTENSION_REQUIRED, text, metadata={"extensions": ",".join(missing)})
