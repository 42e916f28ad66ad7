"""Prometheus metrics. Label values are constants of this code, such as a route's name, and never a path or an id.

The ids of the database's keys are the exception; their number is bounded.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from lambdaagent.a2a.states import TaskState
from lambdaagent.tasks.active_task import EventOutcome

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class _Requests(Collector):
    """Counts in plain dicts, because every request passes here, and builds the metrics when they are collected."""

    def __init__(self) -> None:
        self.codes: dict[tuple[str, int], int] = {}
        self.seconds: dict[str, tuple[list[int], list[float]]] = {}

    def collect(self) -> Iterator[Metric]:
        counted = CounterMetricFamily(
            "lambdaagent_gateway_requests", "Requests by route and status", labels=["route", "code"]
        )
        for (route, code), number in self.codes.items():
            counted.add_metric([route, str(code)], number)
        yield counted
        timed = HistogramMetricFamily(
            "lambdaagent_gateway_request_seconds", "Time until the response was ready", labels=["route"]
        )
        for route, (buckets, total) in self.seconds.items():
            below, shown = 0, []
            for bound, number in zip([*map(str, _BUCKETS), "+Inf"], buckets, strict=True):
                below += number
                shown.append((bound, below))
            timed.add_metric([route], shown, total[0])
        yield timed


class _Decisions(Collector):
    """Counts in a plain dict too: most requests are decided about."""

    def __init__(self) -> None:
        self.counts: dict[tuple[bool, str], int] = {}

    def collect(self) -> Iterator[Metric]:
        kinds: dict[tuple[str, str], int] = {}
        for (allowed, rule), number in self.counts.items():
            # A grant's position in the agent is no part of the label.
            kind = ("allow" if allowed else "forbid", rule.partition("[")[0])
            kinds[kind] = kinds.get(kind, 0) + number
        counted = CounterMetricFamily(
            "lambdaagent_gateway_access_decisions",
            "Decisions about access, by the kind of rule that decided",
            labels=["decision", "rule"],
        )
        for kind, number in kinds.items():
            counted.add_metric(kind, number)
        yield counted


class _Unreadable(Collector):
    def __init__(self, failures: Mapping[tuple[str, bool], int]) -> None:
        self._failures = failures

    def collect(self) -> Iterator[Metric]:
        counted = CounterMetricFamily(
            "lambdaagent_store_unreadable_values",
            "Values of the database that could not be decrypted, by the key's id and the cause",
            labels=["kid", "cause"],
        )
        for (kid, missing), number in list(self._failures.items()):
            counted.add_metric([kid, "key-missing" if missing else "mismatch"], number)
        yield counted


class GatewayMetrics:
    """The metrics of one process, in their own registry. It is also the task engine's observer."""

    def __init__(self, unreadable: Mapping[tuple[str, bool], int] | None = None) -> None:
        """`unreadable` counts the values that could not be decrypted, by key and whether that key is missing."""
        self.registry = CollectorRegistry()
        self.registry.register(_Unreadable(unreadable if unreadable is not None else {}))
        self._requests = _Requests()
        self.registry.register(self._requests)
        self._tasks = Counter(
            "lambdaagent_tasks_settled", "Tasks by the state they reached", ["state"], registry=self.registry
        )
        self._events = Counter(
            "lambdaagent_task_events", "Events that carried a task id, by outcome", ["outcome"], registry=self.registry
        )
        self._ingress = Counter("lambdaagent_events", "Events by outcome", ["outcome"], registry=self.registry)
        self._pushes = Counter(
            "lambdaagent_push_notifications", "Push notifications by outcome", ["outcome"], registry=self.registry
        )
        self._decisions = _Decisions()
        self.registry.register(self._decisions)
        self._errors = Counter("lambdaagent_gateway_errors", "Unexpected errors", ["where"], registry=self.registry)

    def request(self, route: str, code: int, seconds: float) -> None:
        codes = self._requests.codes
        codes[route, code] = codes.get((route, code), 0) + 1
        timed = self._requests.seconds.get(route)
        if timed is None:
            timed = self._requests.seconds[route] = ([0] * (len(_BUCKETS) + 1), [0.0])
        timed[0][bisect_left(_BUCKETS, seconds)] += 1
        timed[1][0] += seconds

    def ingress(self, outcome: str, count: int = 1) -> None:
        self._ingress.labels(outcome).inc(count)

    def decided(self, allowed: bool, rule: str) -> None:
        """`rule` may name a grant by its position, so there are as many as rules, and grants of an agent."""
        counts = self._decisions.counts
        counts[allowed, rule] = counts.get((allowed, rule), 0) + 1

    def error(self, where: str) -> None:
        self._errors.labels(where).inc()

    def settled(self, state: TaskState) -> None:
        self._tasks.labels(state.v03).inc()

    def event(self, outcome: EventOutcome) -> None:
        self._events.labels(str(outcome)).inc()

    def pushed(self, outcome: str) -> None:
        self._pushes.labels(outcome).inc()

    def crashed(self) -> None:
        self.error("tasks")

    def text(self) -> bytes:
        return generate_latest(self.registry)
