"""Tasks, their log, push configurations, replicas and dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "v1_0"
down_revision = None


def upgrade() -> None:
    # The order of byte values: the same everywhere, and half the cost of a locale's order.
    word = sa.Text(collation="C")
    op.create_table(
        "lambdaagent_tasks",
        sa.Column("id", word, primary_key=True),
        sa.Column("context_id", word, nullable=False),
        sa.Column("namespace", word, nullable=False),
        sa.Column("agent", word, nullable=False),
        sa.Column("skill", word),
        sa.Column("owner", word, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", word, nullable=False),
        sa.Column("settled", sa.Integer, nullable=False),  # 0 running, 1 waits for the client, 2 ended
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("holder", word, nullable=False),
        sa.Column("deadline", sa.Double, nullable=False),
        sa.Column("remote", word, nullable=False),
        sa.Column("once", word),
    )
    listed = ["namespace", "agent", "owner"]
    op.create_index("lambdaagent_tasks_listed", "lambdaagent_tasks", [*listed, "updated", "id"])
    # A rare state among a million tasks must be found, and counted, without reading all of them.
    op.create_index("lambdaagent_tasks_state", "lambdaagent_tasks", [*listed, "state", "updated", "id"])
    # Hash index: the client chooses a context's id, and a B-tree refuses long values.
    op.create_index("lambdaagent_tasks_context", "lambdaagent_tasks", ["context_id"], postgresql_using="hash")
    op.create_index(
        "lambdaagent_tasks_working",
        "lambdaagent_tasks",
        ["holder", "deadline"],
        postgresql_where=sa.text("settled = 0"),
    )
    op.create_index(
        "lambdaagent_tasks_ended", "lambdaagent_tasks", ["updated", "id"], postgresql_where=sa.text("settled = 2")
    )
    op.create_index(
        "lambdaagent_tasks_once",
        "lambdaagent_tasks",
        [*listed, "once"],
        unique=True,
        postgresql_where=sa.text("once IS NOT NULL"),
    )
    op.create_table(
        "lambdaagent_changes",
        sa.Column("task_id", word, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("source", word),
        sa.Column("event_id", word),
        sa.Column("updates", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "lambdaagent_changes_key",
        "lambdaagent_changes",
        ["task_id", "source", "event_id"],
        unique=True,
        postgresql_where=sa.text("source IS NOT NULL"),
    )
    op.create_table(
        "lambdaagent_pushes",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("task_id", word, sa.ForeignKey("lambdaagent_tasks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", word, primary_key=True),
        sa.Column("url", word, nullable=False),
        sa.Column("wire", word, nullable=False),
        sa.Column("token", word, nullable=False),
        sa.Column("scheme", word, nullable=False),
        sa.Column("credentials", word, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("dead", word, nullable=False),
        # The task has ended and all its updates have arrived: never read again.
        sa.Column("done", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_index(
        "lambdaagent_pushes_due", "lambdaagent_pushes", ["due"], postgresql_where=sa.text("dead = '' AND NOT done")
    )
    op.create_table(
        "lambdaagent_replicas",
        sa.Column("holder", word, primary_key=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "lambdaagent_letters",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("namespace", word, nullable=False),
        sa.Column("agent", word, nullable=False),
        sa.Column("source", word),
        sa.Column("event_id", word),
        sa.Column("reason", word, nullable=False),
        sa.Column("received", sa.Double, nullable=False),
        sa.Column("attributes", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("namespace", "agent", "source", "event_id", name="lambdaagent_letters_key"),
    )
    op.create_index("lambdaagent_letters_newest", "lambdaagent_letters", ["namespace", "number"])
