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


class HttpPushNotifier:
    """Each notification has a session of its own, whose check is for the host of its receiver."""

    def __init__(
        self, check: address_check.CheckOf, *, signer: PushSigner | None = None, trust: Trust = SYSTEM
    ) -> None:
        self._check = check
        self._signer = signer
        self._trust = trust

    def require(self, url: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise PushRefusedError("it is not an http or https URL", final=True)
        try:
            address_check.check_literal(url, self._check)
        except address_check.ForbiddenAddressError as error:
            raise PushRefusedError(str(error), final=True) from None

    async def post(self, config: PushConfig, *, content_type: str, body: bytes) -> None:
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
            check = self._check(urlsplit(config.url).hostname or "")
            async with (
                address_check.session(check, seconds=_SECONDS, trust=self._trust) as session,
                session.post(config.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if (forbidden := address_check.refusal(error)) is not None:
                raise PushRefusedError(str(forbidden), final=True) from None
            raise PushRefusedError(f"it cannot be reached: {unreachable(error)}") from None
        if not 200 <= status < 300:
            # 410 is final; with any other status the receiver may be in a rollout.
            raise PushRefusedError(f"it answered {status}", final=status == 410)
