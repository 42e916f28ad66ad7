"""The operator's Prometheus metrics, in a registry of their own.

Gauges are computed from live objects at each scrape and not updated in parallel, so they cannot drift. The values of
labels are bounded: phases, kinds and machine-readable reasons, never names of agents.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lambdaagent.errors import LambdaAgentError, TemporaryError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Insight(Protocol):
    """The state of a leading process that the metrics and the liveness probe read."""

    def phases(self) -> Iterable[str]: ...
    def children(self) -> Iterable[str]: ...
    @property
    def depth(self) -> int: ...
    @property
    def age(self) -> float: ...


@dataclass
class OperatorMetrics:
    monotonic: Callable[[], float] = time.monotonic
    insight: Insight | None = None
    """Set while this process leads."""

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            "lambdaagent_operator_reconciles", "Reconciles by result", ["result"], registry=self.registry
        )
        self._errors = Counter(
            "lambdaagent_operator_errors", "Failed reconciles by reason", ["reason"], registry=self.registry
        )
        self._seconds = Histogram(
            "lambdaagent_operator_reconcile_seconds", "Time of a reconcile", buckets=_BUCKETS, registry=self.registry
        )
        self._told = Counter(
            "lambdaagent_operator_lifecycle_events",
            "Lifecycle events of agents by outcome",
            ["outcome"],
            registry=self.registry,
        )
        self.registry.register(_Live(self))

    @contextmanager
    def reconcile(self) -> Iterator[None]:
        """Measure one reconcile and count its result; exceptions pass through."""
        begun = self.monotonic()
        result = "done"
        try:
            yield
        except LambdaAgentError as problem:
            result = "again" if isinstance(problem, TemporaryError) else "failed"
            self._errors.labels(getattr(problem, "reason", type(problem).__name__)).inc()
            raise
        except Exception:
            result = "broken"
            self._errors.labels("Bug").inc()
            raise
        finally:
            self._seconds.observe(self.monotonic() - begun)
            self._reconciles.labels(result).inc()

    def count(self, outcome: str) -> None:
        self._told.labels(outcome).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Live(Collector):
    def __init__(self, metrics: OperatorMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        insight = self._metrics.insight
        yield GaugeMetricFamily("lambdaagent_operator_leader", "1 while this process leads", value=float(bool(insight)))
        if insight is None:
            return
        yield _counted("lambdaagent_operator_agents", "Agents by phase", "phase", insight.phases())
        yield _counted("lambdaagent_operator_children", "Objects of agents by kind", "kind", insight.children())
        yield GaugeMetricFamily(
            "lambdaagent_operator_queue_depth",
            "Agents that wait for a reconcile or are being reconciled",
            value=insight.depth,
        )
        yield GaugeMetricFamily(
            "lambdaagent_operator_watch_age_seconds",
            "Time since the watch that is silent longest received anything",
            value=insight.age,
        )


def _counted(name: str, text: str, label: str, values: Iterable[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in sorted(Tally(values).items()):
        family.add_metric([value], count)
    return family
