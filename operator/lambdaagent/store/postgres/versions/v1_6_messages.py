"""Messages between agents with the columns of requirement 001, their deliveries, and subscriptions to topics."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "v1_6"
down_revision = "v1_5"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "a2a_messages",
        sa.Column("message_id", sa.String(255), primary_key=True),
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("sender_agent_id", sa.String(512)),
        sa.Column("receiver_agent_id", sa.String(512)),
        sa.Column("message_type", sa.String(50), nullable=False),
        sa.Column("protocol_version", sa.String(20), nullable=False, server_default="2.0"),
        sa.Column("content", JSONB, nullable=False),
        sa.Column("status", sa.String(50), nullable=False, server_default="sent"),
        sa.Column("error_details", JSONB),
        sa.Column("metadata", JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("delivered_at", time),
        sa.Column("acknowledged_at", time),
        sa.Column("form", sa.String(8), nullable=False),
        sa.Column("address", JSONB, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("ttl_seconds", sa.Integer, nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("confirmation", sa.String(16), nullable=False),
        sa.Column("skill", sa.String(255), nullable=False, server_default=""),
        sa.Column("correlation_id", sa.String(255), nullable=False, server_default=""),
        sa.Column("causation_id", sa.String(255), nullable=False, server_default=""),
        sa.Column("hops", sa.Integer, nullable=False),
        sa.Column("sequence_id", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_by", sa.String(512), nullable=False),
        sa.CheckConstraint(
            "message_type IN ('request', 'response', 'notification', 'error')", name="a2a_messages_type"
        ),
        sa.CheckConstraint("status IN ('sent', 'delivered', 'acknowledged', 'failed')", name="a2a_messages_status"),
    )
    op.create_index("idx_a2a_messages_session", "a2a_messages", ["session_id"])
    op.create_index("idx_a2a_messages_sender", "a2a_messages", ["sender_agent_id"])
    op.create_index("idx_a2a_messages_receiver", "a2a_messages", ["receiver_agent_id"])
    op.create_index("idx_a2a_messages_created", "a2a_messages", [sa.text("created_at DESC")])
    op.create_table(
        "a2a_deliveries",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=True),
        sa.Column(
            "message_id",
            sa.String(255),
            sa.ForeignKey("a2a_messages.message_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("receiver", sa.String(512), nullable=False),
        sa.Column("via", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due", time, nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("delivered_at", time),
        sa.Column("acknowledged_at", time),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.CheckConstraint(
            "state IN ('queued', 'delivered', 'acknowledged', 'failed', 'expired')", name="a2a_deliveries_state"
        ),
    )
    queued = sa.text("state = 'queued'")
    unended = sa.text("state = 'queued' OR state = 'delivered'")
    op.create_index("idx_a2a_deliveries_message", "a2a_deliveries", ["message_id", "receiver"], unique=True)
    op.create_index(
        "idx_a2a_deliveries_open",
        "a2a_deliveries",
        ["receiver", sa.text("priority DESC"), "number"],
        postgresql_where=unended,
    )
    op.create_index("idx_a2a_deliveries_due", "a2a_deliveries", ["due"], postgresql_where=queued)
    op.create_index("idx_a2a_deliveries_expiry", "a2a_deliveries", ["expires_at"], postgresql_where=unended)
    op.create_table(
        "a2a_subscriptions",
        sa.Column("subscription_id", sa.String(64), primary_key=True),
        sa.Column("agent_id", sa.String(255), nullable=False),
        sa.Column("topic", sa.String(255), nullable=False),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.String(512), nullable=False),
    )
    op.create_index("idx_a2a_subscriptions_topic", "a2a_subscriptions", ["topic", "agent_id"], unique=True)
    op.create_index("idx_a2a_subscriptions_agent", "a2a_subscriptions", ["agent_id"])
