"""Handlers for a Trigger's delivery of an event to an agent's container, and for the sink of dead letters.

The senders are brokers. They deliver an event again after a 5xx or 429 response, and drop it after a 2xx or any other
4xx. So an event that can never be delivered is stored as a dead letter and answered with
202, and one that may be delivered later is answered with 503. An event is not refused with 400, because the broker
would drop it silently.
"""

from math import ceil

from aiohttp import web

from lambdaagent.api.skills import Skill
from lambdaagent.children import sidecar
from lambdaagent.children.async_calls import AGENT, correlated, undelivered
from lambdaagent.containers.call import NotTakenError
from lambdaagent.containers.callee import DEFAULT_TIMEOUT
from lambdaagent.containers.deliver_event import deliver
from lambdaagent.errors import PermanentError, TemporaryError
from lambdaagent.events.capability import Use
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import NO_ANSWER
from lambdaagent.events.errors import EventError
from lambdaagent.events.event_urls import agent_of, hide
from lambdaagent.events.retry import ATTEMPTED, RetryDecision, number
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.events import capabilities, ingress
from lambdaagent.gateway.http import bodies, problems
from lambdaagent.gateway.http.problems import RETRY_AFTER, ProblemError
from lambdaagent.gateway.services import SERVICES, Services
from lambdaagent.httpclient.codings import UnknownCodingError
from lambdaagent.store.records import DeadLetter
from lambdaagent.tasks.active_task import EventOutcome

_ATTRIBUTES, _VALUE = 64, 4096  # headers, and characters of a value, that are kept of an unreadable event


