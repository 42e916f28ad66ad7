"""The guard of a sidecar. It has no API server and no secrets: it checks issuers' tokens and the gateway's statements.

Callers with other credentials (API keys, ServiceAccounts) call through the gateway, which decides, and vouches for them
with a statement. The rules come from the environment and never change: the operator replaces the pods.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from lambdaagent.a2a import well_known
from lambdaagent.access import installation as files
from lambdaagent.access.installation import Installation
from lambdaagent.access.principal import Principal
from lambdaagent.access.rules import Mode
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.clock import Clock
from lambdaagent.gateway.access import metadata
from lambdaagent.gateway.access.audit import AuditLog
from lambdaagent.gateway.access.guard import Guard, State
from lambdaagent.identity.api_keys import KeyRing
from lambdaagent.identity.assertions import Assertions
from lambdaagent.identity.errors import CredentialError
from lambdaagent.identity.fetching import KeyFetcher
from lambdaagent.identity.jwks import Jwks
from lambdaagent.identity.jwts import HmacKeys
from lambdaagent.identity.verifier import Sources, Verifier
from lambdaagent.settings import SidecarSettings
from lambdaagent.trust import SYSTEM

log = structlog.get_logger(__name__)


@asynccontextmanager
async def guarding(settings: SidecarSettings, agent: LambdaAgent, clock: Clock) -> AsyncIterator[Guard]:
    """Yield the guard of the agent's sidecar. Raises AccessFileError for invalid rules."""
    mode = Mode(settings.access)
    if mode is Mode.OFF:
        yield Guard()
        return
    rules = settings.access_rules
    installation = files.parse(rules, file="LAMBDAAGENT_ACCESS_RULES") if rules else Installation()
    fetcher = KeyFetcher(SYSTEM)
    issuers = [(issuer, Jwks(fetcher.of(issuer), clock=clock, name=issuer.name)) for issuer in installation.issuers]
    gateway = Jwks(fetcher.at(settings.gateway_url + well_known.JWKS), clock=clock, name="the gateway")

    async def key(kid: str | None) -> object:
        return await gateway.key(kid, "ES256")

    assertions = Assertions(key) if settings.gateway_url else None

    async def called(statement: str) -> Principal:
        if assertions is None:
            raise CredentialError("unknown-key", "The sidecar knows no gateway, so it accepts no statement of one.")
        return await assertions.caller(statement, agent.key, now=clock.now())

    sources = Sources(KeyRing([]), HmacKeys({}, {}), issuers, assertions=assertions)
    schemes = metadata.schemes(installation, cluster=False)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(fetcher.close)
        for jwks in (gateway, *(each for _, each in issuers)):
            stack.push_async_callback(jwks.close)
        guard = Guard(mode, State(installation, installation.rules(), Verifier(sources, clock), schemes), called=called)
        if installation.audit.sink != "none":
            guard.audit = AuditLog(clock)
            await stack.enter_async_context(guard.audit.run())
        yield guard
