"""The container's environment: the user's variables in the order of the spec, then ours by name.

A user's variable wins over ours of the same name, so an agent that has always set OLLAMA_URL keeps its value. Secrets
are referenced and never read.
"""

import json
from collections.abc import Mapping, Sequence

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.ai import Ai, Approval, Memory
from lambdaagent.api.base import KeyRef, UrlKeyRef
from lambdaagent.api.operations import Observability
from lambdaagent.api.tools import McpServer
from lambdaagent.api.workload import EnvVar
from lambdaagent.children.base import Object
from lambdaagent.children.durations import seconds

# A plain value, or a reference to the Secret key that holds the value.
Variables = dict[str, str | KeyRef | UrlKeyRef]


def environment(agent: LambdaAgent, *, sink: str | None, gateway: str) -> list[Object]:
    """Return the environment. `sink` is the URL to which the agent posts events (K_SINK); None if there is none.

    `gateway` is the URL at which it calls other agents (GATEWAY_URL); empty if there is none.
    """
    ours = _ours(agent, sink, gateway)
    users: dict[str, Object] = {}
    for variable in agent.spec.env:
        users[variable.name] = _user(variable)  # of duplicates the last value counts, in the first one's position
    added = [_entry(name, ours[name]) for name in sorted(ours) if name not in users]
    return [*users.values(), *added]


def overridden(agent: LambdaAgent) -> list[str]:
    """Return the names of variables that the user sets and the operator would set."""
    ours = _ours(agent, "-", "-")
    return sorted({variable.name for variable in agent.spec.env if variable.name in ours})


def _ours(agent: LambdaAgent, sink: str | None, gateway: str) -> Variables:
    spec = agent.spec
    variables: Variables = {"OPERATION_MODE": spec.operation_mode}
    if sink:
        variables |= {"K_SINK": sink, "BROKER_URL": sink}
    if gateway:
        variables["GATEWAY_URL"] = gateway
    if spec.ai:
        variables |= _ai(spec.ai)
    if spec.behavior:
        behavior = spec.behavior
        variables["MAX_CONTEXT_MESSAGES"] = str(behavior.max_context_messages)
        variables["EMIT_EVENTS"] = _said(behavior.emit_events)
        if behavior.system_prompt is not None:
            variables["SYSTEM_PROMPT"] = behavior.system_prompt
    if spec.eventing and spec.eventing.event_source:
        variables["EVENT_SOURCE"] = spec.eventing.event_source
    if spec.approval:
        variables |= _approval(spec.approval)
    if spec.memory:
        variables |= _memory(spec.memory)
    if spec.observability:
        variables |= _observability(spec.observability, agent)
    if spec.tools:
        variables |= _tools([tool.mcp_server for tool in spec.tools])
    return variables


def _ai(ai: Ai) -> Variables:
    variables: Variables = {"AI_PROVIDER": ai.provider}
    if ai.provider == "none":
        return variables
    variables |= {"AI_TEMPERATURE": ai.temperature, "AI_MAX_TOKENS": str(ai.max_tokens)}
    url, key = {
        "ollama": ("OLLAMA_URL", None),
        "openai": ("OPENAI_BASE_URL", "OPENAI_API_KEY"),
        "anthropic": ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
    }[ai.provider]
    if ai.endpoint:
        variables |= {"AI_ENDPOINT": ai.endpoint, url: ai.endpoint}
    if ai.model:
        variables |= {"AI_MODEL": ai.model, f"{ai.provider.upper()}_MODEL": ai.model}
    if ai.api_key_secret_ref:
        variables["AI_API_KEY"] = ai.api_key_secret_ref
        if key:
            variables[key] = ai.api_key_secret_ref
    return variables


def _approval(approval: Approval) -> Variables:
    variables: Variables = {
        "APPROVAL_PROVIDERS": ",".join(approval.providers),
        "APPROVAL_TIMEOUT_SECONDS": seconds(approval.timeout),
        "APPROVAL_TIMEOUT_ACTION": approval.timeout_action,
        "APPROVAL_REQUIRE_ALL": _said(approval.require_all),
    }
    if slack := approval.slack:
        variables |= _present(
            {
                "APPROVAL_SLACK_WEBHOOK_URL": slack.webhook_url_secret_ref or slack.webhook_url,
                "APPROVAL_SLACK_BOT_TOKEN": slack.bot_token_secret_ref,
                "APPROVAL_SLACK_CHANNEL": slack.channel,
                "APPROVAL_SLACK_APPROVERS": ",".join(slack.approvers),
                "APPROVAL_SLACK_CALLBACK_URL": slack.callback_url,
            }
        )
    if custom := approval.custom:
        variables |= _present(
            {
                "CUSTOM_APPROVAL_ENDPOINT": custom.endpoint,
                "CUSTOM_APPROVAL_METHOD": custom.method.upper(),
                "CUSTOM_APPROVAL_HEADERS": _json(custom.headers) if custom.headers else None,
                "CUSTOM_APPROVAL_AUTH": custom.auth_secret_ref,
                "CUSTOM_APPROVAL_POLL_INTERVAL_SECONDS": seconds(custom.poll_interval),
                "CUSTOM_APPROVAL_USE_WEBHOOK": _said(custom.use_webhook),
                "CUSTOM_APPROVAL_CALLBACK_URL": custom.callback_url,
            }
        )
    return variables