async def to_agent(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    namespace, agent = request.match_info["namespace"], request.match_info["agent"]
    capabilities.require(request, use=Use.TO, agent=agent)
    entry = services.directory.get(namespace, agent)
    if entry is None:
        raise ProblemError(
            503, "unknown-agent", f"There is no agent {agent!r} in {namespace!r} now.", headers=RETRY_AFTER
        )
    if not entry.ready:
        raise problems.not_ready(entry.agent.key, why=entry.why_not)
    events = await _events(request, services, agent=agent)
    for event in events:
        skill = entry.calls.skill(event)
        if skill is None or await _call(services, entry, event, skill) is EventOutcome.FOREIGN:
            await _deliver(services, entry, event)
    return web.Response(status=202)


async def dead_letters(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    capabilities.require(request, use=Use.DEAD_LETTERS, agent="")
    events = await _events(request, services, agent="")
    for event in events:
        namespace, code = request.match_info["namespace"], event.extensions.get("knativeerrorcode")
        where = str(event.extensions.get("knativeerrordest", ""))
        reason = f"not delivered to {hide(where)} (last answer: {code})" if where else "not delivered"
        owner, _, agent = agent_of(where).partition("/")
        # The dead letter is stored first. If the task cannot advance, the broker delivers again, and both are repeated.
        await _bury(
            services,
            event,
            namespace=namespace,
            agent=agent if owner == namespace else "",
            reason=reason,
            code=number(code, otherwise=NO_ANSWER),
            destination=where,
        )
        if (told := undelivered(event, reason)) is not None:
            await services.tasks.advance(told, namespace=namespace, agent=str(event.extensions[AGENT]))
    return web.Response(status=202)


async def _events(request: web.Request, services: Services, *, agent: str) -> list[Event]:
    """Return the delivered events. A body that cannot be read is stored as a dead letter, and the list is empty."""
    sent = await bodies.as_sent(request)
    try:
        return await ingress.parse(request, await bodies.decoded(request, sent))
    except (EventError, UnknownCodingError, bodies.BrokenError) as error:
        reason = str(error)
    except web.HTTPRequestEntityTooLarge:
        reason = f"the decoded body is over the limit of {services.config.max_body} bytes"
    await _bury_raw(request, services, sent, agent=agent, reason=reason)
    return []


async def _call(services: Services, entry: Entry, event: Event, skill: Skill) -> EventOutcome:
    """Call a skill for an event; the task gets the result. FOREIGN: the event is not a call.

    Raises ProblemError (503) if the broker should deliver the call again.
    """
    try:
        outcome = await services.tasks.take(event, callee=entry.callee, skill=skill)
    except NotTakenError as error:
        services.metrics.ingress("retried")
        headers = {"Retry-After": str(ceil(error.after))} if error.after else RETRY_AFTER
        raise ProblemError(503, "not-delivered", f"The call was not accepted: {error}.", headers=headers) from error
    except TemporaryError as error:
        services.metrics.ingress("not-attempted")
        headers = RETRY_AFTER | {ATTEMPTED: "no"}
        raise ProblemError(503, "not-attempted", f"The call cannot be made now: {error}.", headers=headers) from error
    except PermanentError as error:
        namespace, name = entry.key
        await _bury(services, event, namespace=namespace, agent=name, reason=str(error))
        return EventOutcome.ENDED
    if outcome is not EventOutcome.FOREIGN:
        services.metrics.ingress("called" if outcome is EventOutcome.ADVANCED else "called-before")
    return outcome


async def _deliver(services: Services, entry: Entry, event: Event) -> None:
    """Return when the event is delivered or stored as a dead letter.

    Raises ProblemError (503) if the broker should deliver it again.
    """
    namespace, name = entry.key
    if entry.callee.target is None:
        raise problems.not_ready(entry.agent.key, why=entry.why_not)
    done = await deliver(
        services.client,
        entry.callee.target,
        event,
        path=sidecar.delivery_path(entry.agent, services.config.keys),
        timeout=DEFAULT_TIMEOUT,
        now=services.clock.now(),
    )
    match done.verdict:
        case RetryDecision.AGAIN:
            services.metrics.ingress("retried")
            headers = {"Retry-After": str(ceil(done.retry_after))} if done.retry_after else RETRY_AFTER
            raise ProblemError(503, "not-delivered", f"The event was not delivered: {done.reason}.", headers=headers)
        case RetryDecision.REFUSED:
            await _bury(
                services,
                event,
                namespace=namespace,
                agent=name,
                reason=done.reason,
                code=NO_ANSWER if done.status is None else done.status,
                destination=str(entry.callee.target),
                attempts=1,
            )
            return
    services.metrics.ingress("delivered")
    if done.bad_reply:
        services.metrics.ingress("bad-reply")
    # An event in the response is treated like one that the agent posts to its K_SINK.
    replies = [correlated(reply, event) for reply in done.replies]
    for reply in replies:
        await services.tasks.advance(reply, namespace=namespace, agent=name)
    if replies:
        await ingress.publish(services, replies, exchange=services.exchanges.agent(entry.agent))


async def _bury(
    services: Services,
    event: Event,
    *,
    namespace: str,
    agent: str,
    reason: str,
    code: int = NO_ANSWER,
    destination: str = "",
    attempts: int = 0,
) -> None:
    letter = DeadLetter(
        namespace=namespace,
        agent=agent,
        reason=reason,
        received=services.clock.now(),
        attributes=event.attributes(),
        data=event.data,
        code=code,
        destination=destination,
        attempts=attempts,
    )
    services.metrics.ingress("buried" if await services.letters.add_dead_letter(letter) else "buried-before")


async def _bury_raw(request: web.Request, services: Services, body: bytes, *, agent: str, reason: str) -> None:
    """Store a request that is not a readable event, as a dead letter of its event headers and its body."""
    kept = [(name.lower(), value) for name, value in request.headers.items()]
    attributes = {
        name.removeprefix("ce-")[:64]: value.encode("utf-8", "replace").decode()[:_VALUE]
        for name, value in kept[:_ATTRIBUTES]
        if name.startswith("ce-") or name in ("content-type", "content-encoding")
    }
    letter = DeadLetter(
        namespace=request.match_info["namespace"],
        agent=agent,
        reason=reason,
        received=services.clock.now(),
        attributes=attributes,
        data=body,
    )
    await services.letters.add_dead_letter(letter)
    services.metrics.ingress("buried")
