"""Events out: a Trigger's delivery to an agent's container, and the sink for what nobody could take.

The senders are brokers. Theirs is: 2xx and other 4xx are the end of an event, 5xx and 429 mean again (facts on
Knative, section 6). So an event that cannot ever be delivered is buried here and answered 202, and only what may work
later is a 503. Never a 400: the broker would drop the event without a word.
"""

from math import ceil

from aiohttp import web

from lambdaagent.agents.callee import DEFAULT_TIMEOUT
from lambdaagent.agents.deliveries import deliver
from lambdaagent.events.capability import Use
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.delivery import Verdict
from lambdaagent.events.errors import EventError
from lambdaagent.gateway import bodies, capabilities, ingress, problems
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.problems import RETRY_AFTER, ProblemError
from lambdaagent.gateway.services import ROUTE, SERVICES, Services
from lambdaagent.store.records import DeadLetter

_ATTRIBUTES, _VALUE = 64, 4096  # kept of a letter that is no event


async def to_agent(request: web.Request) -> web.Response:
    request[ROUTE] = "events-to"
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
    body = await bodies.whole(request)
    try:
        events = ingress.parse(request, body)
    except EventError as error:
        await _bury_raw(request, services, body, agent=agent, reason=str(error))
        return web.Response(status=202)
    for event in events:
        await _deliver(services, entry, event)
    return web.Response(status=202)


async def dead_letters(request: web.Request) -> web.Response:
    request[ROUTE] = "events-dead-letters"
    services = request.app[SERVICES]
    capabilities.require(request, use=Use.DEAD_LETTERS, agent="")
    body = await bodies.whole(request)
    try:
        events = ingress.parse(request, body)
    except EventError as error:
        await _bury_raw(request, services, body, agent="", reason=str(error))
        return web.Response(status=202)
    for event in events:
        code = event.extensions.get("knativeerrorcode")
        where = event.extensions.get("knativeerrordest")
        reason = f"not delivered to {where} (last answer: {code})" if where else "not delivered"
        await _bury(services, event, namespace=request.match_info["namespace"], agent="", reason=reason)
    return web.Response(status=202)


async def _deliver(services: Services, entry: Entry, event: Event) -> None:
    """Returns once the event is delivered or buried; raises ProblemError where it is worth another try."""
    namespace, name = entry.key
    if entry.callee.target is None:
        raise problems.not_ready(entry.agent.key, why=entry.why_not)
    done = await deliver(services.client, entry.callee.target, event, timeout=DEFAULT_TIMEOUT, now=services.clock.now())
    match done.verdict:
        case Verdict.AGAIN:
            services.metrics.ingress("retried")
            headers = {"Retry-After": str(ceil(done.retry_after))} if done.retry_after else RETRY_AFTER
            raise ProblemError(503, "not-delivered", f"The event was not delivered: {done.reason}.", headers=headers)
        case Verdict.REFUSED:
            await _bury(services, event, namespace=namespace, agent=name, reason=done.reason)
            return
    services.metrics.ingress("delivered")
    if done.bad_reply:
        services.metrics.ingress("bad-reply")
    # An event in the answer is the agent's own, as if it had come through its K_SINK.
    for reply in done.replies:
        await services.tasks.advance(reply, namespace=namespace, agent=name)
    if done.replies:
        await ingress.publish(services, done.replies, exchange=services.exchanges.agent(entry.agent))


async def _bury(services: Services, event: Event, *, namespace: str, agent: str, reason: str) -> None:
    letter = DeadLetter(
        namespace=namespace,
        agent=agent,
        reason=reason,
        received=services.clock.now(),
        attributes=event.attributes(),
        data=event.data,
    )
    services.metrics.ingress("buried" if await services.letters.bury(letter) else "buried-before")


async def _bury_raw(request: web.Request, services: Services, body: bytes, *, agent: str, reason: str) -> None:
    """What is not even an event: the headers that wanted to make it one, and the bytes."""
    kept = [(name.lower(), value) for name, value in request.headers.items()]
    attributes = {
        name.removeprefix("ce-")[:64]: value.encode("utf-8", "replace").decode()[:_VALUE]
        for name, value in kept[:_ATTRIBUTES]
        if name.startswith("ce-") or name == "content-type"
    }
    letter = DeadLetter(
        namespace=request.match_info["namespace"],
        agent=agent,
        reason=reason,
        received=services.clock.now(),
        attributes=attributes,
        data=body,
    )
    await services.letters.bury(letter)
    services.metrics.ingress("buried")
