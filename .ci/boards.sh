#!/usr/bin/env bash
# Install what the tests on boards need (Debian or Ubuntu, as root), and build the emulated board.
# usage: boards.sh [FOLDER]   FOLDER keeps the image; the tests look there, too: EDGENAS_BOARDS
set -euo pipefail
folder=${1:-${EDGENAS_BOARDS:-$HOME/.cache/edgenas-boards}}
export DEBIAN_FRONTEND=noninteractive
wanted=(openssh-server openssh-client iproute2 nftables proot qemu-user-static qemu-system-arm
    mmdebstrap e2fsprogs cpio arch-test)
missing=()
for package in "${wanted[@]}"; do
    dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends "${missing[@]}" > /dev/null
fi
"$(dirname "$0")/../tests/boards/make_image.sh" "$folder"
