"""The fields for operating an agent: traces, metrics, logs, permissions."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import PROMETHEUS_DURATION, ApiModel, EventType, rules

PrometheusDuration = Annotated[str, Field(pattern=PROMETHEUS_DURATION, min_length=2, max_length=32)]


class Tracing(ApiModel):
    enabled: Annotated[
        bool, Field(description="If false, the container is configured to export no traces. Defaults to true.")
    ] = True
    endpoint: Annotated[
        str,
        Field(
            pattern=r"^[^\s]+$",
            max_length=2048,
            description=(
                "OTLP endpoint that receives the traces: a URL, or host:port for http. Defaults to"
                " alloy.observability.svc:4317."
            ),
        ),
    ] = "alloy.observability.svc:4317"


class Metrics(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.interval) || !has(self.timeout) || duration(self.timeout) <= duration(self.interval)",
                "timeout must not be longer than interval",
            )
        )
    )
    enabled: Annotated[
        bool,
        Field(
            description=(
                "If false, there is no ServiceMonitor, and the container does not get METRICS_EXEMPLARS. Defaults to"
                " true."
            )
        ),
    ] = True
    exemplars: Annotated[
        bool, Field(description="Whether the container should add exemplars to its metrics. Defaults to true.")
    ] = True
    service_monitor: Annotated[
        bool,
        Field(
            description=(
                "If false, there is no ServiceMonitor, so Prometheus does not scrape the agent. Defaults to true."
            )
        ),
    ] = True
    path: Annotated[
        str, Field(pattern=r"^/", max_length=1024, description="Path of the metrics. Defaults to /metrics.")
    ] = "/metrics"
    interval: Annotated[PrometheusDuration, Field(description="Time between two scrapes. Defaults to 30s.")] = "30s"
    timeout: Annotated[
        PrometheusDuration, Field(description="Maximum time for a scrape, at most interval. Defaults to 10s.")
    ] = "10s"


class Logging(ApiModel):
    level: Annotated[
        Literal["debug", "info", "warn", "error"],
        Field(description="Least severe level that the container should log. Defaults to info."),
    ] = "info"
    format: Annotated[
        Literal["json", "text"], Field(description="Format of the container's log lines. Defaults to json.")
    ] = "json"
    trace_context: Annotated[
        bool, Field(description="Whether the container's log lines should contain the trace context. Defaults to true.")
    ] = True


class Observability(ApiModel):
    tracing: Annotated[
        Tracing | None,
        Field(description="Traces of the agent. If it is not set, the container gets no settings for traces."),
    ] = None
    metrics: Annotated[
        Metrics | None, Field(description="Metrics of the agent. If it is not set, the agent is not scraped.")
    ] = None
    logging: Annotated[
        Logging | None,
        Field(description="Logs of the agent. If it is not set, the container gets no settings for logs."),
    ] = None


class EventControls(ApiModel):
    allow_event_disable: Annotated[
        bool, Field(description="Whether events may disable the agent. Not implemented. Defaults to false.")
    ] = False
    control_event_types: Annotated[
        list[EventType],
        Field(
            max_length=64,
            description=(
                "CloudEvents types of such events. Not implemented. Defaults to io.homelab.rbac.disable and"
                " io.homelab.rbac.enable."
            ),
        ),
    ] = ["io.homelab.rbac.disable", "io.homelab.rbac.enable"]
    allowed_control_sources: Annotated[
        list[Annotated[str, Field(max_length=1024)]],
        Field(max_length=256, description="CloudEvents sources of such events. Not implemented."),
    ] = []


class Permissions(ApiModel):
    disable_broker_creation: Annotated[
        bool,
        Field(
            description=(
                "States that the agent's ServiceAccount should not create Brokers. Shown in status, but not enforced."
                " Defaults to false."
            )
        ),
    ] = False
    disable_trigger_creation: Annotated[
        bool,
        Field(
            description=(
                "States that the agent's ServiceAccount should not create Triggers. Shown in status, but not"
                " enforced. Defaults to false."
            )
        ),
    ] = False
    disable_function_creation: Annotated[
        bool,
        Field(
            description=(
                "States that the agent's ServiceAccount should not create functions. Shown in status, but not"
                " enforced. Defaults to false."
            )
        ),
    ] = False
    allowed_target_namespaces: Annotated[
        list[Annotated[str, Field(max_length=63)]],
        Field(
            max_length=256,
            description="Namespaces to which the agent may forward events, besides its own; '*' means all.",
        ),
    ] = []
    event_controls: Annotated[
        EventControls | None, Field(description="Control of the agent by events. Not implemented.")
    ] = None
