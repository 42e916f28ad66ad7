"""Opens the places where dead letters are kept, according to the settings of the processes."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import SecretStr

from lambdaagent.cli import logs
from lambdaagent.cli.dlq.letters import Found, LetterFilter, Source, Visit
from lambdaagent.cli.printing import say
from lambdaagent.cli.processes import read_settings
from lambdaagent.dev import folders
from lambdaagent.errors import UsageError
from lambdaagent.settings import EventsSettings

_NAMESPACE = "RabbitMQ does not list its queues: name a namespace with --namespace"


async def newest(wanted: LetterFilter, limit: int | None, *, data: Path | None) -> list[Found]:
    async with _sources(wanted, data) as sources:
        found = [letter for source in sources for letter in await source.newest(wanted, limit=limit)]
    return sorted(found, key=lambda letter: letter.at, reverse=True)[:limit]


async def walk(wanted: LetterFilter, visit: Visit, *, data: Path | None) -> None:
    async with _sources(wanted, data) as sources:
        for source in sources:
            await source.walk(wanted, visit)


@contextlib.asynccontextmanager
async def _sources(wanted: LetterFilter, data: Path | None) -> AsyncIterator[list[Source]]:
    """Yield the places where letters with the wanted ids may be. Raises UsageError if a place is not configured.

    `data` is the folder of a `dev`. Without it, the default folder is used if the settings name no place.
    """
    settings = read_settings(EventsSettings)
    folder = data or folders.default(
        unless=settings.amqp_url.get_secret_value() or settings.database.get_secret_value()
    )
    if folder is not None:
        database_file, url = str(folders.database(folder)), folders.address(folder)
        settings = settings.model_copy(
            update={"database": SecretStr(database_file), "events_url": url, "event_keys": SecretStr("")}
        )
    logs.configure(level="warning", form="text")
    amqp, database = settings.amqp_url.get_secret_value(), settings.database.get_secret_value()
    prefixes = {letter_id.partition("-")[0] for letter_id in wanted.ids} or {"q", "s"}
    if unknown := prefixes - {"q", "s"}:
        raise UsageError(f"{', '.join(sorted(unknown))}: IDs begin with q- or s-, as `list` prints them")
    if wanted.ids and "q" in prefixes and not amqp:
        raise UsageError("dead letters with q- IDs are in RabbitMQ: set LAMBDAAGENT_AMQP_URL")
    if wanted.ids and "s" in prefixes and not database:
        raise UsageError("dead letters with s- IDs are in the gateways' database: set LAMBDAAGENT_DATABASE")
    if not amqp and not database:
        raise UsageError(
            "neither LAMBDAAGENT_AMQP_URL nor LAMBDAAGENT_DATABASE is set, and there is no "
            f"{folders.DEFAULT} of a `lambdaagent dev` here; set one of them, or name a folder with --data"
        )
    namespaces = [wanted.namespace] if wanted.namespace else list(settings.namespaces)
    async with contextlib.AsyncExitStack() as stack:
        sources: list[Source] = []
        if database and "s" in prefixes:
            from lambdaagent.cli.dlq import stored

            sources.append(await stack.enter_async_context(stored.opened(database, settings)))
        if amqp and "q" in prefixes:
            from lambdaagent.cli.dlq import queued

            if namespaces:
                sources.append(await stack.enter_async_context(queued.opened(amqp, namespaces, settings.trust)))
            elif sources and not wanted.ids:
                say(f"warning: dead letters in RabbitMQ are not included; {_NAMESPACE}")
            else:
                raise UsageError(_NAMESPACE)
        yield sources
