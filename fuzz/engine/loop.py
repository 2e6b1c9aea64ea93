"""A small seeded mutational fuzzer: fixtures in, documented errors or nothing out.

A target is a function of bytes. It fails by any exception that is not documented, by taking more
than a second of CPU for one input, or by growing the process. The input is saved below build/.
"""

import argparse
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_INPUT = 64 * 1024
MAX_GROWTH_BYTES = 64 * 1024 * 1024
MAX_CPU_SECONDS = 1.0
WARM_UP = 2000
"""Inputs before the size of the process is taken as its normal one."""

Target = Callable[[bytes], None]


class Mutator:
    """Derives inputs from a corpus that grows by nothing: every input is reproducible by seed."""

    def __init__(self, corpus: Sequence[bytes], tokens: Sequence[bytes], seed: int) -> None:
        self._corpus = corpus
        self._tokens = tokens
        self._random = random.Random(seed)
        self._steps = (
            self._flip, self._insert, self._delete, self._token, self._splice, self._repeat,
            self._truncate, self._digits, self._shuffle_lines,
        )  # fmt: skip

    def next_input(self) -> bytes:
        data = bytearray(self._random.choice(self._corpus))
        for _ in range(self._random.choice((0, 1, 1, 2, 3, 5, 8, 16))):
            self._random.choice(self._steps)(data)
        return bytes(data[:MAX_INPUT])

    def _place(self, data: bytearray) -> int:
        return self._random.randint(0, len(data))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)

    def _insert(self, data: bytearray) -> None:
        at = self._place(data)
        data[at:at] = self._random.randbytes(self._random.randint(1, 8))

    def _delete(self, data: bytearray) -> None:
        at = self._place(data)
        del data[at : at + self._random.randint(1, 40)]

    def _token(self, data: bytearray) -> None:
        at = self._place(data)
        data[at:at] = self._random.choice(self._tokens)

    def _splice(self, data: bytearray) -> None:
        other = self._random.choice(self._corpus)
        at = self._random.randint(0, len(other))
        data[self._place(data) :] = other[at:]

    def _repeat(self, data: bytearray) -> None:
        start = self._place(data)
        piece = data[start : start + self._random.randint(1, 200)]
        data[start:start] = piece * self._random.choice((1, 2, 10, 200))

    def _truncate(self, data: bytearray) -> None:
        del data[self._place(data) :]

    def _digits(self, data: bytearray) -> None:
        at = self._place(data)
        data[at:at] = b"9" * self._random.choice((1, 9, 10, 20, 5000))

    def _shuffle_lines(self, data: bytearray) -> None:
        lines = bytes(data).split(b"\n")
        self._random.shuffle(lines)
        data[:] = b"\n".join(lines)


def main(
    name: str,
    target: Target,
    documented: tuple[type[Exception], ...],
    corpus: Sequence[bytes],
    tokens: Sequence[bytes],
) -> None:
    """Run for ``--seconds``; exits with 1 when the target failed."""
    parser = argparse.ArgumentParser(description=f"fuzz {name}")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=28181)
    parser.add_argument("--input", type=Path, help="run one saved input and stop")
    options = parser.parse_args()
    if options.input is not None:
        target(options.input.read_bytes())
        return
    sys.exit(_run(name, target, documented, Mutator(corpus, tokens, options.seed), options.seconds))


def _run(
    name: str,
    target: Target,
    documented: tuple[type[Exception], ...],
    mutator: Mutator,
    seconds: float,
) -> int:
    end = time.monotonic() + seconds
    count = refused = 0
    normal = 0
    while time.monotonic() < end:
        data = mutator.next_input()
        count += 1
        before = time.process_time()
        try:
            target(data)
        except documented:
            refused += 1
        except Exception:
            traceback.print_exc()
            return _failed(name, data, "undocumented error")
        if time.process_time() - before > MAX_CPU_SECONDS:
            return _failed(name, data, f"more than {MAX_CPU_SECONDS} s of CPU")
        if count == WARM_UP:
            normal = _peak_bytes()
    growth = _peak_bytes() - normal if normal else 0
    if growth > MAX_GROWTH_BYTES:
        return _failed(name, data, f"the process grew by {growth >> 20} MiB")
    print(f"{name}: {count} inputs, {refused} refused, grew by {growth >> 10} KiB")
    return 0


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _failed(name: str, data: bytes, reason: str) -> int:
    folder = ROOT / "build" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{sha256(data).hexdigest()[:16]}.bin"
    path.write_bytes(data)
    print(f"{name}: {reason}; the input is {path.relative_to(ROOT)}", file=sys.stderr)
    return 1
