"""The SQL statements. Those of the hot path write a batch: columns are arrays, so a hundred rows are one round trip.

A single statement is its own transaction, with one flush of the server's log. The statement that writes also compares
the versions, so no earlier read can be out of date.
"""

from lambdaagent.store import rows

TASKS, CHANGES, PUSHES = "lambdaagent_tasks", "lambdaagent_changes", "lambdaagent_pushes"
LETTERS, REPLICAS, DELIVERIES = "lambdaagent_letters", "lambdaagent_replicas", "lambdaagent_deliveries"
RATES = "lambdaagent_rates"
CHANNEL = "lambdaagent_changes"

TYPES = {
    "version": "int", "settled": "int", "created": "float8", "updated": "float8", "deadline": "float8",
    "code": "int", "attempts": "int", "received": "float8", "at": "float8", "digest": "bytea", "key": "bytea",
    "body": "bytea", "updates": "bytea", "attributes": "bytea", "data": "bytea",
}  # fmt: skip
_LOGGED = ("source", "event_id", "updates")


def _arrays(names: tuple[str, ...]) -> str:
    return ", ".join(f"${place}::{TYPES.get(name, 'text')}[]" for place, name in enumerate(names, start=1))


TASK_COLUMNS = ", ".join(rows.TASK)


def _tail(after: str) -> str:
    """Select, for a task t, the log's entries that its body lacks, where there may be some."""
    entries = f"SELECT c.updates FROM {CHANGES} c WHERE c.task_id = t.id AND c.version > {after} ORDER BY c.version"
    return f"CASE WHEN t.body_noted = t.version THEN ARRAY({entries}) END AS tail"


TAIL = _tail("t.body_version")
PUSH_COLUMNS = ", ".join(rows.PUSH)
_TENANT = ", ".join(f"t.{name}" for name in rows.TENANT)
LETTER_COLUMNS = ", ".join(rows.LETTER)

CREATE = f"""
INSERT INTO {TASKS} ({TASK_COLUMNS}) SELECT * FROM unnest({_arrays(rows.TASK)})
ON CONFLICT DO NOTHING RETURNING id"""

WHO_HAS_ONCE = f"""
SELECT g.id, t.id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
  AS g (id, namespace, agent, owner, once)
JOIN {TASKS} t ON (t.namespace, t.agent, t.owner, t.once) = (g.namespace, g.agent, g.owner, g.once)
WHERE t.once IS NOT NULL"""

APPENDED = ("id", *rows.CHANGING, *_LOGGED)
# A body that does not change keeps its out-of-line (TOAST) value.
_SET = (
    ", ".join(f"{name} = g.{name}" for name in rows.CHANGING if name != "body")
    + """,
    body = COALESCE(g.body, t.body),
    body_version = CASE WHEN g.body IS NOT NULL THEN NULL
      WHEN t.body_noted = t.version THEN t.body_version ELSE t.version END,
    body_noted = CASE WHEN g.body IS NULL THEN g.version END"""
)
APPEND = f"""
WITH given AS MATERIALIZED (
  SELECT * FROM unnest({_arrays(APPENDED)}) AS g ({", ".join(APPENDED)})
), updated AS (
  UPDATE {TASKS} t SET {_SET} FROM given g
  WHERE t.id = g.id AND t.version = g.version - 1 AND (g.source IS NULL OR NOT EXISTS (
    SELECT FROM {CHANGES} c WHERE (c.task_id, c.source, c.event_id) = (g.id, g.source, g.event_id)))
  RETURNING t.id
), logged AS (
  INSERT INTO {CHANGES} (task_id, version, source, event_id, updates)
  SELECT g.id, g.version, g.source, g.event_id, g.updates FROM given g JOIN updated u ON u.id = g.id
)
SELECT id, pg_notify('{CHANNEL}', ${len(APPENDED) + 1}::text || ' ' || id) FROM updated"""

WHY_NOT = f"""
SELECT g.id, t.version, EXISTS (
  SELECT FROM {CHANGES} c WHERE (c.task_id, c.source, c.event_id) = (g.id, g.source, g.event_id))
FROM unnest($1::text[], $2::text[], $3::text[]) AS g (id, source, event_id) LEFT JOIN {TASKS} t ON t.id = g.id"""

