"""Agents elsewhere that are registered by HTTP (design section 11), with the columns of requirement 001.

The trigger keeps `modified_at` true for who changes a row by hand; the gateway sets it itself, and a heartbeat is no
change. The cluster's own agents have no row, so no foreign key refers to this table.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "v1_5"
down_revision = "v1_4"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    empty = sa.text("'{}'")
    op.create_table(
        "a2a_agents",
        sa.Column("agent_id", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("endpoint_url", sa.String(500), nullable=False, server_default=""),
        sa.Column("capabilities", JSONB, nullable=False, server_default=sa.text("'[]'")),
        sa.Column("agent_card", JSONB, nullable=False, server_default=empty),
        sa.Column("status", sa.String(50), nullable=False, server_default="active"),
        sa.Column("last_heartbeat", time),
        sa.Column("metadata", JSONB, nullable=False, server_default=empty),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("modified_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.String(255), nullable=False, server_default="system"),
        sa.Column("modified_by", sa.String(255), nullable=False, server_default="system"),
        sa.Column("is_deleted", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("reference_data", JSONB, nullable=False, server_default=empty),
        sa.Column("protocol", sa.String(20), nullable=False),
        sa.Column("version", sa.String(64), nullable=False, server_default=""),
        sa.Column("access", JSONB, nullable=False, server_default=empty),
        sa.Column("label", sa.String(63), nullable=False),
        sa.Column("ttl_seconds", sa.Integer, nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("load", sa.Double, nullable=False, server_default="0"),
        sa.Column("card_place", sa.String(2048), nullable=False, server_default=""),
        sa.Column("card_etag", sa.String(512), nullable=False, server_default=""),
        sa.Column("card_checked_at", time, nullable=False, server_default=sa.text("'epoch'")),
        sa.Column("card_problem", sa.Text, nullable=False, server_default=""),
        sa.CheckConstraint("status IN ('active', 'inactive', 'suspended')", name="a2a_agents_status"),
    )
    kept = sa.text("NOT is_deleted")
    active = sa.text("status = 'active' AND NOT is_deleted")
    op.create_index("idx_a2a_agents_status", "a2a_agents", ["status"], postgresql_where=kept)
    op.create_index("idx_a2a_agents_expiry", "a2a_agents", ["expires_at"], postgresql_where=active)
    op.create_index("idx_a2a_agents_capabilities", "a2a_agents", ["capabilities"], postgresql_using="gin")
    op.create_index("idx_a2a_agents_label", "a2a_agents", ["label"], unique=True)
    op.create_index("idx_a2a_agents_owner", "a2a_agents", ["created_by"], postgresql_where=kept)
    op.create_index("idx_a2a_agents_card", "a2a_agents", ["card_checked_at"], postgresql_where=kept)
    op.execute(
        """
        CREATE FUNCTION lambdaagent_set_modified_at() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF NEW.modified_at = OLD.modified_at THEN NEW.modified_at = now(); END IF;
          RETURN NEW;
        END $$"""
    )
    op.execute(
        """
        CREATE TRIGGER update_a2a_agents_modified_at BEFORE UPDATE OF name, description, endpoint_url, capabilities,
          agent_card, status, metadata, reference_data, access, is_deleted ON a2a_agents
        FOR EACH ROW EXECUTE FUNCTION lambdaagent_set_modified_at()"""
    )
