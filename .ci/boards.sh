#!/usr/bin/env bash
# Install what tests on boards and in a browser need (Debian or Ubuntu, as root), and build the emulated
# board.
# usage: boards.sh [FOLDER]   FOLDER keeps the image; the tests look there, too: EDGENAS_BOARDS
set -euo pipefail
folder=${1:-${EDGENAS_BOARDS:-$HOME/.cache/edgenas-boards}}
export DEBIAN_FRONTEND=noninteractive
wanted=(openssh-server openssh-client iproute2 nftables proot qemu-user-static qemu-system-arm
    mmdebstrap e2fsprogs cpio arch-test bubblewrap chromium
    gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-none-eabi libnewlib-arm-none-eabi)
missing=()
for package in "${wanted[@]}"; do
    dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get -qq update
    apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}" > /dev/null
fi
"$(dirname "$0")/../tests/helpers/boards/make_image.sh" "$folder"
