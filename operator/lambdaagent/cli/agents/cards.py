"""Reads the cards of agents."""

from lambdaagent.a2a import Json, versions
from lambdaagent.cli.agents.a2a_client import UNSUPPORTED, A2aClient, RpcError
from lambdaagent.cli.agents.directory import Agent
from lambdaagent.cli.coordination.client import Gateway, RefusedError
from lambdaagent.errors import LambdaAgentError


def public(gateway: Gateway, agent: Agent) -> Json:
    """Raises LambdaAgentError."""
    try:
        found = gateway.call("GET", agent.card_path, headers=[(versions.HEADER, "1.0")])
    except RefusedError as error:
        step = "; `lambdaagent agents list` lists the agents" if error.status == 404 else ""
        raise RefusedError(error.status, f"{error}{step}") from None
    return _checked(found, agent)


def extended(gateway: Gateway, agent: Agent) -> Json:
    """Raises LambdaAgentError, also if the agent has no extended card."""
    try:
        return _checked(A2aClient(gateway, agent).call("GetExtendedAgentCard", {}), agent)
    except RpcError as error:
        if error.code != UNSUPPORTED:
            raise
        raise LambdaAgentError(f"{agent.key} has no extended card; leave --extended out") from None


def schemas(gateway: Gateway, agent: Agent) -> dict[str, Json]:
    """Return the JSON Schemas of skills by their ids; cards of A2A have none, and the registry does."""
    try:
        found = gateway.call("GET", f"/a2a/agents/{agent.key}")
    except RefusedError:
        return {}
    capabilities = found.get("capabilities", []) if isinstance(found, dict) else []
    return {each["name"]: each["input_schema"] for each in capabilities if each.get("input_schema")}


def _checked(found: object, agent: Agent) -> Json:
    if not isinstance(found, dict):
        raise LambdaAgentError(f"the card of {agent.key} is no JSON object")
    return found
