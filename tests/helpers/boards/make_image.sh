#!/usr/bin/env bash
# Build the emulated ARM64 board: a root file system, unpacked without emulation, and what boots it.
# usage: make_image.sh FOLDER   (needs root, mmdebstrap, mke2fs, cpio, qemu-user-static)
# FOLDER gets rootfs/ (also used by itself, under proot), disk.img, vmlinuz, initrd.gz, user_key and
# host_key. Nothing of edgenas and no engine is in it: the tests send those.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
root=$folder/rootfs
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C

packages=base-files,base-passwd,bash,dash,coreutils,grep,sed,findutils,hostname,util-linux,mount,procps
packages+=,iproute2,openssh-server,openssh-sftp-server,python3,libgomp1,libstdc++6

if [ ! -f "$folder/disk.img" ]; then
    rm -rf "$root"
    mmdebstrap --quiet --variant=extract --architectures=arm64 --include="$packages" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$root" "$mirror"
    # what the packages' scripts would have written, were they run
    cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
    cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
    sed -i 's#^root:[^:]*:#root:x:#' "$root/etc/passwd"
    echo 'sshd:x:102:65534::/run/sshd:/usr/sbin/nologin' >> "$root/etc/passwd"
    printf 'root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n' > "$root/etc/shadow"
    echo 'hosts: files' > "$root/etc/nsswitch.conf"
    echo '127.0.0.1 localhost' > "$root/etc/hosts"
    echo emulated > "$root/etc/hostname"
    mkdir -p "$root"/{proc,sys,dev,run/sshd,tmp,root,etc/board}
    chmod 1777 "$root/tmp"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*

    for key in user_key host_key; do
        [ -f "$folder/$key" ] || ssh-keygen -q -t ed25519 -N '' -C board -f "$folder/$key"
    done
    install -m 600 "$folder/host_key" "$root/etc/board/host_key"
    install -m 600 "$folder/user_key.pub" "$root/etc/board/authorized_keys"

    cat > "$root/sbin/board-init" <<'INIT'
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /dev/pts /dev/shm /run/sshd
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
hostname emulated
ip link set lo up
card=$(ls /sys/class/net | grep -v lo | head -1)
ip addr add 10.0.2.15/24 dev "$card"
ip link set "$card" up
ip route add default via 10.0.2.2
cat > /run/sshd_config <<CONFIG
Port 22
HostKey /etc/board/host_key
AuthorizedKeysFile /etc/board/authorized_keys
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
LoginGraceTime 0
PidFile /run/sshd.pid
CONFIG
/usr/sbin/sshd -f /run/sshd_config -E /run/sshd.log
while :; do sleep 1000; done
INIT
    chmod +x "$root/sbin/board-init"
fi

# the kernel and the few modules that find the disk and the network card
apt="$folder/apt"
mkdir -p "$apt"/{lists/partial,archives/partial,etc}
: > "$apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" > "$apt/sources.list"
apt_options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$apt"
    -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status"
    -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Cache="$apt"
    -o Dir::Cache::archives="$apt/archives" -o APT::Sandbox::User=root -o Acquire::Languages=none)
if ! ls "$apt"/linux-image-*.deb > /dev/null 2>&1; then
    apt-get "${apt_options[@]}" update
    kernel=$(apt-cache "${apt_options[@]}" depends linux-image-cloud-arm64 | sed -n 's/ *Depends: \(linux-image-.*-cloud-arm64\)/\1/p' | head -1)
    (cd "$apt" && apt-get "${apt_options[@]}" download "$kernel" busybox-static)
fi

if [ ! -f "$folder/initrd.gz" ]; then
    dpkg -x "$apt"/linux-image-*.deb "$scratch/kernel"
    dpkg -x "$apt"/busybox-static_*.deb "$scratch/busybox"
    cp "$scratch"/kernel/boot/vmlinuz-* "$folder/vmlinuz"
    modules=$(echo "$scratch"/kernel/lib/modules/*)
    start=$scratch/start
    mkdir -p "$start"/{bin,dev,proc,sys,new,modules}
    cp "$scratch/busybox/bin/busybox" "$start/bin/"
    order=
    for name in virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk failover net_failover virtio_net virtio-rng; do
        file=$(find "$modules" -name "$name.ko" | head -1)
        [ -n "$file" ] && cp "$file" "$start/modules/" && order="$order $name"
    done
    cat > "$start/init" <<INIT
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
for name in $order; do /bin/busybox insmod /modules/\$name.ko; done
tries=0
while [ ! -b /dev/vda ] && [ \$tries -lt 100 ]; do /bin/busybox sleep 0.1; tries=\$((tries + 1)); done
/bin/busybox mount -t ext4 -o noatime /dev/vda /new
for folder in dev proc sys; do /bin/busybox mount --move /\$folder /new/\$folder; done
exec /bin/busybox switch_root /new /sbin/board-init
INIT
    chmod +x "$start/init"
    (cd "$start" && find . | cpio -o -H newc --quiet | gzip -1) > "$folder/initrd.gz"
fi
if [ ! -f "$folder/disk.img" ]; then
    mke2fs -q -t ext4 -F -m 0 -J size=16 -E lazy_itable_init=1 -d "$root" "$folder/disk.img.part" 1G
    mv "$folder/disk.img.part" "$folder/disk.img"
fi
