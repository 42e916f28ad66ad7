"""Follows an external agent: nothing is started, and its server is asked now and then what it is.

It is asked again soon after a failure, and otherwise rarely: nothing tells of changes.
"""

import asyncio
import re
from collections.abc import Callable, Mapping

import structlog

from lambdaagent.api.agent import A2aStatus, AgentStatus, LambdaAgent
from lambdaagent.api.container_card import ContainerCard
from lambdaagent.api.external import External
from lambdaagent.backoff import Backoff
from lambdaagent.containers.external import NoCredentialError
from lambdaagent.dev.environment import Sources
from lambdaagent.external import card_reader
from lambdaagent.external.card_reader import NoCardError, ReadCard
from lambdaagent.toolservers.listing import ListError, skills
from lambdaagent.trust import Trust
from lambdaagent.webhooks.address_check import CheckOf

log = structlog.get_logger(__name__)

Wanted = tuple[tuple[str, str, str], ...]
_SECONDS = 10.0  # for the answer
_EVERY = 60.0


def secret_headers(namespace: str, wanted: Wanted, *, known: Sources, own: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return headers with the values of the Secrets in the files, or else of variables of dev's own environment.

    The variable of the Secret `partner` and the key `api-key` is PARTNER_API_KEY. Raises NoCredentialError.
    """
    found = []
    for header, name, key in wanted:
        variable = re.sub("[^A-Z0-9]", "_", f"{name}_{key}".upper())
        value = known.get(("Secret", namespace, name), {}).get(key, own.get(variable))
        if value is None:
            where = (
                f"no Secret {namespace}/{name} (key {key}) in the files and no variable {variable} in the environment"
            )
            raise NoCredentialError(f"the header {header} has no value: {where}")
        line = value.rstrip("\r\n")
        if not (line.isascii() and line.isprintable()):
            raise NoCredentialError(
                f"key {key} of Secret {namespace}/{name} cannot be a header: it is no line of ASCII"
            )
        found.append((header, line))
    return found


async def follow(
    agent: LambdaAgent,
    external: External,
    *,
    headers: Callable[[Wanted], list[tuple[str, str]]],
    check: CheckOf,
    trust: Trust,
    found: Callable[[AgentStatus], None],
    failed: Callable[[str], None],
) -> None:
    """Run until cancelled. `found` is called with the status of each answer, `failed` with the reason of a failure."""
    backoff, said, ready, before = Backoff(first=1.0, cap=_EVERY), "", False, None
    while True:
        try:
            credential = headers(external.secret_headers)
            if agent.spec.a2a is not None and agent.spec.a2a.protocol == "mcp":
                card = (await skills(external, credential, seconds=_SECONDS, check=check, trust=trust)).card
            else:
                before = await _read(agent, external, credential, before, check=check, trust=trust)
                card = before.card.kept
        except (ListError, NoCardError, NoCredentialError) as error:
            problem = f"its server {external.url} did not say what it offers: {error}"
            if problem != said:
                log.warning("agent.ask_failed", agent=agent.key, error=problem)
            failed(problem)
            said, ready, pause = problem, False, backoff.next()
        else:
            if not ready:
                log.info("agent.became_ready", agent=agent.key, url=external.url)
            found(AgentStatus(a2a_status=A2aStatus(container_card=ContainerCard.model_validate(card))))
            backoff.reset()
            said, ready, pause = "", True, _EVERY
        await asyncio.sleep(pause)


async def _read(
    agent: LambdaAgent,
    external: External,
    headers: list[tuple[str, str]],
    before: ReadCard | None,
    *,
    check: CheckOf,
    trust: Trust,
) -> ReadCard:
    read = await card_reader.read(external, headers, before=before, seconds=_SECONDS, check=check, trust=trust)
    if read is not before and (read.card.other_origin or read.card.notes):
        log.warning("card.partly_used", agent=agent.key, other_origin=read.card.other_origin, notes=read.card.notes)
    return read