BURY = f"""
INSERT INTO {LETTERS} ({LETTER_COLUMNS}) SELECT * FROM unnest({_arrays(rows.LETTER)})
ON CONFLICT DO NOTHING RETURNING namespace, agent, source, event_id"""

CHANGED_BY = f"SELECT FROM {CHANGES} WHERE task_id = $1 AND source = $2 AND event_id = $3"
# $2 is the version of the task that the caller has, or -1. The body is omitted where that version and the log are
# enough.
_BODY = """
CASE WHEN version = $2::int OR (version > $2 AND body_noted = version AND body_version <= $2) THEN NULL
ELSE body END"""
GET = f"""
SELECT {", ".join(_BODY if name == "body" else name for name in rows.TASK)},
  {_tail("GREATEST(t.body_version, CASE WHEN t.version >= $2 THEN $2 END)")}
FROM {TASKS} t WHERE id = $1"""
LOG = f"SELECT version, updates FROM {CHANGES} WHERE task_id = $1 AND version > $2 ORDER BY version"
UNSETTLED = f"SELECT {TASK_COLUMNS}, {TAIL} FROM {TASKS} t WHERE settled = 0"
UNSETTLED_OF = f"{UNSETTLED} AND holder = ANY($1::text[])"
BEHIND = f"SELECT id FROM {TASKS} WHERE settled = 0 AND body_version IS NOT NULL LIMIT 100"
HELD = f"SELECT id FROM {TASKS} WHERE settled = 0 AND holder = $1"
WORKING_OF = f"""
SELECT count(*) FROM (
  SELECT FROM {TASKS} WHERE settled = 0 AND namespace = $1 AND agent = $2 AND owner = $3 LIMIT $4) AS theirs"""
OVERDUE = f"{UNSETTLED} AND deadline < CASE holder WHEN '' THEN $1::float8 ELSE $2::float8 END"

# Rows per transaction: bounds how long locks are held and the log grows; other replicas delete other rows.
PRUNED_AT_ONCE = 500
_PRUNE = f"""
WITH gone AS (
  SELECT id FROM {TASKS} WHERE settled = 2 AND {{old}}
  ORDER BY updated, id LIMIT {PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED
), logs AS (
  DELETE FROM {CHANGES} c USING gone WHERE c.task_id = gone.id
)
DELETE FROM {TASKS} t USING gone WHERE t.id = gone.id RETURNING 1"""
PRUNE_BEFORE = _PRUNE.format(old="updated < $1")
PRUNE_UP_TO = _PRUNE.format(old="(updated, id) <= ($1, $2)")
FIRST_TOO_MANY = f"""
SELECT updated, id FROM {TASKS} WHERE settled = 2 ORDER BY updated DESC, id DESC OFFSET $1 LIMIT 1"""

BEAT = f"""
INSERT INTO {REPLICAS} (holder, until, folds) VALUES ($1, clock_timestamp() + make_interval(secs => $2), true)
ON CONFLICT (holder) DO UPDATE SET until = excluded.until, folds = true
RETURNING NOT EXISTS (
  SELECT FROM {REPLICAS} r WHERE r.until > clock_timestamp() AND NOT r.folds AND r.holder <> $1)"""
DEAD = f"""
SELECT DISTINCT holder FROM {TASKS} t WHERE settled = 0 AND holder <> '' AND NOT EXISTS (
  SELECT FROM {REPLICAS} r WHERE r.holder = t.holder AND r.until > clock_timestamp()) ORDER BY holder"""
FORGET_REPLICAS = f"DELETE FROM {REPLICAS} WHERE until < clock_timestamp() - interval '1 day'"

