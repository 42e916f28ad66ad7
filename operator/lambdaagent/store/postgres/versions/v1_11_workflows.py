"""Workflows, their runs, and what each step of a run came to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "v1_11"
down_revision = "v1_10"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    empty = sa.text("'{}'")

    def common() -> list[sa.Column[object]]:
        return [
            sa.Column("metadata", JSONB, nullable=False, server_default=empty),
            sa.Column("created_at", time, nullable=False, server_default=sa.func.now()),
            sa.Column("modified_at", time, nullable=False, server_default=sa.func.now()),
            sa.Column("created_by", sa.String(255), nullable=False, server_default="system"),
            sa.Column("modified_by", sa.String(255), nullable=False, server_default="system"),
            sa.Column("is_deleted", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("reference_data", JSONB, nullable=False, server_default=empty),
        ]

    op.create_table(
        "a2a_workflows",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("access", JSONB, nullable=False, server_default=empty),
        *common(),
    )
    kept = sa.text("NOT is_deleted")
    op.create_index("idx_a2a_workflows_owner", "a2a_workflows", ["created_by"], postgresql_where=kept)
    op.create_table(
        "a2a_runs",
        sa.Column("run_id", sa.String(255), primary_key=True),
        sa.Column("workflow", sa.String(63), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("input", JSONB),
        sa.Column("output", JSONB),
        sa.Column("error", JSONB),
        sa.Column("status", sa.String(16), nullable=False, server_default="pending"),
        sa.Column("principal", sa.Text, nullable=False, server_default=""),
        sa.Column("depth", sa.Integer, nullable=False, server_default="0"),
        sa.Column("steps", sa.Integer, nullable=False, server_default="0"),
        sa.Column("size", sa.Integer, nullable=False, server_default="0"),
        sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
        sa.Column("holder", sa.String(255), nullable=False, server_default=""),
        sa.Column("lease_until", time, nullable=False),
        sa.Column("started_at", time),
        sa.Column("completed_at", time),
        *common(),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'faulted', 'cancelled')", name="a2a_runs_status"
        ),
    )
    unended = sa.text("status = 'pending' OR status = 'running'")
    op.create_index("idx_a2a_runs_lease", "a2a_runs", ["lease_until"], postgresql_where=unended)
    op.create_index("idx_a2a_runs_workflow", "a2a_runs", ["workflow", "created_at"])
    op.create_index("idx_a2a_runs_owner", "a2a_runs", ["created_by", "created_at"])
    op.create_index("idx_a2a_runs_completed_at", "a2a_runs", ["completed_at"])
    op.create_table(
        "a2a_run_steps",
        sa.Column("run_id", sa.String(255), primary_key=True),
        sa.Column("step", sa.String(2000), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("value", JSONB, nullable=False),
        sa.Column("created_at", time, nullable=False),
    )
    op.create_index("idx_a2a_run_steps_number", "a2a_run_steps", ["run_id", "number"], unique=True)
    for table, columns in (
        ("a2a_workflows", "version, document, access, metadata, is_deleted"),
        ("a2a_runs", "status, output, error, metadata"),
    ):
        op.execute(
            f"CREATE TRIGGER update_{table}_modified_at BEFORE UPDATE OF {columns} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION lambdaagent_set_modified_at()"
        )
