"""Snapshots that may be older than their tasks (decision 0019). No row is rewritten.

Where `body_noted` is the task's version, `body` is the task at `body_version`, and the log's later entries are to be
folded onto it. Everywhere else `body` is the whole task.

Hazard: a gateway of the previous version does not know these columns. It leaves them unchanged and writes a body made
from the one that it read. Where that was the whole task, the result is right. Where it was older, chunks would be lost
for ever; there the version exceeds `body_noted`, and the check refuses the row. The check accepts the row only while no
gateway that folds is alive (all were killed, and the previous version was started again): then the task is what that
gateway read, and the rest stays in the log. A trigger would lock each row before the write, which costs a tenth of all
writes; the check looks for live gateways only where it would refuse.

`folds` marks the gateways that fold: while one that does not is alive, no snapshot is left older than its task.
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
# NOT VALID: a check of the existing rows would block all writers, and the new columns are null in all of them.
_CHECK = """
ALTER TABLE lambdaagent_tasks ADD CONSTRAINT lambdaagent_tasks_body_noted
CHECK (body_version IS NULL OR body_noted = version OR NOT lambdaagent_some_gateway_folds()) NOT VALID"""


def upgrade() -> None:
    op.add_column("lambdaagent_tasks", sa.Column("body_version", sa.Integer))
    op.add_column("lambdaagent_tasks", sa.Column("body_noted", sa.Integer))
    op.add_column("lambdaagent_replicas", sa.Column("folds", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute(_FUNCTION)
    op.execute(_CHECK)
