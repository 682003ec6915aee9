#!/bin/sh
# Runs inside the new image's tree, as its root, after packages and rootfs/ are in place.
set -eu

# The owner's account, as the first-boot wizard would have made it. The lab sets the password of each desk.
getent group docker > /dev/null || groupadd --system docker
useradd --create-home --shell /bin/bash --uid 1000 --groups sudo,adm labadmin

# Ubuntu gives every user the sbin folders; Debian's profile takes them away again.
sed -i 's|^  PATH="/usr/local/bin:/usr/bin:/bin.*|  PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"|' /etc/profile

# uname says aarch64, and the limit of locked memory is told as DGX OS sets it.
mkdir -p /usr/lib/spark-sim
for shim in uname limits; do
    gcc -shared -fPIC -O2 -Wall -Werror -o "/usr/lib/spark-sim/$shim.so" "/opt/build/${shim}_shim.c"
done
printf '%s\n' /usr/lib/spark-sim/uname.so /usr/lib/spark-sim/limits.so > /etc/ld.so.preload
here=$(gcc -print-multiarch)
[ -e /usr/lib/aarch64-linux-gnu ] || ln -s "$here" /usr/lib/aarch64-linux-gnu

# Each desk makes its own identity at its first start.
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id
rm -f /etc/hostname /etc/hosts /etc/resolv.conf
: > /etc/hostname
: > /etc/hosts
: > /etc/resolv.conf
mkdir -p /var/log/journal

# What a container cannot or must not do (with SYS_ADMIN, systemd-binfmt would wipe this machine's registrations).
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udev-settle.service \
    systemd-udevd-kernel.socket systemd-udevd-control.socket \
    systemd-networkd-wait-online.service NetworkManager-wait-online.service \
    systemd-logind.service dbus-org.freedesktop.login1.service getty@.service console-getty.service getty.target \
    apt-daily.timer apt-daily-upgrade.timer systemd-binfmt.service \
    proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
    systemd-firstboot.service systemd-remount-fs.service sys-kernel-config.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount systemd-modules-load.service e2scrub_reap.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
ln -sf /bin/true "$(command -v udevadm)"
systemctl enable ssh.service NetworkManager.service ufw.service
systemctl disable systemd-networkd.service ssh.socket 2> /dev/null || true

# The firewall is on and lets ssh in.
# The rule comes first: with ENABLED=yes ufw would load it at once, into the firewall of the machine that builds.
sed -i 's/^ENABLED=.*/ENABLED=no/' /etc/ufw/ufw.conf
ufw allow 22/tcp
sed -i 's/^ENABLED=.*/ENABLED=yes/' /etc/ufw/ufw.conf

# No archive but the lab's own.
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/* /var/cache/apt/*.bin
rm -rf /opt/build /usr/share/doc/* /usr/share/man/*
mkdir -p /opt/desk /opt/desk-state /etc/apt/keyrings
