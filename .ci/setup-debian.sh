#!/usr/bin/env bash
# Installs from Debian what the tests against foreign programs need. Without root it says what would be skipped.
set -eu
packages=(ffmpeg sip-tester tshark chromium fonts-wqy-zenhei kamailio python3-venv gcc libc6-dev make)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "Not installed (no root): ${missing[*]}. Tests that need them are skipped; install them with: sudo bash .ci/setup-debian.sh"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
