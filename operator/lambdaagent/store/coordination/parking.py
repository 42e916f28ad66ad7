"""Parks runs that only wait, so that they need no memory: the time, or a message, gives them to a replica again.

Invariant: no message is lost between the two. `messages.put` writes a delivery before it locks the run's row, and
`park` locks the row before it looks for deliveries.
"""

from collections.abc import Mapping

from sqlalchemy import and_, select, update

from lambdaagent.coordination.workflow import Run
from lambdaagent.store.coordination.database import Transaction
from lambdaagent.store.coordination.messages import OPEN, deliveries
from lambdaagent.store.coordination.workflows import RUNNING, runs


def park(tx: Transaction, until: Mapping[str, tuple[Run, float]]) -> set[str]:
    """Give up the runs until their times, as far as this replica holds them and their mailboxes are empty."""
    held = and_(runs.c.run_id.in_(list(until)), RUNNING)
    locked = select(runs.c.run_id, runs.c.holder, runs.c.epoch).where(held).order_by(runs.c.run_id)
    rows = tx.connection.execute(locked.with_for_update(skip_locked=True)).all()
    mine = [row.run_id for row in rows if (row.holder, row.epoch) == ((run := until[row.run_id][0]).holder, run.epoch)]
    unread = select(deliveries.c.receiver).where(OPEN, deliveries.c.receiver.in_(mine))
    parked = set(mine) - set(tx.connection.execute(unread.where(deliveries.c.expires_at > tx.now)).scalars())
    for run_id in sorted(parked):
        tx.connection.execute(
            update(runs).where(runs.c.run_id == run_id).values(holder="", lease_until=until[run_id][1])
        )
    return parked
