"""A small emulation of Knative's controllers, in the namespaces that a test names.

A Service gets a Configuration, a Revision per template, the Revision's Deployment, a Route and the Route's
ExternalName Service, each with the labels that Knative copies and the controller reference that it sets. A Broker gets
its Exchange, ingress and dead-letter dispatcher, a Trigger its queue and dispatcher. An object that somebody deletes is
made again. Status follows as the real controllers report it, with their refusals: a Service of the agent's name that
the Route does not own, a subscriber that does not exist, a queue of a Broker that was replaced. Pods never run: an
image with the tag `missing` has no Revision that becomes ready; all others are ready at once.

One thread watches each kind, and one thread writes, so that no two writes run at once.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException

from tests.parts.knative_eventing import Eventing
from tests.parts.knative_objects import EVENTING, SERVING, Object, Objects, path, root
from tests.parts.knative_serving import Serving
from tests.parts.rest import Rest, RestError, Watch

_WATCHED = ((SERVING, "services"), ("v1", "services"), (EVENTING, "brokers"), (EVENTING, "triggers"))
_ATTEMPTS = 5


@dataclass
class KnativeControllers:
    """The threads of the controllers; `made` and `addresses` are those of Objects and Serving."""

    rest: Rest
    # Requests that the API server refused after the last attempt.
    problems: list[str] = field(default_factory=list)
    _namespaces: set[str] = field(default_factory=set)
    _work: "queue.Queue[tuple[str, str, str, int]]" = field(default_factory=queue.Queue)
    _watches: dict[str, Watch] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        objects = Objects(self.rest)
        self.made = objects.made
        self._serving, self._eventing = Serving(objects), Eventing(objects)
        self.addresses = self._serving.addresses

    def start(self) -> None:
        for group, plural in _WATCHED:
            threading.Thread(target=self._follow, args=(group, plural), name=f"knative {plural}", daemon=True).start()
        threading.Thread(target=self._run, name="knative", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        for watch in list(self._watches.values()):
            watch.close()

    @contextlib.contextmanager
    def running(self, namespace: str) -> Iterator["KnativeControllers"]:
        """Works in this namespace, on existing objects first; at the end it asserts that there are no problems."""
        self._namespaces.add(namespace)
        try:
            for group, plural in _WATCHED:
                for item in self.rest.get(path(group, namespace, plural))["items"]:
                    self._queue(group, plural, item)
            yield self
        finally:
            self._namespaces.discard(namespace)
        assert not self.problems, self.problems

    def _follow(self, group: str, plural: str) -> None:
        where = f"{root(group)}/{plural}"
        while not self._stopped.is_set():
            # The server may be unavailable for a while.
            with contextlib.suppress(OSError, RestError, ValueError, HTTPException):
                listing = self.rest.get(where)
                for item in listing["items"]:
                    self._queue(group, plural, item)
                self._watches[where] = self.rest.watch(where, since=listing["metadata"]["resourceVersion"])
                for event in self._watches[where]:
                    self._queue(group, plural, event["object"])
            self._stopped.wait(0.1)

    def _queue(self, group: str, plural: str, item: Object) -> None:
        namespace, name = item["metadata"].get("namespace"), item["metadata"].get("name")
        if namespace in self._namespaces and name:
            self._work.put((f"{group}/{plural}", namespace, name, 0))

    def _run(self) -> None:
        while not self._stopped.is_set():
            kind, namespace, name, attempt = self._work.get()
            if namespace not in self._namespaces:
                continue
            try:
                self._kinds[kind](namespace, name)
            except (OSError, RestError) as problem:
                if isinstance(problem, RestError) and (problem.status == 404 or "being terminated" in str(problem)):
                    continue
                if attempt == _ATTEMPTS:
                    self.problems.append(str(problem))
                    continue
                threading.Timer(0.1, self._work.put, [(kind, namespace, name, attempt + 1)]).start()

    @property
    def _kinds(self) -> dict[str, Callable[[str, str], None]]:
        return {
            f"{SERVING}/services": self._serving.service,
            # The Route's own Service has the name of the Route, which is the name of the Knative Service.
            "v1/services": self._serving.service,
            f"{EVENTING}/brokers": self._eventing.broker,
            f"{EVENTING}/triggers": self._eventing.trigger,
        }
