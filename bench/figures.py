"""A measured figure, and the two places it is written to."""

import json
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.process import ROOT

BEGIN = "<!-- figures: written by make bench -->"
END = "<!-- end of figures -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of ``build/bench.json``."""

    name: str
    value: float
    unit: str
    reference: str
    """What ran in the same minute on the same machine, or the limit the figure is held to."""
    reference_value: float
    ratio: float
    limit: float | None = None
    """The most the project allows for ``value`` (or ``ratio`` where the name says so)."""

    @property
    def kept(self) -> bool:
        measured = self.ratio if self.name.endswith("_ratio") else self.value
        return self.limit is None or measured <= self.limit


def figure(
    name: str,
    values: Sequence[float],
    unit: str,
    reference: str,
    reference_values: Sequence[float],
    *,
    limit: float | None = None,
) -> Figure:
    """The median of the repetitions beside the median of the reference's."""
    value = statistics.median(values)
    other = statistics.median(reference_values)
    ratio = value / other if other else 0.0
    return Figure(
        name=name,
        value=round(value, 4),
        unit=unit,
        reference=reference,
        reference_value=round(other, 4),
        ratio=round(ratio, 3),
        limit=limit,
    )


def write(figures: Sequence[Figure], repetitions: int) -> None:
    """Write ``build/bench.json`` and the table of ``docs/performance.md``."""
    out = ROOT / "build" / "bench.json"
    out.parent.mkdir(exist_ok=True)
    known = {row["name"]: row for row in json.loads(out.read_text())} if out.exists() else {}
    known.update({row.name: asdict(row) for row in figures})
    out.write_text(json.dumps(list(known.values()), indent=2) + "\n")
    rows = [Figure(**row) for row in known.values()]
    page = ROOT / "docs" / "performance.md"
    text = page.read_text()
    table = f"{BEGIN}\n\n{_machine(repetitions)}\n\n{_table(rows)}\n\n{END}"
    page.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: table, text, flags=re.DOTALL))


def _table(rows: Sequence[Figure]) -> str:
    lines = [
        "| figure | value | unit | reference | its value | ratio | limit | kept |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:g}"
        kept = "yes" if row.kept else "**no**"
        lines.append(
            f"| `{row.name}` | {row.value:g} | {row.unit} | {row.reference} "
            f"| {row.reference_value:g} | {row.ratio:g} | {limit} | {kept} |"
        )
    return "\n".join(lines)


def _machine(repetitions: int) -> str:
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    processor = cpu.group(1) if cpu else platform.processor()
    return (
        f"{time.strftime('%Y-%m-%d')}, commit {commit or 'unknown'}, "
        f"{processor}, {platform.system()} {platform.release()}, "
        f"median of {repetitions}."
    )
