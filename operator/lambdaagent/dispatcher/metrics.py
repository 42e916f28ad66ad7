"""The dispatcher's Prometheus metrics, in a registry of their own. Labels hold outcomes and reasons, never names."""

from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST


@dataclass
class DispatcherMetrics:
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self._deliveries = Counter(
            "lambdaagent_dispatcher_deliveries", "Deliveries by outcome", ["outcome"], registry=self.registry
        )
        self._errors = Counter(
            "lambdaagent_dispatcher_errors", "Failures by operation", ["where"], registry=self.registry
        )
        self._deaths = Counter(
            "lambdaagent_dispatcher_dead_lettered_by_rabbitmq",
            "Events that RabbitMQ dead-lettered by itself, by reason; each replica counts all of them",
            ["reason"],
            registry=self.registry,
        )
        self._gauges = {
            "agents": Gauge("lambdaagent_dispatcher_agents", "Agents that receive events", registry=self.registry),
            "broken": Gauge(
                "lambdaagent_dispatcher_broken_agents", "Agents that are called one at a time", registry=self.registry
            ),
        }

    def delivery(self, outcome: str) -> None:
        self._deliveries.labels(outcome).inc()

    def death(self, reason: str) -> None:
        self._deaths.labels(reason).inc()

    def error(self, where: str) -> None:
        self._errors.labels(where).inc()

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Set the function that returns the gauge's value, which is called at each scrape."""
        self._gauges[name].set_function(read)

    def text(self) -> bytes:
        return generate_latest(self.registry)
