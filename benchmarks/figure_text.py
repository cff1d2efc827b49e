"""How figures are written down: verdicts, tables and nested figures in Markdown."""

from __future__ import annotations

import platform
from pathlib import Path

from tools.report.report import Table

__all__ = ["listed", "markdown", "processor", "verdicts"]

_DECIDED = ("logistic", "history network", "disc totals", "exact")  # rivals of the verdicts


def verdicts(card: dict) -> str:
    """Say what the paired intervals decide, event by event."""
    lines = []
    for event, entry in card["events"].items():
        for pair, scores in entry["differences"].items():
            first, second = pair.split(" - ")
            if second not in _DECIDED or event not in (">=C1", ">=M1"):
                continue
            for score in ("Brier", "log"):
                if not all(isinstance(v, float) for v in scores[score]):
                    continue  # not defined, or infinite
                value, low, high = scores[score]
                words = f"{value:.4f} [{low:.4f}, {high:.4f}]"
                if second == "exact":
                    verdict = "BETTER than exact: a defect" if high < 0 else "not better than exact"
                elif low > 0:
                    verdict = f"WORSE than {second}"
                else:
                    verdict = f"better than {second}" if high < 0 else f"not below {second}"
                lines.append(f"- {event}, {score}: {first} is {verdict}: difference {words}")
    return "What the paired intervals decide:\n\n" + "\n".join(lines) + "\n"


def markdown(table: Table) -> str:
    """Write a table in Markdown."""
    rows = [table.header, ["---"] * len(table.header), *table.rows]
    lines = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return f"{table.caption}\n\n" + "\n".join(lines) + "\n"


def listed(value: dict, depth: int = 0) -> str:
    """Write nested figures as a list."""
    lines = []
    for name, item in value.items():
        if isinstance(item, dict):
            lines += [f"{'  ' * depth}- {name}", listed(item, depth + 1).rstrip("\n")]
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            lines += [f"{'  ' * depth}- {name}: " + "; ".join(_inline(i) for i in item)]
        else:
            lines.append(f"{'  ' * depth}- {name}: {item}")
    return "\n".join(lines) + "\n"


def _inline(value: dict) -> str:
    return ", ".join(f"{name} {item}" for name, item in value.items())


def processor() -> str:
    """Give the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
