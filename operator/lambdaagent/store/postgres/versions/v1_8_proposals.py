"""Proposals on which agents vote, and their votes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "v1_8"
down_revision = "v1_7"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "a2a_proposals",
        sa.Column("proposal_id", sa.String(255), primary_key=True),
        sa.Column("proposer", sa.String(512), nullable=False),
        sa.Column("title", sa.String(1024), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("options", JSONB, nullable=False),
        sa.Column("electorate", JSONB, nullable=False),
        sa.Column("rule", sa.String(16), nullable=False),
        sa.Column("quorum", sa.Integer, nullable=False),
        sa.Column("deadline", time, nullable=False),
        sa.Column("close_when_all_voted", sa.Boolean, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(255), nullable=False, server_default=""),
        sa.Column("tally", JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("decided_at", time),
        sa.Column("created_by", sa.String(512), nullable=False),
        sa.CheckConstraint("status IN ('open', 'accepted', 'rejected', 'expired')", name="a2a_proposals_status"),
        sa.CheckConstraint("rule IN ('majority', 'plurality', 'unanimous', 'quorum')", name="a2a_proposals_rule"),
    )
    unended = sa.text("status = 'open'")
    op.create_index("idx_a2a_proposals_deadline", "a2a_proposals", ["deadline"], postgresql_where=unended)
    op.create_index("idx_a2a_proposals_owner", "a2a_proposals", ["created_by", "created_at"])
    op.create_table(
        "a2a_votes",
        sa.Column(
            "proposal_id",
            sa.String(255),
            sa.ForeignKey("a2a_proposals.proposal_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("voter", sa.String(512), primary_key=True),
        sa.Column("choice", sa.String(255), nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("modified_at", time, nullable=False, server_default=sa.func.now()),
    )
