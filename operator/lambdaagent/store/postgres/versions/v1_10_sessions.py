"""Sessions in which agents work together, with the columns of requirement 001."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "v1_10"
down_revision = "v1_9"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "a2a_sessions",
        sa.Column("session_id", sa.String(255), primary_key=True),
        sa.Column("initiator_agent_id", sa.String(512), nullable=False),
        sa.Column("participant_agent_ids", JSONB, nullable=False, server_default=sa.text("'[]'")),
        sa.Column("session_type", sa.String(50), nullable=False, server_default="standard"),
        sa.Column("status", sa.String(50), nullable=False, server_default="active"),
        sa.Column("context", JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("metadata", JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("started_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("ended_at", time),
        sa.Column("last_activity_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.String(512), nullable=False, server_default="system"),
        sa.Column("is_deleted", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.CheckConstraint("status IN ('active', 'paused', 'completed', 'terminated')", name="a2a_sessions_status"),
    )
    kept = sa.text("NOT is_deleted")
    op.create_index("idx_a2a_sessions_status", "a2a_sessions", ["status"], postgresql_where=kept)
    op.create_index("idx_a2a_sessions_initiator", "a2a_sessions", ["initiator_agent_id"], postgresql_where=kept)
    op.create_index("idx_a2a_sessions_participants", "a2a_sessions", ["participant_agent_ids"], postgresql_using="gin")
    op.create_index("idx_a2a_sessions_owner", "a2a_sessions", ["created_by", "started_at"])
