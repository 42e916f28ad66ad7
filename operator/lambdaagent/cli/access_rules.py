"""Implements `access`: decides by the files alone. What the cluster's RBAC allows is not known here, and is said."""

from dataclasses import dataclass
from pathlib import Path

import typer

from lambdaagent import clock
from lambdaagent.access import installation as files
from lambdaagent.access import rules
from lambdaagent.access.actions import Action
from lambdaagent.access.decide import Decision, decide
from lambdaagent.access.installation import AccessFileError, Installation
from lambdaagent.access.principal import ANONYMOUS, RESERVED, SERVICE_ACCOUNT, SERVICE_ACCOUNTS_OF, Principal
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.cli.printing import say
from lambdaagent.errors import UsageError
from lambdaagent.identity import verifier
from lambdaagent.identity.fetching import KeyFetcher
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
    limits = _installation(access_file).rules() if access_file else Installation().rules()
    principal, action = _principal(asked), Action(asked.action)
    skill = asked.skill or None
    return [(each, decide(principal, action, rules.of_agent(each), limits, skill=skill)) for each in agents]


def _installation(file: str) -> Installation:
    try:
        return files.parse(Path(file).read_text(), file=file)
    except OSError as error:
        raise AccessFileError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AccessFileError(f"{file} is not UTF-8") from None


def _principal(asked: Asked) -> Principal:
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
    elif source in RESERVED - {"key", "hmac", "agent"}:
        raise UsageError(f"--as: {source} is no source of callers")
    return Principal(
        asked.caller,
        source=source,
        groups=frozenset(groups),
        claims={claim: frozenset(values) for claim, values in claims.items()},
    )
