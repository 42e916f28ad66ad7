"""The identifiers of the entries of an AI Catalog, and of an ARD registry.

With a publisher, an agent is `urn:air:{publisher}:{namespace}:{name}`. Without one there is no `urn:air`, because
nobody vouches for the name: an agent is `urn:lambdaagent:local:{namespace}:{name}`, which only this installation
understands.

Invariant: two things never share an identifier. Namespaces and agents are DNS labels, so a name with a dot and one of a
single segment are free for what is no agent.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from lambdaagent.api import naming
from lambdaagent.errors import PermanentError

Key = tuple[str, str]
_PREFIX, _LOCAL, _PEER = "urn:air:", "urn:lambdaagent:local", "urn:lambdaagent:peer:"
_IDENTIFIER = re.compile(r"urn:(?:air|lambdaagent):[A-Za-z0-9.-]{1,253}(?::[A-Za-z0-9._-]{1,253})+")
_LONGEST = 1024
_REGISTRY = "registry"
BASE = "/ard"
"""The path of the search interface. A peer whose URL ends with it has the name that a LambdaAgent gateway gives itself
if its publisher is its host."""


class BadIdentifierError(PermanentError):
    """The text is no identifier of an entry."""


@dataclass(frozen=True, slots=True)
class CatalogNames:
    publisher: str = ""  # a domain, in small letters; empty: nobody vouches for the names

    @property
    def _own(self) -> str:
        return f"{_PREFIX}{self.publisher}" if self.publisher else _LOCAL

    @property
    def registry(self) -> str:
        return f"{self._own}:{_REGISTRY}"

    def agent(self, key: Key) -> str:
        return f"{self._own}:{key[0]}:{key[1]}"

    def rest(self, after: Key) -> str:
        """Return the identifier of the part of the catalogue that begins after an agent."""
        return f"{self._own}:catalog:after.{after[0]}.{after[1]}"

    def peer(self, url: str) -> str:
        """Return the identifier of another registry by the URL of its interface: its host is its publisher."""
        parts = urlsplit(url)
        path = [each for each in parts.path.removesuffix(BASE).split("/") if each]
        return f"{_PREFIX if self.publisher else _PEER}{parts.hostname}:{'.'.join([_REGISTRY, *path])}"

    def agent_of(self, identifier: str) -> Key | None:
        """Return the namespace and name of the agent that an identifier may name; None if it names none of ours.

        Raises BadIdentifierError.
        """
        own = f"{self._own}:"
        if len(identifier) > _LONGEST or not _IDENTIFIER.fullmatch(identifier):
            shown = f"{self._own}:NAMESPACE:NAME"
            raise BadIdentifierError(f"{identifier[:200]!r} is no identifier of an entry; one has the form {shown}")
        namespace, _, name = identifier.removeprefix(own).partition(":")
        return (namespace, name) if identifier.startswith(own) and naming.is_label(namespace, name) else None
