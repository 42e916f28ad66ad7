"""Fetches an issuer's discovery document and keys, within limits of size and time.

The addresses come from the installation's configuration and from the issuer's own document, which may name any host: a
link-local one is never called, redirects are not followed, and every URL is https (or on loopback, if the issuer is).
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp

from lambdaagent import bounded_json
from lambdaagent.access.installation import AccessFileError, Issuer, require_https
from lambdaagent.errors import TemporaryError
from lambdaagent.identity.reading import read_bytes
from lambdaagent.trust import Trust, unreachable
from lambdaagent.webhooks import address_check

_SECONDS = 5.0
_BYTES = 256 * 1024


class FetchError(TemporaryError):
    """The document cannot be had."""


class KeyFetcher:
    """Shares one HTTP session over all issuers."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None

    def of(self, issuer: Issuer) -> Callable[[], Awaitable[bytes]]:
        """Return the function that fetches the issuer's key set."""

        async def fetch() -> bytes:
            if issuer.jwks.startswith("/"):
                return _file(issuer.jwks)
            return await self._get(issuer.jwks or await self._discovered(issuer.issuer))

        return fetch

    def at(self, url: str) -> Callable[[], Awaitable[bytes]]:
        """Return the function that fetches the key set at a URL of this installation."""

        async def fetch() -> bytes:
            return await self._get(url)

        return fetch

    async def _discovered(self, issuer: str) -> str:
        """Return the URL of the keys (OpenID Connect Discovery 1.0 section 4). Raises FetchError."""
        found = bounded_json.loads(await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
        if not isinstance(found, dict) or found.get("issuer") != issuer:
            raise FetchError(f"the discovery document of {issuer} names another issuer")
        url = found.get("jwks_uri")
        if not isinstance(url, str):
            raise FetchError(f"the discovery document of {issuer} has no jwks_uri")
        try:
            require_https(url, "jwks_uri", loopback=urlsplit(issuer).scheme == "http")
        except ValueError as error:
            raise FetchError(f"the discovery document of {issuer}: {error}") from None
        return url

    async def _get(self, url: str) -> bytes:
        if self._session is None:
            self._session = address_check.session(address_check.not_metadata, seconds=_SECONDS, trust=self._trust)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise FetchError(f"{url} answers {response.status}")
                body = b""
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _BYTES:
                        raise FetchError(f"the answer of {url} is over the limit of {_BYTES // 1024} KiB")
                return body
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = address_check.refusal(error) or unreachable(error)
            raise FetchError(f"{url} cannot be fetched: {why}") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _file(path: str) -> bytes:
    try:
        return read_bytes(path, limit=_BYTES)
    except AccessFileError as error:
        raise FetchError(str(error)) from None
