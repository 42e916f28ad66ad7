"""What those who run an agent want of it: traces, metrics, logs, permissions."""

from typing import Annotated, Literal

from pydantic import Field

from lambdaagent.api.base import ApiModel, Duration, EventType


class Tracing(ApiModel):
    enabled: bool = True
    endpoint: Annotated[
        str,
        Field(pattern=r"^[^\s]+$", max_length=2048, description="host:port (then http) or a URL."),
    ] = "alloy.observability.svc:4317"


class Metrics(ApiModel):
    enabled: bool = True
    exemplars: bool = True
    service_monitor: bool = True
    path: Annotated[str, Field(pattern=r"^/", max_length=1024)] = "/metrics"
    interval: Duration = "30s"
    timeout: Duration = "10s"


class Logging(ApiModel):
    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["json", "text"] = "json"
    trace_context: bool = True


class Observability(ApiModel):
    tracing: Tracing | None = None
    metrics: Metrics | None = None
    logging: Logging | None = None


class EventControls(ApiModel):
    allow_event_disable: bool = False
    control_event_types: Annotated[list[EventType], Field(max_length=64)] = [
        "io.homelab.rbac.disable",
        "io.homelab.rbac.enable",
    ]
    allowed_control_sources: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=256)] = []


class Permissions(ApiModel):
    disable_broker_creation: bool = False
    disable_trigger_creation: bool = False
    disable_function_creation: bool = False
    allowed_target_namespaces: Annotated[
        list[Annotated[str, Field(max_length=63)]],
        Field(max_length=256, description="Namespaces to forward to besides the agent's own; '*': all."),
    ] = []
    event_controls: EventControls | None = None
