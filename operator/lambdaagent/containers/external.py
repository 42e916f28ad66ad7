"""How external agents are called: by a client that checks each address it dials, with headers from Secrets.

Hazard: the values of these headers are the agent's own credential. They are in no error and no log, and are sent to no
other host than the agent's.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lambdaagent.containers.callee import Callee
from lambdaagent.containers.who_asks import NotCalledError
from lambdaagent.httpclient.client import HttpClient

_SHORTEST_MASKED = 4  # characters: a shorter value would be found in any text
# Returns the headers for a namespace and, of each header, its name and the name and key of its Secret.
# Raises NoCredentialError.
SecretHeaders = Callable[[str, tuple[tuple[str, str, str], ...]], Awaitable[list[tuple[str, str]]]]


class NoCredentialError(NotCalledError):
    """A header's value cannot be had; the message names the Secret and the next step, and nothing of a value."""


async def no_secrets(_namespace: str, _wanted: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str]]:
    """Refuse, for a process that reads no Secrets. Raises NoCredentialError."""
    raise NoCredentialError("this process reads no Secrets, so it has no credential for an external agent")


@dataclass(frozen=True, slots=True)
class ExternalCalls:
    """`client` must check each address that it dials."""

    client: HttpClient
    secret_headers: SecretHeaders

    async def headers(self, callee: Callee) -> list[tuple[str, str]]:
        """Return the agent's secret headers. Raises NoCredentialError."""
        wanted = callee.external.headers if callee.external is not None else ()
        return await self.secret_headers(callee.namespace, wanted) if wanted else []

    async def masked(self, callee: Callee, text: str) -> str:
        """Return a server's error without the values of the agent's secret headers, which some servers repeat."""
        try:
            headers = await self.headers(callee)
        except NoCredentialError:
            return text
        for _, value in headers:
            for secret in (value, value.rpartition(" ")[2]):  # with its scheme, and without
                if len(secret) >= _SHORTEST_MASKED:
                    text = text.replace(secret, "***")
        return text
