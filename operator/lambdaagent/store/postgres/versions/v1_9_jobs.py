"""Task definitions and jobs, with the columns of requirement 001. Jobs of a task type alone have no definition."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "v1_9"
down_revision = "v1_8"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    empty, none = sa.text("'{}'"), sa.text("'[]'")

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
        "a2a_tasks",
        sa.Column("task_id", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("task_type", sa.String(100), nullable=False),
        sa.Column("required_capabilities", JSONB, nullable=False, server_default=none),
        sa.Column("input_schema", JSONB, nullable=False, server_default=empty),
        sa.Column("output_schema", JSONB, nullable=False, server_default=empty),
        sa.Column("priority", sa.Integer, nullable=False, server_default="5"),
        sa.Column("max_retries", sa.Integer, nullable=False, server_default="3"),
        sa.Column("timeout_seconds", sa.Integer, nullable=False, server_default="300"),
        *common(),
        sa.Column("strategy", sa.String(16), nullable=False),
        sa.Column("agent_id", sa.String(512), nullable=False, server_default=""),
        sa.Column("principal", sa.Text, nullable=False, server_default=""),
        sa.Column("input_data", JSONB, nullable=False, server_default=empty),
        sa.Column("cron", sa.String(255), nullable=False, server_default=""),
        sa.Column("timezone", sa.String(64), nullable=False, server_default="UTC"),
        sa.Column("next_run_at", time),
        sa.Column("hook_id", sa.String(64)),
        sa.Column("hook_kind", sa.String(16), nullable=False, server_default=""),
        sa.Column("hook_secret", sa.Text, nullable=False, server_default=""),
        sa.CheckConstraint("priority BETWEEN 1 AND 10", name="a2a_tasks_priority"),
    )
    kept = sa.text("NOT is_deleted")
    op.create_index("idx_a2a_tasks_type", "a2a_tasks", ["task_type"], postgresql_where=kept)
    op.create_index("idx_a2a_tasks_priority", "a2a_tasks", [sa.text("priority DESC")], postgresql_where=kept)
    op.create_index("idx_a2a_tasks_owner", "a2a_tasks", ["created_by"], postgresql_where=kept)
    op.create_index("idx_a2a_tasks_hook", "a2a_tasks", ["hook_id"], unique=True)
    scheduled = sa.text("next_run_at IS NOT NULL AND NOT is_deleted")
    op.create_index("idx_a2a_tasks_schedule", "a2a_tasks", ["next_run_at"], postgresql_where=scheduled)
    op.create_table(
        "a2a_jobs",
        sa.Column("job_id", sa.String(255), primary_key=True),
        sa.Column("task_id", sa.String(255), nullable=False, server_default=""),
        sa.Column("assigned_agent_id", sa.String(512)),
        sa.Column("status", sa.String(50), nullable=False, server_default="pending"),
        sa.Column("input_data", JSONB, nullable=False, server_default=empty),
        sa.Column("output_data", JSONB, nullable=False, server_default=empty),
        sa.Column("error_message", sa.Text),
        sa.Column("retry_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("started_at", time),
        sa.Column("completed_at", time),
        sa.Column("execution_time_ms", sa.Integer),
        *common(),
        sa.Column("task_type", sa.String(100), nullable=False),
        sa.Column("required_capabilities", JSONB, nullable=False),
        sa.Column("agent_id", sa.String(512), nullable=False, server_default=""),
        sa.Column("strategy", sa.String(16), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("max_retries", sa.Integer, nullable=False),
        sa.Column("timeout_seconds", sa.Integer, nullable=False),
        sa.Column("principal", sa.Text, nullable=False, server_default=""),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("a2a_task_id", sa.String(255), nullable=False, server_default=""),
        sa.Column("due", time, nullable=False),
        sa.Column("holder", sa.String(255), nullable=False, server_default=""),
        sa.Column("lease_until", time, nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'assigned', 'running', 'completed', 'failed', 'cancelled')", name="a2a_jobs_status"
        ),
    )
    pending = sa.text("status = 'pending'")
    active = sa.text("status = 'assigned' OR status = 'running'")
    op.create_index("idx_a2a_jobs_status", "a2a_jobs", ["status"], postgresql_where=kept)
    op.create_index("idx_a2a_jobs_task_id", "a2a_jobs", ["task_id"], postgresql_where=kept)
    op.create_index("idx_a2a_jobs_agent_id", "a2a_jobs", ["assigned_agent_id"], postgresql_where=kept)
    op.create_index("idx_a2a_jobs_created_at", "a2a_jobs", [sa.text("created_at DESC")], postgresql_where=kept)
    op.create_index("idx_a2a_jobs_due", "a2a_jobs", [sa.text("priority DESC"), "due"], postgresql_where=pending)
    op.create_index("idx_a2a_jobs_lease", "a2a_jobs", ["lease_until"], postgresql_where=active)
    op.create_index("idx_a2a_jobs_holder", "a2a_jobs", ["holder"], postgresql_where=active)
    op.create_index("idx_a2a_jobs_owner", "a2a_jobs", ["created_by", "created_at"])
    op.create_table(
        "a2a_turns",
        sa.Column("kind", sa.String(255), primary_key=True),
        sa.Column("turn", sa.Integer, nullable=False),
    )
    # A heartbeat of a replica renews a lease, which is no change of the job.
    for table, columns in (
        ("a2a_tasks", "name, description, task_type, priority, metadata, is_deleted"),
        ("a2a_jobs", "status, assigned_agent_id, output_data, error_message, metadata, is_deleted"),
    ):
        op.execute(
            f"CREATE TRIGGER update_{table}_modified_at BEFORE UPDATE OF {columns} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION lambdaagent_set_modified_at()"
        )
