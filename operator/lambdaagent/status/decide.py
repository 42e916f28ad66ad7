"""Decides the whole status of an agent as a pure function. An absent condition has no subject or another writer."""

from dataclasses import dataclass
from datetime import datetime

from lambdaagent.a2a import cards, well_known
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.ai import Ai
from lambdaagent.api.validation import SpecProblem
from lambdaagent.children import brokers, gateway, triggers
from lambdaagent.children.base import Object
from lambdaagent.children.plan import Plan
from lambdaagent.children.warnings import bounded
from lambdaagent.clock import rfc3339
from lambdaagent.settings import Installation
from lambdaagent.status import conditions, external, tools
from lambdaagent.status.access import access_enforced
from lambdaagent.status.ai import ai_ready
from lambdaagent.status.conditions import DEPLOYMENT, World
from lambdaagent.status.readiness import Readiness, condition, of_knative

OPERATOR_CONDITIONS = frozenset(
    {
        "Ready",
        "SpecValid",
        "ServingReady",
        "CardAccepted",
        "A2AReady",
        "AccessEnforced",
        "ForwardsResolved",
        "AIReady",
        "ToolsResolved",
        "MonitoringReady",
    }
)
# Conditions of an earlier operator, which are no longer updated.
LEGACY_CONDITIONS = frozenset({"Eventing", "Monitoring"})
_OF_WHAT_RUNS = ("serviceStatus", "eventingStatus", "a2aStatus")
GATES = ("SpecValid", "ServingReady", "EventingReady")


def invalid(agent_obj: Object, problems: list[SpecProblem], *, now: datetime) -> Object:
    """Return the status of an object that breaks the API's rules: nothing is applied, and what runs is not changed."""
    message = "; ".join(map(str, problems[:10]))
    states = {
        "Ready": Readiness("False", "SpecInvalid", message),
        "SpecValid": Readiness("False", "SpecInvalid", message),
    }
    metadata, before = agent_obj["metadata"], agent_obj.get("status") or {}
    return {name: before[name] for name in _OF_WHAT_RUNS if name in before} | {
        "phase": "Failed",
        "observedGeneration": metadata.get("generation", 0),
        "conditions": _conditions(states, metadata.get("generation", 0), before, now),
    }


def deleting(agent_obj: Object, *, remaining: list[str], now: datetime) -> Object:
    generation = agent_obj["metadata"].get("generation", 0)
    message = f"waiting until {', '.join(remaining[:5])} is deleted" if remaining else "the children are deleted"
    states = {"Ready": Readiness("False", "Deleting", message)}
    return {
        "phase": "Deleting",
        "observedGeneration": generation,
        "conditions": _conditions(states, generation, agent_obj.get("status") or {}, now),
    }


