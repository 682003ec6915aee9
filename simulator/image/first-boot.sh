# Runs in a new desk before its systemd (nsenter, mount namespace only). The lab sets the variables in front.
set -eu
printf '%s\n' "$DESK_HOSTNAME" > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost ip6-loopback\n' "$DESK_HOSTNAME" > /etc/hosts
printf 'labadmin:%s\n' "$DESK_PASSWORD" | chpasswd
if [ "$DESK_RENDERER" = networkd ]; then
    ln -sf /dev/null /etc/systemd/system/NetworkManager.service
    SYSTEMD_OFFLINE=1 systemctl --quiet enable systemd-networkd.service 2> /dev/null
    printf 'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    %s:\n      dhcp4: true\n' \
        "$DESK_MANAGEMENT" > /etc/netplan/50-cloud-init.yaml
    chmod 600 /etc/netplan/50-cloud-init.yaml
else
    printf 'network:\n  version: 2\n  renderer: NetworkManager\n' > /etc/netplan/01-network-manager-all.yaml
    chmod 600 /etc/netplan/01-network-manager-all.yaml
fi
if [ -n "$DESK_AUTHORIZED_KEY" ]; then
    mkdir -p /home/labadmin/.ssh
    printf '%s\n' "$DESK_AUTHORIZED_KEY" > /home/labadmin/.ssh/authorized_keys
    chmod 700 /home/labadmin/.ssh
    chmod 600 /home/labadmin/.ssh/authorized_keys
    chown -R labadmin:labadmin /home/labadmin/.ssh
fi
