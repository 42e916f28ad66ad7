"""Implements `access`: asks a gateway, or decides by files alone. Files do not tell what the cluster's RBAC allows."""

from dataclasses import dataclass

import orjson
import typer

from lambdaagent import clock
from lambdaagent.access import hypothetical, rules
from lambdaagent.access import installation as files
from lambdaagent.access.actions import Action
from lambdaagent.access.decide import Decision, as_a_whole, decide, skills
from lambdaagent.access.installation import ApiKeyFile, Installation
from lambdaagent.access.principal import ANONYMOUS, HMAC, Principal
from lambdaagent.access.rules import InstallationRules
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.cli import gateway_client
from lambdaagent.cli.printing import say
from lambdaagent.errors import LambdaAgentError, UsageError
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


@dataclass(frozen=True, slots=True)
class Where:
    """What decides: files, or a gateway."""

    paths: list[str]
    access_file: str
    namespace: str
    gateway: str = ""
    token: str = ""
    token_file: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    agent: str
    decision: Decision


def explain(asked: Asked, where: Where) -> None:
    found = _answers(asked, where)
    for each in found:
        answer = "allowed" if each.decision.allowed else "denied"
        typer.echo(f"{each.agent}: {answer} by {each.decision.rule}: {each.decision.reason}")
    if not where.gateway and any(each.decision.rule == "default" for each in found):
        say(
            "the cluster's RBAC may allow what the files deny; ask it with: kubectl auth can-i create "
            f"lambdaagents/NAME --subresource=invoke --as={asked.caller or ANONYMOUS.name}"
        )


def can_i(asked: Asked, where: Where) -> None:
    allowed = all(each.decision.allowed for each in _answers(asked, where))
    typer.echo("yes" if allowed else "no")
    if not allowed:
        raise typer.Exit(1)


def _answers(asked: Asked, where: Where) -> list[Answer]:
    if not where.gateway:
        return [Answer(agent.key, decision) for agent, decision in _decide(asked, where)]
    if where.paths or where.access_file:
        raise UsageError("--gateway decides by what is installed; leave out the files and --access-file")
    return [_answer(asked, where)]


def _answer(asked: Asked, where: Where) -> Answer:
    """Ask the gateway. Without --as, the answer is about the caller whose credential is sent."""
    said = {"agent": asked.agent, "action": asked.action, "skill": asked.skill, "as": asked.caller}
    many = [("group", each) for each in asked.groups] + [("claim", each) for each in asked.claims]
    answer = gateway_client.request(
        "GET",
        f"{where.gateway.rstrip('/')}/access/explain",
        token=gateway_client.credential(where.token, where.token_file),
        params=[(name, value) for name, value in said.items() if value] + many,
    )
    try:
        found = orjson.loads(answer.body)
        if answer.status == 200:
            return Answer(found["agent"], Decision(found["allowed"], found["rule"], found["reason"]))
        detail = str(found["detail"])
    except (ValueError, TypeError, KeyError):
        detail = f"the answer is not that of a gateway: {answer.text}"
    raise LambdaAgentError(f"{where.gateway} answered {answer.status}: {detail}")


def check(file: str) -> None:
    installation = _installation(file)
    verifier.sources(installation, fetcher=KeyFetcher(SYSTEM), clock=clock.system(), reviews=None, signer=None)
    say(f"{file} is valid: {len(installation.issuers)} issuers, {len(installation.api_keys)} entries of API keys")


def _decide(asked: Asked, where: Where) -> list[tuple[LambdaAgent, Decision]]:
    if not where.paths:
        raise UsageError("name files with LambdaAgents, or a gateway with --gateway")
    loaded = manifests.load(where.paths, namespace=where.namespace)
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
    installation = _installation(where.access_file) if where.access_file else Installation()
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
    if not found.allowed or action is not Action.INVOKE or skill is not None:
        return found
    return as_a_whole(skills(principal, access, limits)) or found


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
    def groups(source: str, id_: str) -> set[str]:
        return _groups_of_key(installation, source, id_)

    try:
        return hypothetical.principal(
            asked.caller or ANONYMOUS.name, groups=asked.groups, claims=asked.claims, groups_of_key=groups
        )
    except ValueError as error:
        raise UsageError(f"--as, --claim: {error}") from None
