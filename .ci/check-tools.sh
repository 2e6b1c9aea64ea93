#!/usr/bin/env bash
# One clear sentence per missing tool, with the remedy.
set -u
missing=0
need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "$1 is missing. $2" >&2
    missing=1
}
# at_least TOOL VERSION REMEDY: present, but too old is as good as missing
at_least() {
    local found
    found=$(command -v "$1" >/dev/null 2>&1 && "$1" --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1)
    [ -n "$found" ] || return 0
    [ "$(printf '%s\n' "$2" "$found" | sort -V | head -n 1)" = "$2" ] && return
    echo "$1 $found is too old: $2 or newer is needed. $3" >&2
    missing=1
}
need cargo "Install Rust 1.85 or newer (rustup, or your distribution's rustc and cargo)."
need node "Install Node.js 20.19 or newer."
need npm "Install npm (it comes with Node.js)."
at_least cargo 1.85 "Install it with rustup (https://rustup.rs); Debian 12's own is 1.63."
at_least node 20.19 "Install it from https://nodejs.org; Debian 12's own is 18."
need cc "Install a C compiler: apt-get install gcc libc6-dev"
bash "$(dirname "$0")/find-python.sh" >/dev/null || missing=1
exit $missing
