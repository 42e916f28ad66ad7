"""Prometheus metrics. Labels take only values of this code's own making: a route's name, never a path or an id."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from lambdaagent.a2a.states import TaskState
from lambdaagent.tasks.live import Outcome

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """One per process, with a registry of its own; also the task engine's observer."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "lambdaagent_gateway_requests", "Requests by route and status", ["route", "code"], registry=self.registry
        )
        self._seconds = Histogram(
            "lambdaagent_gateway_request_seconds",
            "Time until the answer was made",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._tasks = Counter(
            "lambdaagent_tasks_settled", "Tasks by the state they reached", ["state"], registry=self.registry
        )
        self._events = Counter(
            "lambdaagent_task_events", "Events that carried a task id, by outcome", ["outcome"], registry=self.registry
        )
        self._ingress = Counter(
            "lambdaagent_events", "Events by what became of them", ["outcome"], registry=self.registry
        )
        self._errors = Counter("lambdaagent_gateway_errors", "Errors nobody foresaw", ["where"], registry=self.registry)
        # `labels()` costs more than counting; routes and codes are few.
        self._by_request: dict[tuple[str, int], Counter] = {}
        self._by_route: dict[str, Histogram] = {}

    def request(self, route: str, code: int, seconds: float) -> None:
        counter = self._by_request.get((route, code))
        if counter is None:
            counter = self._by_request[route, code] = self._requests.labels(route, str(code))
            self._by_route.setdefault(route, self._seconds.labels(route))
        counter.inc()
        self._by_route[route].observe(seconds)

    def ingress(self, outcome: str, count: int = 1) -> None:
        self._ingress.labels(outcome).inc(count)

    def error(self, where: str) -> None:
        self._errors.labels(where).inc()

    def settled(self, state: TaskState) -> None:
        self._tasks.labels(state.v03).inc()

    def event(self, outcome: Outcome) -> None:
        self._events.labels(str(outcome)).inc()

    def crashed(self) -> None:
        self.error("tasks")

    def text(self) -> bytes:
        return generate_latest(self.registry)
