"""Snapshots of tasks that may be older than the tasks (decision 0019). No row is rewritten.

Where `body_noted` is the task's version, `body` is the task as it was at `body_version`, and the log's entries after
that are to be folded onto it. Everywhere else `body` is the whole task.

Hazard: a gateway of the version before knows nothing of this. It leaves both columns as they are and writes a body made
of the one that it read. Onto a whole one that is right. Onto an older one it would lose chunks for ever: there the
version grows past `body_noted`, and the check refuses the row. Only where no gateway lives that folds (all were killed,
and the version before was started again) is there nobody to do better: then the check lets it pass, what that gateway
saw is the task, and the rest of it stays in the log. A trigger would lock each row before it is written, which costs a
tenth of all writes; the check asks who lives only where it would refuse.

`folds` tells gateways that fold from those that do not: while one of the latter lives, no snapshot is left older.
"""

import sqlalchemy as sa
from alembic import op

revision = "v1_3"
down_revision = "v1_2"

_FUNCTION = """
CREATE FUNCTION lambdaagent_some_gateway_folds() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM lambdaagent_replicas WHERE folds AND until > clock_timestamp());
END $$"""
# Not compared with the rows that are there, which would keep everybody waiting: the new columns are null in all.
_CHECK = """
ALTER TABLE lambdaagent_tasks ADD CONSTRAINT lambdaagent_tasks_body_noted
CHECK (body_version IS NULL OR body_noted = version OR NOT lambdaagent_some_gateway_folds()) NOT VALID"""


def upgrade() -> None:
    op.add_column("lambdaagent_tasks", sa.Column("body_version", sa.Integer))
    op.add_column("lambdaagent_tasks", sa.Column("body_noted", sa.Integer))
    op.add_column("lambdaagent_replicas", sa.Column("folds", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute(_FUNCTION)
    op.execute(_CHECK)
