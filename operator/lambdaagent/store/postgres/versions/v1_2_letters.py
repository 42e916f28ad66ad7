"""The cause of a dead letter. The defaults are constants: no row is rewritten, and older gateways can still insert."""

import sqlalchemy as sa
from alembic import op

revision = "v1_2"
down_revision = "v1_1"


def upgrade() -> None:
    table, word = "lambdaagent_letters", sa.Text(collation="C")
    op.add_column(table, sa.Column("code", sa.Integer, nullable=False, server_default="-1"))
    op.add_column(table, sa.Column("destination", word, nullable=False, server_default=""))
    op.add_column(table, sa.Column("attempts", sa.Integer, nullable=False, server_default="0"))
