#!/usr/bin/env bash
# One clear sentence per missing tool, with the remedy.
set -u
missing=0
need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "$1 is missing. $2" >&2
    missing=1
}
need cargo "Install Rust 1.85 or newer (rustup, or your distribution's rustc and cargo)."
need node "Install Node.js 20.19 or newer."
need npm "Install npm (it comes with Node.js)."
need cc "Install a C compiler: apt-get install gcc libc6-dev"
bash "$(dirname "$0")/find-python.sh" >/dev/null || missing=1
exit $missing