def _memory(memory: Memory) -> Variables:
    variables: Variables = {"MEMORY_ENABLED": _said(memory.enabled)}
    if not memory.enabled:
        return variables
    variables["MEMORY_SCHEMA"] = memory.memory_schema
    if short := memory.short_term:
        variables |= {
            "MEMORY_SHORT_TERM_ENABLED": _said(short.enabled),
            "MEMORY_SHORT_TERM_BACKEND": short.backend,
            "MEMORY_SHORT_TERM_TTL_SECONDS": str(short.ttl_seconds),
        } | _present({"MEMORY_REDIS_URL": short.redis_secret_ref})
    if long := memory.long_term:
        variables |= {
            "MEMORY_LONG_TERM_ENABLED": _said(long.enabled),
            "MEMORY_LONG_TERM_BACKEND": long.backend,
        } | _present({"MEMORY_POSTGRES_URL": long.postgres_secret_ref})
    if user := memory.user_memory:
        variables |= {
            "MEMORY_USER_ENABLED": _said(user.enabled),
            "MEMORY_USER_STORE_PREFERENCES": _said(user.store_preferences),
            "MEMORY_USER_STORE_FACTS": _said(user.store_facts),
        }
    if working := memory.working_memory:
        variables |= {
            "MEMORY_WORKING_ENABLED": _said(working.enabled),
            "MEMORY_WORKING_TRACK_DECISIONS": _said(working.track_decisions),
            "MEMORY_WORKING_TRACK_PROGRESS": _said(working.track_progress),
        }
    if memory.default_constraints:
        constraints = [constraint.model_dump() for constraint in memory.default_constraints]
        variables["MEMORY_DEFAULT_CONSTRAINTS"] = _json(constraints)
    return variables


def _observability(observability: Observability, agent: LambdaAgent) -> Variables:
    variables: Variables = {}
    if logging := observability.logging:
        variables |= {
            "LOG_LEVEL": logging.level,
            "LOG_FORMAT": logging.format,
            "LOG_TRACE_CONTEXT": _said(logging.trace_context),
        }
    if (metrics := observability.metrics) and metrics.enabled:
        variables["METRICS_EXEMPLARS"] = _said(metrics.exemplars)
    if tracing := observability.tracing:
        if not tracing.enabled:
            return variables | {"OTEL_TRACES_EXPORTER": "none"}
        # SDKs refuse an OTLP endpoint without a scheme.
        endpoint = tracing.endpoint if "://" in tracing.endpoint else f"http://{tracing.endpoint}"
        attributes = {
            "k8s.namespace.name": agent.namespace,
            "service.namespace": agent.namespace,
            "service.version": agent.spec.container_image.digest or agent.spec.container_image.tag,
        }
        variables |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_SERVICE_NAME": agent.name,
            "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in sorted(attributes.items())),
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        }
    return variables


def header_variable(server: int, header: int) -> str:
    """Return the name of the variable with the value of a secret header, by their places in the spec."""
    return f"MCP_SERVER_{server}_HEADER_{header}"


def _tools(servers: Sequence[McpServer]) -> Variables:
    """Return MCP_SERVERS, and a variable for each secret header, which MCP_SERVERS names."""
    secrets: Variables = {}
    entries: list[Object] = []
    for number, server in enumerate(servers):
        entry: Object = {"name": server.name, "endpoint": server.endpoint, "toolNames": server.tool_names}
        headers = []
        for place, header in enumerate(server.headers_from):
            variable = header_variable(number, place)
            secrets[variable] = header.secret_key_ref
            headers.append({"name": header.name, "valueFrom": variable})
        if headers:
            entry["headers"] = headers
        if server.timeout_seconds is not None:
            entry["timeoutSeconds"] = server.timeout_seconds
        entries.append(entry)
    return {"MCP_SERVERS": _json(entries), **secrets}


def _present(values: Mapping[str, str | KeyRef | UrlKeyRef | None]) -> Variables:
    return {name: value for name, value in values.items() if value}


def _entry(name: str, value: str | KeyRef | UrlKeyRef) -> Object:
    if isinstance(value, str):
        return {"name": name, "value": literal(value)}
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": value.name, "key": value.key}}}


def literal(value: str) -> str:
    """Escape a value so that the kubelet's `$(NAME)` expansion returns it unchanged; a prompt may contain anything."""
    return value.replace("$", "$$") if "$(" in value or "$$" in value else value


def _user(variable: EnvVar) -> Object:
    source = variable.value_from
    if source is None:
        return {"name": variable.name, "value": variable.value or ""}
    return {"name": variable.name, "valueFrom": source.model_dump(by_alias=True, exclude_none=True)}


def _said(value: bool) -> str:
    return "true" if value else "false"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
