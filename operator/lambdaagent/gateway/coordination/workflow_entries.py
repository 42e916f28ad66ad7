"""Workflows as agents of the directory: each has the skill `run`, so that A2A, MCP and messages start it."""

from lambdaagent.a2a import Json
from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.coordination.registered_agent import RegisteredAgent
from lambdaagent.coordination.workflow import PROTOCOL, Workflow

SKILL = "run"
_SECONDS = 86_400  # that a call of the skill may take


def registered(workflow: Workflow) -> RegisteredAgent:
    """Return the entry by which lists, rights and messages know the workflow."""
    return RegisteredAgent(
        agent_id=workflow.agent_name,
        name=workflow.title[:255],
        label=workflow.agent_name,
        created_by=workflow.created_by,
        protocol=PROTOCOL,
        description=workflow.summary,
        version=workflow.version,
        capabilities=[{"name": workflow.name, "description": workflow.summary}],
        access=workflow.access,
        last_heartbeat=workflow.modified_at,
        created_at=workflow.created_at,
        modified_at=workflow.modified_at,
    )


def lambda_agent(workflow: Workflow, namespace: str) -> LambdaAgent:
    skill: Json = {
        "id": SKILL,
        "name": workflow.title[:256],
        "description": workflow.summary,
        "tags": ["workflow", workflow.name],
        "inputModes": ["json", "text"],
        "outputModes": ["json"],
        # A replica that goes on with the call finds the run of the task, and starts no second one.
        "invoke": {"idempotent": True, "timeoutSeconds": _SECONDS},
    }
    schema = workflow.input_schema
    if schema is not None and schema.get("type") == "object":
        skill["inputSchema"] = schema
    a2a: Json = {
        "enabled": True,
        "description": workflow.summary,
        "version": workflow.version,
        "access": workflow.access,
        "skills": [skill],
    }
    return parse({"metadata": {"namespace": namespace, "name": workflow.agent_name}, "spec": {"a2a": a2a}})
