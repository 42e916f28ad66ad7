"""The deliveries of events to agents, in a new table, so that no existing table changes."""

import sqlalchemy as sa
from alembic import op

revision = "v1_1"
down_revision = "v1_0"


def upgrade() -> None:
    word = sa.Text(collation="C")
    op.create_table(
        "lambdaagent_deliveries",
        # Digest of namespace, agent, source and id: a B-tree refuses long texts, and a source may be long.
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("namespace", word, nullable=False),
        sa.Column("agent", word, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("lambdaagent_deliveries_newest", "lambdaagent_deliveries", ["namespace", "agent", "at"])
    op.create_index("lambdaagent_deliveries_at", "lambdaagent_deliveries", ["at"])