_PUSH_VALUES = ", ".join(f"${place}" for place in range(1, len(rows.PUSH) + 1))
_PUSH_KEPT = ", ".join(
    f"{name} = excluded.{name}" for name in (*rows.PUSH, "done") if name not in ("task_id", "id", "sent")
)
PUT_PUSH = f"""
INSERT INTO {PUSHES} ({PUSH_COLUMNS}) VALUES ({_PUSH_VALUES})
ON CONFLICT (task_id, id) DO UPDATE SET {_PUSH_KEPT}"""
_PUSH_FOUND = ", ".join(f"p.{name}" for name in rows.PUSH)
TENANT_OF = f"SELECT {_TENANT} FROM {TASKS} t WHERE id = $1"
PUSHES_OF = f"""
SELECT {_PUSH_FOUND}, {_TENANT} FROM {PUSHES} p JOIN {TASKS} t ON t.id = p.task_id
WHERE p.task_id = $1 ORDER BY p.number"""
DROP_PUSH = f"DELETE FROM {PUSHES} WHERE task_id = $1 AND id = $2 RETURNING 1"
CLAIM = f"""
WITH due AS (
  SELECT {_PUSH_FOUND}, {_TENANT} FROM {PUSHES} p JOIN {TASKS} t ON t.id = p.task_id
  WHERE p.dead = '' AND NOT p.done AND p.due <= $1 AND p.sent < t.version
  ORDER BY p.due LIMIT $3 FOR UPDATE OF p SKIP LOCKED
)
UPDATE {PUSHES} p SET due = $2 FROM due WHERE p.task_id = due.task_id AND p.id = due.id
RETURNING {", ".join(f"due.{name}" for name in (*rows.PUSH, *rows.TENANT))}"""
SETTLE_PUSH = f"""
UPDATE {PUSHES} SET sent = $3, attempts = $4, due = $5, dead = $6, done = EXISTS (
  SELECT FROM {TASKS} WHERE id = $1 AND settled = 2 AND version <= $3) WHERE task_id = $1 AND id = $2"""
_LETTERS = f"SELECT number, {LETTER_COLUMNS} FROM {LETTERS}"
FIND_LETTERS = f"""
{_LETTERS} WHERE ($1::text IS NULL OR namespace = $1) AND ($2::text IS NULL OR agent = $2)
  AND ($3::bytea IS NULL OR position($3 in attributes) > 0)
  AND ($4::float8 IS NULL OR received >= $4) AND ($5::float8 IS NULL OR received < $5)
  AND ($6::bigint IS NULL OR number < $6) ORDER BY number DESC LIMIT $7"""
LETTER = f"{_LETTERS} WHERE number = $1"
FREE_LETTER = f"UPDATE {LETTERS} SET source = NULL, event_id = NULL WHERE number = $1 RETURNING 1"
DROP_LETTERS = f"DELETE FROM {LETTERS} WHERE number = ANY($1::bigint[]) RETURNING 1"
PRUNE_LETTERS = f"""
DELETE FROM {LETTERS} WHERE number IN (
  SELECT number FROM {LETTERS} WHERE received < $1 ORDER BY number LIMIT {PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED
) RETURNING 1"""

# In the order of the keys, so that two replicas never wait for each other. By the server's clock: those of replicas
# differ.
SPEND = f"""
WITH clock AS MATERIALIZED (SELECT extract(epoch FROM clock_timestamp())::float8 AS at), spent AS (
  INSERT INTO {RATES} AS r (key, full_at)
  SELECT u.key, clock.at + u.seconds FROM unnest($1::bytea[], $2::float8[]) AS u (key, seconds), clock ORDER BY u.key
  ON CONFLICT (key) DO UPDATE SET full_at =
    GREATEST(r.full_at, (SELECT at FROM clock)) + excluded.full_at - (SELECT at FROM clock)
  RETURNING key, full_at
)
SELECT spent.key, spent.full_at - clock.at,
  (SELECT count(*) FROM {REPLICAS} WHERE until > clock_timestamp()) FROM spent, clock"""
PRUNE_RATES = f"""
DELETE FROM {RATES} WHERE key IN (
  SELECT key FROM {RATES} WHERE full_at < extract(epoch FROM clock_timestamp())
  LIMIT {PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED
) RETURNING 1"""

DELIVERED = f"""
INSERT INTO {DELIVERIES} ({", ".join(rows.DELIVERY)}) SELECT * FROM unnest({_arrays(rows.DELIVERY)})
ON CONFLICT DO NOTHING RETURNING digest"""
NEWEST_DELIVERIES = f"""
SELECT key FROM {DELIVERIES} WHERE namespace = $1 AND agent = $2 AND at >= $3 ORDER BY at DESC LIMIT $4"""
PRUNE_DELIVERIES = f"""
WITH gone AS (
  SELECT digest FROM {DELIVERIES} WHERE at < $1 ORDER BY at LIMIT {PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED
)
DELETE FROM {DELIVERIES} d USING gone WHERE d.digest = gone.digest RETURNING 1"""
