"""The results of the matrix, a row for each framework, for the summary at the end of a run."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.integration.frameworks import quirks

CELLS = ("card", "send", "stream", "context", "input", "files", "cancel", "error", "skill", "8 at once")


@dataclass
class Table:
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    made: dict[str, tuple[float, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def judge(self, framework: str, cell: str, expected: Any, seen: Any) -> None:
        """Fails if the two differ."""
        row = self.rows.setdefault(framework, {})
        row[cell] = "differs"
        other = quirks.OTHERWISE.get((framework, cell))
        if other is not None:
            assert expected != other.seen, f"{framework}, {cell}: both are the same by now"
            assert seen == other.seen, f"{framework}, {cell}: by the gateway {_told(seen)}"
            row[cell] = other.mark
            self.notes.append(f"{other.mark}: {framework}, {cell}: {other.why}")
            return
        assert seen == expected, (
            f"{framework}, {cell}:\n at the server {_told(expected)}\n by the gateway {_told(seen)}"
        )
        row[cell] = self._offered(framework, cell, expected)

    def _offered(self, framework: str, cell: str, expected: Any) -> str:
        """Returns `ok`, or what the framework itself does not offer, so that the gateway need not offer it."""
        said = _told(expected)
        if '"refused"' in said and cell != "error":
            self.notes.append(f"refused: {framework}, {cell}: {_refusal(expected)}")
            return "refused"
        for name, wanted, mark in (
            ("input", "input-required", "not asked"),
            ("context", "blue", "forgets"),
            ("files", '"text/csv"', "no file"),
        ):
            if cell == name and wanted not in said:
                return mark
        return "ok"

    def lines(self) -> list[str]:
        width = max((len(name) for name in self.rows), default=0) + 2
        head = "".join(cell.ljust(11) for cell in CELLS)
        rows = [
            name.ljust(width) + "".join(row.get(cell, "-").ljust(11) for cell in CELLS)
            for name, row in sorted(self.rows.items())
        ]
        return [" " * width + head, *rows, *self.notes, *self._made()]

    def _made(self) -> list[str]:
        return [
            f"environment of {name}: {megabytes} MB, " + (f"made in {seconds:.1f} s" if seconds else "was there")
            for name, (seconds, megabytes) in sorted(self.made.items())
        ]


def _refusal(value: Any) -> str:
    found = next(each for each in (value if isinstance(value, list) else [value]) if "refused" in each)
    return f"{found['words']} ({found['refused']})"


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
