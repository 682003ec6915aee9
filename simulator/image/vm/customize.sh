#!/bin/sh
# Runs inside the new virtual machine's tree after ../customize.sh: what is real here and only shown in a container.
set -eu
# The kernel tells the true limits; DGX OS lets everybody lock all memory.
printf '%s\n' /usr/lib/spark-sim/uname.so > /etc/ld.so.preload
mkdir -p /etc/security/limits.d /etc/systemd/system.conf.d
printf '%s\n' '* - memlock unlimited' 'root - memlock unlimited' > /etc/security/limits.d/10-memlock.conf
printf '%s\n' '[Manager]' 'DefaultLimitMEMLOCK=infinity' > /etc/systemd/system.conf.d/10-memlock.conf
# The lab works as root over ssh: a virtual machine has no other door. Its key is put in place at the first start.
printf '%s\n' 'PermitRootLogin prohibit-password' > /etc/ssh/sshd_config.d/60-lab.conf
systemctl enable lldpd.service
rm -f /boot/vmlinuz-* /boot/initrd.img-* /boot/config-* /boot/System.map-*
