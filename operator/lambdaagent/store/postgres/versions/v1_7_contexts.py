"""Contexts that agents share, and the log of their changes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "v1_7"
down_revision = "v1_6"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "a2a_contexts",
        sa.Column("context_id", sa.String(255), primary_key=True),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("participants", JSONB, nullable=False, server_default=sa.text("'[]'")),
        sa.Column("strategies", JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("ttl_seconds", sa.Integer, nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("modified_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.String(512), nullable=False),
        sa.Column("modified_by", sa.String(512), nullable=False),
    )
    op.create_index("idx_a2a_contexts_expiry", "a2a_contexts", ["expires_at"])
    op.create_index("idx_a2a_contexts_owner", "a2a_contexts", ["created_by"])
    op.create_table(
        "a2a_context_deltas",
        sa.Column(
            "context_id",
            sa.String(255),
            sa.ForeignKey("a2a_contexts.context_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("patch", JSONB, nullable=False),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.String(512), nullable=False),
    )
