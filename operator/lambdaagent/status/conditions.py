"""Decides each condition of a LambdaAgent from what was planned, applied and observed.

Ready = SpecValid and ServingReady and EventingReady. The other conditions inform. A condition without a subject (no
forwards, no A2A) is left out. Messages name cause and next step and no time, which would change status again and again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children import brokers, gateway, knative, monitoring, sidecar, triggers
from lambdaagent.children.base import Object
from lambdaagent.children.forwards import FINE
from lambdaagent.children.plan import Plan
from lambdaagent.settings import Installation
from lambdaagent.status.ai import Answer
from lambdaagent.status.causes import TOPOLOGY_OPERATOR, Cause
from lambdaagent.status.external import ExternalAnswer
from lambdaagent.status.readiness import Readiness, of_deployment, of_knative, serving_meanwhile
from lambdaagent.status.tools import Answers

NO_BACKEND = "NoEventingBackend"
# Reasons of a Broker or Trigger that waits for an object of RabbitMQ's topology operator.
_OF_TOPOLOGY = frozenset(
    {"ExchangeFailure", "DLXFailure", "QueueFailure", "DeadLetterSinkFailure", "BindingFailure", "PolicyFailure"}
)
ChildKey = tuple[str, str, str]  # apiVersion, kind, name
DEPLOYMENT = ("apps/v1", "Deployment")


@dataclass(frozen=True, slots=True)
class ApplyFailure:
    """A child that could not be applied. If `permanent`, it fails until somebody changes something."""

    reason: str
    message: str
    permanent: bool = True


@dataclass(frozen=True, slots=True)
class World:
    """The observed state after applying the plan: the live children and the failures."""

    live: Mapping[ChildKey, Object] = field(default_factory=dict)
    failures: Mapping[ChildKey, ApplyFailure] = field(default_factory=dict)
    # Why the workload is not ready, according to pods, ReplicaSets and Revisions.
    workload: Cause | None = None
    # The last result of probing the agent's AI endpoint.
    ai: Answer | None = None
    # Why the Broker is not ready, according to RabbitMQ's topology operator.
    broker: Cause | None = None
    # The last answers of the agent's tool servers.
    tools: Answers = field(default_factory=dict)
    # The last answer of the server of an external agent.
    external: ExternalAnswer | None = None


def serving_ready(agent: LambdaAgent, plan: Plan, world: World) -> Readiness:
    kind = knative.SERVICE if plan.backends.serving == "knative" else DEPLOYMENT
    key = (*kind, agent.name)
    if failure := world.failures.get(key):
        return _failed(key, failure)
    if plan.awaited:
        broker = plan.awaited
        message = f"the workload needs the address of Broker {broker.name} for K_SINK; see EventingReady"
        return Readiness("False", "AwaitingBroker", message)
    live = world.live.get(key)
    if live is None:
        return Readiness("Unknown", "NotCreated", f"{kind[1]} {agent.name} does not exist yet")
    if kind == DEPLOYMENT:
        service = ("v1", "Service", agent.name)
        if failure := world.failures.get(service):
            return _failed(service, failure)
        return _explained(of_deployment(live), live, world.workload)
    return _explained(of_knative(live, controller="Knative Serving"), live, world.workload)


def _explained(found: Readiness, live: Object, cause: Cause | None) -> Readiness:
    """Return the readiness with the cause from pods or Revisions, unless the report is about an older generation."""
    if found.status == "True" or found.reason == "AwaitingController":
        return found
    serving = serving_meanwhile(live)
    rest = f"; {serving} keeps serving" if serving else ""
    if cause is None:
        return replace(found, message=f"{found.message}{rest}")
    return Readiness(cause.status, cause.reason, f"{live['kind']} {live['metadata']['name']}: {cause.message}{rest}")


def eventing_ready(agent: LambdaAgent, plan: Plan, world: World) -> Readiness | None:
    """Return the condition; None on plain RabbitMQ, where the dispatcher writes it."""
    if plan.broker is None:
        return Readiness("True", "NotRequested", "spec.eventing is absent or disabled")
    if plan.backends.eventing == "rabbitmq":
        return None
    if plan.backends.eventing == "none":
        message = (
            "this installation has no eventing backend; install Knative Eventing with its RabbitMQ broker, or set"
            " dispatcher.enabled=true and a RabbitMQ in the chart's values, or disable spec.eventing"
        )
        return Readiness("False", NO_BACKEND, message)
    wanted = [
        child for child in plan.children if child.kind in (brokers.BROKER_CONFIG, brokers.BROKER, triggers.TRIGGER)
    ]
    states: list[Readiness] = []
    for child in wanted:
        key = (*child.kind, child.name)
        live = world.live.get(key)
        if failure := world.failures.get(key):
            states.append(_failed(key, failure))
        elif live is None:
            states.append(Readiness("Unknown", "NotCreated", f"{key[1]} {key[2]} does not exist yet"))
        elif child.kind != brokers.BROKER_CONFIG:  # it has no status
            state = of_knative(live, controller="the RabbitMQ Broker controller of Knative Eventing")
            if child.kind == brokers.BROKER and state.status != "True" and world.broker:
                state = Readiness(world.broker.status, world.broker.reason, f"{state.message}; {world.broker.message}")
            elif state.status != "True" and state.reason in _OF_TOPOLOGY:
                message = f"{state.message}; if this persists, check that {TOPOLOGY_OPERATOR} runs"
                state = replace(state, message=message)
            states.append(state)
    return _worst(states) or Readiness(
        "True", "Ready", f"Broker {plan.broker.name} and {_count(plan)} Triggers are ready"
    )


def _count(plan: Plan) -> int:
    return sum(child.kind == triggers.TRIGGER for child in plan.children)


def forwards_resolved(plan: Plan) -> Readiness | None:
    if not plan.forwards:
        return None
    wrong = [decision for decision in plan.forwards if decision.verdict not in FINE]
    if not wrong:
        return Readiness("True", "Resolved", _limit([decision.message for decision in plan.forwards]))
    return Readiness("False", wrong[0].verdict, _limit([decision.message for decision in wrong]))


def a2a_ready(
    agent: LambdaAgent, plan: Plan, world: World, installation: Installation, serving: Readiness
) -> Readiness | None:
    """Return the condition. `serving` is the agent's ServingReady, because a sidecar runs in the agent's pods."""
    if not agent.spec.a2a or not agent.spec.a2a.enabled:
        return None
    if sidecar.asked(agent):
        return _sidecar(agent, plan, world, installation, serving)
    service = gateway.a2a_service(agent, installation)
    if service is None:
        message = "no gateway is installed; install it or set LAMBDAAGENT_GATEWAY_URL"
        return Readiness("False", "NoGateway", message)
    key = ("v1", "Service", service["metadata"]["name"])
    if failure := world.failures.get(key):
        return _failed(key, failure)
    return Readiness("True", "Served", f"served by the gateway at {gateway.a2a_url(agent, installation)}")


def _sidecar(agent: LambdaAgent, plan: Plan, world: World, installation: Installation, serving: Readiness) -> Readiness:
    if not installation.gateway_image:
        message = "no image for the sidecar is configured; set LAMBDAAGENT_GATEWAY_IMAGE, or use a2a.mode gateway"
        return Readiness("False", "NoGatewayImage", message)
    # Without `scaling`, others may scale the Deployment.
    pods = (world.live.get((*DEPLOYMENT, agent.name), {}).get("spec") or {}).get("replicas", 1)
    if pods > 1 or not sidecar.tasks_are_shared(agent, knative=plan.backends.serving == "knative"):
        message = (
            "each pod keeps its own tasks, and there may be none or several; set scaling.minReplicas and"
            " maxReplicas to 1, or use a2a.mode gateway"
        )
        return Readiness("False", "TasksNotShared", message)
    if serving.status != "True":
        return Readiness(serving.status, "AwaitingServing", "the sidecar is in the agent's pods; see ServingReady")
    return Readiness("True", "Served", f"served by the sidecar at {gateway.a2a_url(agent, installation)}")


def monitoring_ready(plan: Plan, world: World) -> Readiness | None:
    keys = [(*child.kind, child.name) for child in plan.children if child.kind == monitoring.SERVICE_MONITOR]
    if not keys:
        return None
    failed = [_failed(key, world.failures[key]) for key in keys if key in world.failures]
    return failed[0] if failed else Readiness("True", "Ready", f"ServiceMonitor {keys[0][2]}")


def _failed(key: ChildKey, failure: ApplyFailure) -> Readiness:
    return Readiness("False", failure.reason, f"{key[1]} {key[2]}: {failure.message}")


def _worst(states: list[Readiness]) -> Readiness | None:
    """Return the worst state, failures before unknown ones, with the messages of all states of that kind."""
    for status in ("False", "Unknown"):
        found = [state for state in states if state.status == status]
        if found:
            return Readiness(found[0].status, found[0].reason, _limit([state.message for state in found]))
    return None


def _limit(messages: list[str], most: int = 5) -> str:
    more = len(messages) - most
    return "; ".join(messages[:most]) + (f"; and {more} more" if more > 0 else "")
