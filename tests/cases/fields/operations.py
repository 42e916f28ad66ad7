"""Fields of observability and permissions."""

from tests.cases.effects import Child, Env, Forwarded, Status, Warned
from tests.cases.fields.rows import FORWARD, NOT_SUPPORTED, Row, row

from lambdaagent.children.warning_reasons import WarningReason

_METRICS = "spec/endpoints/0"
OPERATIONS = [
    row("observability.tracing.enabled", False, Env("OTEL_TRACES_EXPORTER", "none")),
    row("observability.tracing.endpoint", "tempo:4317", Env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://tempo:4317")),
    row(
        "observability.metrics.enabled",
        False,
        Child("ServiceMonitor", "kind", None),
        Env("METRICS_EXEMPLARS", None),
    ),
    row("observability.metrics.exemplars", False, Env("METRICS_EXEMPLARS")),
    row("observability.metrics.serviceMonitor", False, Child("ServiceMonitor", "kind", None)),
    row("observability.metrics.path", "/own", Child("ServiceMonitor", f"{_METRICS}/path")),
    row("observability.metrics.interval", "1m", Child("ServiceMonitor", f"{_METRICS}/interval")),
    row("observability.metrics.timeout", "5s", Child("ServiceMonitor", f"{_METRICS}/scrapeTimeout")),
    row("observability.logging.level", "debug", Env("LOG_LEVEL")),
    row("observability.logging.format", "text", Env("LOG_FORMAT")),
    row("observability.logging.traceContext", False, Env("LOG_TRACE_CONTEXT")),
    *[
        row(
            f"permissions.disable{what}Creation",
            True,
            Warned(WarningReason.NOT_ENFORCED),
            Status(f"permissionStatus/{what.lower()}CreationDisabled"),
        )
        for what in ("Broker", "Trigger", "Function")
    ],
    row(
        "permissions.allowedTargetNamespaces",
        ["finance"],
        Forwarded(["Resolved"]),
        eventing={"forwards": [FORWARD]},
    ),
    *[
        Row(f"permissions.eventControls.{name}", value, (NOT_SUPPORTED,), {}, bare=True)
        for name, value in {
            "allowEventDisable": True,
            "controlEventTypes": ["stop"],
            "allowedControlSources": ["/boss"],
        }.items()
    ],
]