def status(
    agent: LambdaAgent,
    *,
    previous: Object,
    plan: Plan,
    world: World,
    installation: Installation,
    now: datetime,
    dispatcher_spoke: bool = False,
) -> Object:
    """Return the status. `previous` is the present status: unchanged conditions keep their transition time.

    `dispatcher_spoke`: EventingReady in `previous` was written by the dispatcher, which owns it on plain RabbitMQ.
    """
    serving = (
        external.serving_ready(agent, world.external, previous=previous)
        if agent.external is not None
        else conditions.serving_ready(agent, plan, world)
    )
    states: dict[str, Readiness | None] = {
        "SpecValid": Readiness("True", "Valid", ""),
        "ServingReady": serving,
        "EventingReady": conditions.eventing_ready(agent, plan, world),
        "CardAccepted": external.card_accepted(agent, world.external, previous=previous),
        "A2AReady": conditions.a2a_ready(agent, plan, world, installation, serving),
        "AccessEnforced": access_enforced(agent, installation, plan, world),
        "ForwardsResolved": conditions.forwards_resolved(plan),
        "AIReady": ai_ready(agent.spec.ai, world.ai),
        "ToolsResolved": tools.tools_resolved(
            agent, world.tools, domain=installation.cluster_domain, previous=previous
        ),
        "MonitoringReady": conditions.monitoring_ready(plan, world),
    }
    foreign = condition(previous, "EventingReady") if dispatcher_spoke else None
    ready = _ready(states, foreign)
    said = {"Ready": ready} | {kind: state for kind, state in states.items() if state}
    generation = agent.metadata.generation
    out: Object = {
        "phase": _phase(ready, said, plan, world),
        "observedGeneration": generation,
        "conditions": _conditions(said, generation, previous, now),
        "serviceStatus": _service(agent, plan, world, installation, said["ServingReady"]),
    }
    if plan.warnings:
        out["warnings"] = [warning.model_dump() for warning in bounded(plan.warnings)]
    if plan.broker:
        out["eventingStatus"] = _eventing(plan, world)
    if url := gateway.a2a_url(agent, installation):
        service = gateway.a2a_service(agent, installation)
        card = url + well_known.AGENT_CARD
        name = service["metadata"]["name"] if service else None
        version = _version(agent, previous, serving)
        listed = external.card(agent, world.external, previous=previous)
        out["a2aStatus"] = _without_none(
            {"serviceName": name, "url": url, "cardUrl": card, "version": version, "containerCard": listed}
        )
    if ai := agent.spec.ai:
        out["aiStatus"] = _ai(ai, said.get("AIReady"))
    if agent.spec.tools:
        domain, before = installation.cluster_domain, previous.get("tools") or []
        out["tools"] = tools.shown(agent, world.tools, domain=domain, previous=before, now=now)
    if permissions := agent.spec.permissions:
        out["permissionStatus"] = {
            "brokerCreationDisabled": permissions.disable_broker_creation,
            "triggerCreationDisabled": permissions.disable_trigger_creation,
            "functionCreationDisabled": permissions.disable_function_creation,
        }
    return out


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of Ready that is recorded as an Event, for `kubectl describe`."""

    reason: str
    message: str
    good: bool


def transition(before: Object, after: Object) -> Transition | None:
    """Return the change of Ready to record. None while Ready keeps its status and reason, while a rollout is in
    progress, and for an edited spec that is not ready yet."""
    old, new = condition(before, "Ready"), condition(after, "Ready")
    if new is None or (old and (old["status"], old.get("reason")) == (new["status"], new["reason"])):
        return None
    good = new["status"] == "True"
    if not good and after["phase"] not in ("Failed", "Deleting"):
        edited = before.get("observedGeneration") != after["observedGeneration"]
        if edited or not old or old["status"] != "True" or new["reason"] == "AwaitingController":
            return None
    return Transition(new["reason"], new["message"] or "the agent is ready", good or after["phase"] == "Deleting")


def _ready(states: dict[str, Readiness | None], foreign: Object | None) -> Readiness:
    missing = []
    for kind in GATES:
        state = states[kind]
        if state is None:
            said = foreign or {"status": "Unknown", "reason": "AwaitingDispatcher"}
            message = said.get("message") or "the dispatcher has not reported yet; check that it runs"
            state = Readiness(said["status"], said.get("reason", "Unknown"), message)
        if state.status != "True":
            missing.append((kind, state))
    if not missing:
        return Readiness("True", "Ready", "")
    message = "; ".join(f"{kind}: {state.message}" for kind, state in missing)
    return Readiness("False", missing[0][1].reason, message)


def _phase(ready: Readiness, said: dict[str, Readiness], plan: Plan, world: World) -> str:
    if ready.status == "True":
        return "Ready"
    if said["ServingReady"].reason == "AwaitingBroker":
        return "Pending"
    # No controller works on it.
    if "EventingReady" in said and said["EventingReady"].reason == conditions.NO_BACKEND:
        return "Failed"
    if said["ServingReady"].status == "False" or any(failure.permanent for failure in world.failures.values()):
        return "Failed"
    return "Deploying"


def _conditions(states: dict[str, Readiness], generation: int, previous: Object, now: datetime) -> list[Object]:
    out = []
    for kind, state in states.items():
        before = condition(previous, kind)
        same = before is not None and before.get("status") == state.status and before.get("lastTransitionTime")
        stamp = before["lastTransitionTime"] if before and same else rfc3339(now)
        out.append(
            {
                "type": kind,
                "status": state.status,
                "reason": state.reason,
                "message": state.message[:32768],
                "observedGeneration": generation,
                "lastTransitionTime": stamp,
            }
        )
    return out


def _service(agent: LambdaAgent, plan: Plan, world: World, installation: Installation, serving: Readiness) -> Object:
    ready = serving.status == "True"
    if agent.external is not None:
        return {"ready": ready}  # without the URL: processes dial that one unchecked
    if plan.backends.serving == "kubernetes":
        exists = (*DEPLOYMENT, agent.name) in world.live
        url = f"http://{agent.name}.{agent.namespace}.svc.{installation.cluster_domain}" if exists else None
        return _without_none({"serviceName": agent.name, "url": url, "ready": ready})
    live = world.live.get(("serving.knative.dev/v1", "Service", agent.name), {}).get("status") or {}
    # The address inside the cluster: `status.url` is for clients outside and may not resolve inside.
    url = (live.get("address") or {}).get("url")
    values = {
        "serviceName": agent.name,
        "url": url,
        "ready": ready,
        "latestRevision": live.get("latestReadyRevisionName"),
    }
    return _without_none(values)


def _version(agent: LambdaAgent, previous: Object, serving: Readiness) -> str | None:
    """Return the version that served last; None if none has served."""
    if serving.status == "True":
        return cards.version_of_spec(agent) or None
    known: str | None = (previous.get("a2aStatus") or {}).get("version")
    return known


def _ai(ai: Ai, ready: Readiness | None) -> Object:
    available = {"ModelAvailable": True, "ModelNotFound": False}.get(ready.reason) if ready else None
    values = {
        "provider": ai.provider,
        "endpoint": ai.endpoint,
        "activeModel": ai.model,
        "modelAvailable": available,
        "error": ready.message if ready and ready.status == "False" else None,
    }
    return _without_none(values)


def _eventing(plan: Plan, world: World) -> Object:
    if plan.broker is None:
        return {}
    live = world.live.get((*brokers.BROKER, plan.broker.name), {})
    ready = of_knative(live, controller="").status == "True" if live else False
    own = [child for child in plan.children if child.kind == triggers.TRIGGER]
    forwards = sum(child.obj["metadata"]["labels"]["app.kubernetes.io/component"] == "trigger-forward" for child in own)
    url = ((live.get("status") or {}).get("address") or {}).get("url")
    values = {
        "brokerName": plan.broker.name,
        "brokerReady": ready,
        "brokerUrl": url,
        "triggerCount": len(own),
        "forwardCount": forwards,
    }
    return _without_none(values)


def _without_none(values: Object) -> Object:
    return {name: value for name, value in values.items() if value is not None}
