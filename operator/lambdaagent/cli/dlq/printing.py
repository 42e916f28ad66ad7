"""Prints dead letters as a table, JSON or YAML. The table has kubectl's form, so that it can be cut and sorted."""

import json
import time
from base64 import b64encode
from datetime import datetime
from typing import Any

import typer

from lambdaagent.cli.dlq.output_format import Form
from lambdaagent.cli.printing import print_json, print_names, print_table, say, yaml_text

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_COLUMNS = ("ID", "NAMESPACE", "AGENT", "TYPE", "CODE", "ATTEMPTS", "AGE", "REASON")


def print_rows(rows: list[dict[str, Any]], form: Form) -> None:
    if form is Form.JSON:
        print_json({"items": rows})
    elif form is Form.YAML:
        typer.echo(yaml_text({"items": rows}), nl=False)
    elif form is Form.NAME:
        print_names(row["id"] for row in rows)
    elif not rows:
        say("no dead letters")
    else:
        print_table(_COLUMNS, map(_line, rows))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    code = "-" if row["code"] == -1 else str(row["code"])
    attempts = str(row["attempts"] or "-")
    texts = (row["id"], row["namespace"], row["agent"].partition("/")[2], row["type"], code, attempts, _age(row["at"]))
    return (*texts, (row.get("unreadable") or row["reason"])[:120])


def _age(at: str) -> str:
    if not at:
        return "-"
    seconds = max(0, int(time.time() - datetime.fromisoformat(at).timestamp()))
    unit = next(unit for unit in "dhms" if seconds >= UNITS[unit] or unit == "s")
    return f"{seconds // UNITS[unit]}{unit}"


def data_of(data: bytes) -> dict[str, Any]:
    """Return the data as JSON or text if possible, else in base64 as in CloudEvents."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"data_base64": b64encode(data).decode()}
    try:
        return {"data": json.loads(text)} if text else {}
    except ValueError:
        return {"data": text}
