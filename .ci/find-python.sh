#!/usr/bin/env bash
# Prints the Python to build the environment with: Debian's own first (it is the fastest build), then the one on PATH.
set -u
for candidate in "${PYTHON:-}" /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] || continue
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; exit 0; }
done
echo "No usable Python >= 3.11 with venv was found. Install it: apt-get install python3 python3-venv" >&2
exit 1
