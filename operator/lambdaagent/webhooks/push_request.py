"""Posts one push notification to one receiver once (1.0 section 4.3) and reports whether it arrived."""

from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from lambdaagent.a2a.push import PushConfig
from lambdaagent.trust import SYSTEM, Trust, unreachable
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.push_signature import PushSigner

_SECONDS = 15.0
SIGNATURE = "X-A2A-Notification-Signature"


class PushRefusedError(Exception):
    """The notification did not arrive; `final`: a retry cannot succeed."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


class PushNotifier(Protocol):
    def require(self, url: str) -> None:
        """Raises PushRefusedError if it is certain that the address may not be called."""
        ...

    async def post(self, config: PushConfig, *, content_type: str, body: bytes) -> None:
        """Raises PushRefusedError."""
        ...

    async def close(self) -> None: ...


class HttpPushNotifier:
    def __init__(self, check: address_check.Check, *, signer: PushSigner | None = None, trust: Trust = SYSTEM) -> None:
        self._check = check
        self._signer = signer
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None

    def require(self, url: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise PushRefusedError("it is not an http or https URL", final=True)
        try:
            address_check.check_literal(url, self._check)
        except address_check.ForbiddenAddressError as error:
            raise PushRefusedError(str(error), final=True) from None

    async def post(self, config: PushConfig, *, content_type: str, body: bytes) -> None:
        if self._session is None:
            self._session = address_check.session(self._check, seconds=_SECONDS, trust=self._trust)
        headers = {"Content-Type": content_type}
        if config.credentials:
            headers["Authorization"] = f"{config.scheme or 'Bearer'} {config.credentials}"
        if config.token:
            headers["X-A2A-Notification-Token"] = config.token
        if self._signer is not None:
            headers[SIGNATURE] = self._signer.token(config, body)
            # The place in A2A's own text, unless the client's credentials are there (1.0 section 4.3.3).
            headers.setdefault("Authorization", f"Bearer {headers[SIGNATURE]}")
        try:
            address_check.check_literal(config.url, self._check)
            async with self._session.post(config.url, data=body, headers=headers, allow_redirects=False) as answer:
                status = answer.status
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, address_check.ForbiddenAddressError):
                raise PushRefusedError(str(error.os_error), final=True) from None
            raise PushRefusedError(f"it cannot be reached: {unreachable(error)}") from None
        except address_check.ForbiddenAddressError as error:
            raise PushRefusedError(str(error), final=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PushRefusedError(f"it cannot be reached: {unreachable(error)}") from None
        if not 200 <= status < 300:
            # 410 is final; with any other status the receiver may be in a rollout.
            raise PushRefusedError(f"it answered {status}", final=status == 410)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
