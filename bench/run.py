"""``make bench``: measure, compare, write build/bench.json and docs/performance.md."""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import Figure, write
from bench.media_bench import bench_ingest, bench_relay, bench_viewers, build_tools
from bench.session_bench import bench_catalogue, bench_first_frame
from bench.sip_bench import bench_storm, bench_transactions

BENCHES: dict[str, Callable[[int], list[Figure]]] = {
    "sip": bench_transactions,
    "storm": bench_storm,
    "first-frame": lambda _: bench_first_frame(),
    "ingest": bench_ingest,
    "relay": bench_relay,
    "viewers": bench_viewers,
    "catalogue": lambda _: bench_catalogue(),
}
NEEDED = ("taskset", "sipp", "kamailio", "ffmpeg", "cc")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benches", nargs="*", help=f"some of: {', '.join(BENCHES)}; none: all")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions; medians are reported")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.benches if name not in BENCHES]
    if unknown:
        parser.error(f"{unknown[0]!r} is no bench; choose among {', '.join(BENCHES)}")
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        print(f"{', '.join(missing)} missing. Run: sudo bash .ci/setup-debian.sh", file=sys.stderr)
        return 2
    build_tools()
    figures: list[Figure] = []
    for name in arguments.benches or BENCHES:
        print(f"{name} ...", flush=True)
        for row in BENCHES[name](arguments.repeat):
            figures.append(row)
            kept = "" if row.kept else "  OVER THE LIMIT"
            beside = f"{row.reference}: {row.reference_value:g}, ratio {row.ratio:g}"
            print(f"  {row.name} = {row.value:g} {row.unit} ({beside}){kept}", flush=True)
        write(figures, arguments.repeat)
    return 0 if all(row.kept for row in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
