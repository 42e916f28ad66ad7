"""Pages of tasks: by keyset, each along one index, so that the last page of a million costs what the first one does."""

from lambdaagent.store import rows
from lambdaagent.store.postgres import sql
from lambdaagent.store.postgres.pool import Connection
from lambdaagent.store.postgres.texts import text
from lambdaagent.store.records import COUNTED, Listing, Page


async def find(connection: Connection, listing: Listing) -> Page:
    where = "namespace = $1 AND agent = $2 AND owner = $3"
    arguments: list[object] = [text(each) for each in (listing.namespace, listing.agent, listing.owner)]
    if listing.context_id is not None:
        arguments.append(text(listing.context_id))
        where += f" AND context_id = ${len(arguments)}"
    if listing.state is not None:
        arguments.append(str(listing.state))
        where += f" AND state = ${len(arguments)}"
    if listing.updated_from is not None:
        arguments.append(listing.updated_from)
        where += f" AND updated >= ${len(arguments)}"
    counted = f"SELECT count(*) FROM (SELECT FROM {sql.TASKS} WHERE {where} LIMIT {COUNTED}) AS matching"
    total = await connection.fetchval(counted, *arguments)
    if listing.after is not None:
        where += f" AND (updated, id) < (${len(arguments) + 1}, ${len(arguments) + 2})"
        arguments += listing.after
    wanted = (
        f"SELECT {sql.TASK_COLUMNS} FROM {sql.TASKS} WHERE {where} "
        f"ORDER BY updated DESC, id DESC LIMIT {int(listing.limit) + 1}"
    )
    found = await connection.fetch(wanted, *arguments)
    return Page([rows.record_of(row) for row in found[: listing.limit]], total=total, more=len(found) > listing.limit)
