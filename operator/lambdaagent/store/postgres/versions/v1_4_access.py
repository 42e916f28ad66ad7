"""What access control stores: who registered a receiver of push notifications, and how much of its rate a key used.

A receiver that a gateway of the previous version stores has no registrant: only the owner of its task is known then.
Rates are lost in a crash of the database, which is why their table is not logged: a write costs less.
"""

import sqlalchemy as sa
from alembic import op

revision = "v1_4"
down_revision = "v1_3"


def upgrade() -> None:
    op.add_column("lambdaagent_pushes", sa.Column("registrant", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "lambdaagent_rates",
        sa.Column("key", sa.LargeBinary, primary_key=True),  # a digest
        sa.Column("full_at", sa.Double, nullable=False),  # seconds since the epoch
        prefixes=["UNLOGGED"],
    )
    op.create_index("lambdaagent_rates_full", "lambdaagent_rates", ["full_at"])
