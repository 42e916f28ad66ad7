"""Implements `access`: decides by the files alone. What the cluster's RBAC allows is not known here, and is said."""

from dataclasses import dataclass

import typer

from lambdaagent import clock
from lambdaagent.access import installation as files
from lambdaagent.access import rules
from lambdaagent.access.actions import Action
from lambdaagent.access.decide import Decision, decide, skills
from lambdaagent.access.installation import ApiKeyFile, Installation
from lambdaagent.access.principal import (
    AGENT,
    ANONYMOUS,
    HMAC,
    KEY,
    RESERVED,
    SERVICE_ACCOUNT,
    SERVICE_ACCOUNTS_OF,
    Principal,
)
from lambdaagent.access.rules import InstallationRules
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.cli.printing import say
from lambdaagent.errors import UsageError
from lambdaagent.identity import verifier
from lambdaagent.identity.fetching import KeyFetcher
from lambdaagent.identity.reading import read_text
from lambdaagent.kube import manifests
from lambdaagent.trust import SYSTEM

_ACTIONS = (Action.INVOKE, Action.READ, Action.CANCEL, Action.PUSH, Action.CARD, Action.DISCOVER)


@dataclass(frozen=True, slots=True)
class Asked:
    agent: str
    caller: str
    groups: list[str]
    claims: list[str]
    action: str
    skill: str


def explain(paths: list[str], asked: Asked, *, access_file: str, namespace: str) -> None:
    found = _decide(paths, asked, access_file=access_file, namespace=namespace)
    for agent, decision in found:
        answer = "allowed" if decision.allowed else "denied"
        typer.echo(f"{agent.key}: {answer} by {decision.rule}: {decision.reason}")
    if any(decision.rule == "default" for _, decision in found):
        say(
            "the cluster's RBAC may allow what the files deny; ask it with: kubectl auth can-i create "
            f"lambdaagents/NAME --subresource=invoke --as={asked.caller}"
        )


def can_i(paths: list[str], asked: Asked, *, access_file: str, namespace: str) -> None:
    found = _decide(paths, asked, access_file=access_file, namespace=namespace)
    allowed = all(decision.allowed for _, decision in found)
    typer.echo("yes" if allowed else "no")
    if not allowed:
        raise typer.Exit(1)


def check(file: str) -> None:
    installation = _installation(file)
    verifier.sources(installation, fetcher=KeyFetcher(SYSTEM), clock=clock.system(), reviews=None, signer=None)
    say(f"{file} is valid: {len(installation.issuers)} issuers, {len(installation.api_keys)} entries of API keys")


def _decide(paths: list[str], asked: Asked, *, access_file: str, namespace: str) -> list[tuple[LambdaAgent, Decision]]:
    loaded = manifests.load(paths, namespace=namespace)
    for finding in loaded.errors:
        say(f"error: {finding}")
    if loaded.errors:
        raise typer.Exit(1)
    agents = [agent for agent in loaded.agents if asked.agent in ("", agent.key)]
    if not agents:
        known = ", ".join(agent.key for agent in loaded.agents) or "no LambdaAgent"
        raise UsageError(f"--agent: there is no {asked.agent or 'LambdaAgent'} in the files; there is: {known}")
    if asked.action not in _ACTIONS:
        raise UsageError(f"--action: {asked.action} is none of {', '.join(_ACTIONS)}")
    installation = _installation(access_file) if access_file else Installation()
    principal, action = _principal(asked, installation), Action(asked.action)
    limits, skill = installation.rules(), asked.skill or None
    return [(each, _decision(principal, action, each, limits, skill=skill)) for each in agents]


def _decision(
    principal: Principal, action: Action, agent: LambdaAgent, limits: InstallationRules, *, skill: str | None
) -> Decision:
    """Decide as the gateway, for which a message that names no skill means the only one, or the agent as a whole."""
    offered = [each.id for each in agent.spec.a2a.skills] if agent.spec.a2a is not None else []
    if action is Action.INVOKE and skill is None and len(offered) == 1:
        skill = offered[0]
    access = rules.of_agent(agent)
    found = decide(principal, action, access, limits, skill=skill)
    if found.allowed and action is Action.INVOKE and skill is None:
        callable_ = skills(principal, access, limits)
        if callable_ is not None:
            known = ", ".join(sorted(callable_))
            return Decision(False, "skills", f"no grant allows to call the agent without a skill: name one of {known}")
    return found


def _installation(file: str) -> Installation:
    return files.parse(read_text(file), file=file)


def _groups_of_key(installation: Installation, source: str, id_: str) -> set[str]:
    """Return the groups that the access file gives the owner of a key."""
    if source == HMAC:
        return {group for key in installation.hmac if key.id == id_ for group in key.groups}
    found: set[str] = set()
    for each in installation.api_keys:
        keys = verifier.keys_in(each.file) if isinstance(each, ApiKeyFile) else [each]
        found.update(group for key in keys if key.id == id_ for group in key.groups)
    return found


def _principal(asked: Asked, installation: Installation) -> Principal:
    if asked.caller == ANONYMOUS.name:
        return ANONYMOUS
    source, colon, name = asked.caller.partition(":")
    if not colon or not name:
        raise UsageError(f"--as: {asked.caller} has no source; write it as corp:alice, key:ci or anonymous")
    claims: dict[str, set[str]] = {}
    for each in asked.claims:
        claim, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"--claim: {each} has no '='; write it as team=payments")
        claims.setdefault(claim, set()).add(value)
    groups = set(asked.groups)
    if asked.caller.startswith(SERVICE_ACCOUNT):
        source = "kubernetes"
        groups.add(SERVICE_ACCOUNTS_OF + asked.caller.removeprefix(SERVICE_ACCOUNT).partition(":")[0])
        groups.update(("system:serviceaccounts", "system:authenticated"))
    elif source in (KEY, HMAC):
        groups |= _groups_of_key(installation, source, name)
    elif source in RESERVED - {AGENT}:
        raise UsageError(f"--as: {source} is no source of callers")
    if claims and source in ("kubernetes", KEY, HMAC, AGENT):
        raise UsageError(f"--claim: only tokens of issuers have claims, and {asked.caller} has none")
    return Principal(
        asked.caller,
        source=source,
        groups=frozenset(groups),
        claims={claim: frozenset(values) for claim, values in claims.items()},
    )
