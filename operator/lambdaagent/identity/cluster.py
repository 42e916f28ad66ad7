"""Asks the API server who has a ServiceAccount's token (TokenReview) and what somebody may do in a namespace
(LocalSubjectAccessReview).

Invariants: a token that the server checked for another audience is refused, and a server that cannot be asked grants
nothing. Hazard: an answer is remembered, so a right that was taken away is effective after at most `REMEMBERED`
seconds, and the token of a deleted ServiceAccount after about 70 s: the server itself takes up to 10 s.
"""

import asyncio
from collections.abc import Collection
from typing import Any

import structlog

from lambdaagent.access.principal import SERVICE_ACCOUNT, Principal
from lambdaagent.api.base import GROUP, PLURAL
from lambdaagent.clock import Clock
from lambdaagent.errors import LambdaAgentError
from lambdaagent.identity.errors import CredentialError, IdentityUnavailableError
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import ACCESS_REVIEW, TOKEN_REVIEW

log = structlog.get_logger(__name__)
REMEMBERED = 10.0  # seconds
_SECONDS = 5.0  # for one answer
_AT_ONCE = 32
_MOST = 10_000


class TokenReviews:
    def __init__(self, api: KubeClient, audiences: Collection[str]) -> None:
        self._api = api
        self._audiences = list(audiences)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def principal(self, token: str) -> Principal:
        """Raises CredentialError, IdentityUnavailableError."""
        spec = {"token": token, "audiences": self._audiences}
        review = {"apiVersion": TOKEN_REVIEW.api_version, "kind": TOKEN_REVIEW.kind, "spec": spec}
        try:
            async with asyncio.timeout(_SECONDS), self._slots:
                answer = await self._api.request(
                    "POST", TOKEN_REVIEW.path(), action="check", target="a token", body=review
                )
        except (LambdaAgentError, TimeoutError) as error:
            log.warning("token_review.failed", error=str(error) or "the API server does not answer in time")
            raise IdentityUnavailableError("the cluster cannot be asked about ServiceAccounts' tokens") from None
        status = answer.get("status", {})
        if not status.get("authenticated"):
            raise CredentialError("not-authenticated", "The cluster does not accept the ServiceAccount's token.")
        if not set(status.get("audiences", ())) & set(self._audiences):
            raise CredentialError("wrong-audience", "The token is for another audience.")
        user: dict[str, Any] = status.get("user", {})
        name = user.get("username", "")
        if not name.startswith(SERVICE_ACCOUNT):
            raise CredentialError("wrong-kind", "The token is not that of a ServiceAccount.")
        return Principal(name, source="kubernetes", groups=frozenset(user.get("groups", ())))


class AccessReviews:
    def __init__(self, api: KubeClient, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._answers: dict[tuple[Any, ...], tuple[bool, float]] = {}
        self._quiet_until = 0.0

    async def allows(
        self, principal: Principal, *, verb: str, subresource: str, namespace: str, name: str = ""
    ) -> bool:
        """Return whether RBAC allows the verb on `lambdaagents/{subresource}`; False if the server cannot be asked."""
        asked = (principal.name, principal.groups, verb, subresource, namespace, name)
        now = self._clock.now()
        known = self._answers.get(asked)
        if known is not None and known[1] > now:
            return known[0]
        allowed = await self._ask(principal, verb=verb, subresource=subresource, namespace=namespace, name=name)
        if len(self._answers) >= _MOST:
            self._answers.clear()
        self._answers[asked] = (allowed, now + REMEMBERED)
        return allowed

    async def _ask(self, principal: Principal, *, verb: str, subresource: str, namespace: str, name: str) -> bool:
        attributes = {
            "group": GROUP,
            "resource": PLURAL,
            "subresource": subresource,
            "verb": verb,
            "namespace": namespace,
            **({"name": name} if name else {}),
        }
        spec = {"user": principal.name, "groups": sorted(principal.groups), "resourceAttributes": attributes}
        review = {
            "apiVersion": ACCESS_REVIEW.api_version,
            "kind": ACCESS_REVIEW.kind,
            "metadata": {"namespace": namespace},
            "spec": spec,
        }
        path = ACCESS_REVIEW.path(namespace=namespace)
        try:
            async with asyncio.timeout(_SECONDS), self._slots:
                answer = await self._api.request("POST", path, action="check", target="a right", body=review)
        except (LambdaAgentError, TimeoutError) as error:
            if (now := self._clock.now()) >= self._quiet_until:  # a caller could otherwise fill the log
                self._quiet_until = now + REMEMBERED
                log.warning("access_review.failed", error=str(error) or "the API server does not answer in time")
            return False
        return bool(answer.get("status", {}).get("allowed"))
