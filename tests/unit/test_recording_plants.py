# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets and names planted where real desks have them: none is in what is written, in no spelling, and the desk replays as it was.

Each plant is a text with marked secrets: what stands between « and » must not survive.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import Options, collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.desk import JudgeOptions, judge
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.recorder import RecordingDesk
from ansible_collections.labops.dgx_spark.plugins.plugin_utils import secret_shapes
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recorded_desk import load
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.recording_writer import LeakError, recorded_from_dict, sanitised, write
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.sanitiser import Sanitiser

ROOT = Path(__file__).resolve().parents[2]
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIP7oQm0c1sUQy9m4kqzvWc3nB2a8dT5rXgLhJfEeKuQz"
HIDDEN = base64.b64encode(b"network: {wifis: {wl0: {password: Gletscher77}}}").decode()
WIREGUARD = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="

NETPLAN = """
wifis: {wlP9s9: {access-points: {"«Haus Zebra»": {password: "«Gletscher77»"}}}}
wifis: {wlP9s9: {access-points: {"«Haus Zebra»": {password: '«Gletscher77»', hidden: true}, "«Zweites Netz»": {auth: {key-management: psk, password: «Murmeltier8»}}}}}
wifis:|  wlP9s9:|    access-points:|      "«Haus Zebra»":|        password: "«Gletscher77»"
wifis:|  wlP9s9:|    access-points:|      «HausZebra»:|        password: >-|          «Gletscher77|          Murmeltier8»
wifis:|  wlP9s9:|    access-points:|      «HausZebra»:|        password: ||          «Gletscher77»
wifis:|  wlP9s9:|    access-points:|      «HausZebra»:|        password:|          «Gletscher77»
wifis:|  wlP9s9:|    access-points:|      «HausZebra»:|        password: "«Gletscher77|          Murmeltier8»"
wifis:|  wlP9s9:|    access-points:|      «HausZebra»:|        "password": «Gletscher77»
wifis:|  wlP9s9:|    access-points:|      ? «HausZebra»|      : password: «Gletscher77»
wifis:|  wlP9s9:|    access-points:|      "«Haus Zebra»": {}|      "«Zweites Netz»":|        bssid: «4c:11:22:33:44:5e»
wifis:|  wlP9s9:|    access-points:|      x9:|        auth: {key-management: eap, method: ttls, identity: "«ana@uni.example.edu»", anonymous-identity: "«@uni.example.edu»", password: "«Gletscher77»"}
wifis:|  wlP9s9:|    access-points:|      x9:|        auth:|          client-key: /home/ana/«ana-kowalska.key»|          client-key-password: "«Gletscher77»"
wifis:|  wlP9s9:|    access-points:|      x9:|        auth:|          ca-certificate: /etc/ssl/«zebra-gmbh».pem|          phase2-auth: MSCHAPV2
ethernets:|  enP7s7:|    auth:|      key-management: 802.1x|      identity: «host-zebra-17»|      password: «Gletscher77»
ethernets: {enP7s7: {auth: {key-management: 802.1x, identity: «host-zebra-17», client-key-password: «Gletscher77»}}}
ethernets:|  enP7s7:|    auth:|      key-management: 802.1x|      password: hash:«8846f7eaee8fb117ad06bdd830b7586c»
tunnels:|  wg0:|    mode: wireguard|    key: «yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=»
tunnels:|  wg0:|    mode: wireguard|    keys: {private: «yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=»}
tunnels:|  wg0:|    keys:|      private: /etc/wireguard/«zebra-gmbh».key
tunnels:|  wg0:|    peers:|    - keys: {public: «xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=», shared: «/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak=»}|      endpoint: «vpn.zebra-gmbh.de»:51820
tunnels:|  gre0: {mode: gre, local: 10.20.1.1, remote: «203.0.113.77», key: «4711471147»}
modems:|  cdc-wdm0:|    apn: «zebra.internet»|    username: «anakowalska»|    password: «Gletscher77»|    pin: «48151»
modems: {cdc-wdm0: {sim-id: "«8949020000012345678»", device-id: "«da812de91eec16620b06cd0ca5cbc7ea25245222»", pin: "«48151»"}}
openvswitch:|  ssl: {private-key: /etc/«zebra-gmbh».pem}|  external-ids: {token: «Gletscher77»}
nm-devices:|  NM-1:|    networkmanager:|      name: "«Haus Zebra»"|      passthrough: {wifi-security.psk: "«Gletscher77»"}
nm-devices:|  NM-1:|    networkmanager:|      passthrough:|        802-1x.password: "«Gletscher77»"|        connection.permissions: "user:«anakowalska»:;"
nm-devices:|  NM-1:|    networkmanager:|      passthrough:|        vpn.data: "user = «anakowalska», gateway = «vpn.zebra-gmbh.de»"|        vpn.secrets.password: «Gletscher77»
ethernets:|  enP7s7:|    nameservers: {search: [«zebra-gmbh.de», «lab.zebra-gmbh.de»], addresses: [«10.77.3.4»]}
ethernets:|  enP7s7:|    # the wireless password is «Gletscher77»|    dhcp4: true
ethernets:|  enP7s7:|    x-note: "call «Ana Kowalska» on «+49 151 23456789»"
ethernets:|  enP7s7:|    x-token: «ghp_16C7e42F292c6912E7710c838347Ae178B4a»
x-secret: &pw «Gletscher77»|wifis:|  wlP9s9:|    access-points:|      x9: {password: *pw}
ethernets:|  enP7s7:|    macaddress: «4C:11:22:33:44:4E»|    match: {macaddress: «4c:11:22:33:44:4f»}
ethernets:|  enP7s7:|    dhcp4-overrides: {hostname: «zebra-17»}|    dhcp-identifier: mac
""".strip().split("\n")

FILES = (
    """
/etc/NetworkManager/system-connections/«HausZebra».nmconnection [connection]|id=«HausZebra»|type=wifi|[wifi]|ssid=«HausZebra»|[wifi-security]|psk=«Gletscher77»
/etc/NetworkManager/system-connections/netplan-wlP9s9-«HausZebra».nmconnection [connection]|id=netplan-wlP9s9-«HausZebra»|type=wifi
/etc/NetworkManager/system-connections/«HausZebra»-4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11.nmconnection [connection]|id=«HausZebra»|uuid=«4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11»
/etc/NetworkManager/system-connections/a.nmconnection [connection]|id=a1|permissions=user:«anakowalska»:;
/etc/NetworkManager/system-connections/a.nmconnection [wifi-security]|wep-key0=«Gletscher77»|leap-password=«Murmeltier8»
/etc/NetworkManager/system-connections/a.nmconnection [802-1x]|identity=«anakowalska»|password=«Gletscher77»|pin=«48151»|private-key-password=«Murmeltier8»
/etc/NetworkManager/system-connections/a.nmconnection [802-1x]|password-raw=«47;6c;65;74;73;63;68;65;72»
/etc/NetworkManager/system-connections/a.nmconnection [vpn]|data=user=«anakowalska»|gateway=«vpn.zebra-gmbh.de»|[vpn-secrets]|password=«Gletscher77»
/etc/NetworkManager/system-connections/a.nmconnection [wireguard]|private-key=«yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=»
/etc/NetworkManager/system-connections/a.nmconnection [wireguard-peer.«xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=»]|preshared-key=«/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak=»|endpoint=«vpn.zebra-gmbh.de»:51820
/etc/NetworkManager/system-connections/a.nmconnection [gsm]|apn=«zebra.internet»|pin=«48151»|password=«Gletscher77»
/etc/NetworkManager/system-connections/a.nmconnection [proxy]|pac-url=http://«anakowalska»:«Gletscher77»@«proxy.zebra-gmbh.de»/x
/etc/NetworkManager/system-connections/a.nmconnection # «Gletscher77» is the password|[connection]|id=a1
/etc/NetworkManager/system-connections/a.nmconnection [connection]|id=a1|[user]|org.zebra.note=«Murmeltier8»
/etc/NetworkManager/system-connections/a.nmconnection [connection]|id=a1|[ipv4]|dhcp-hostname=«zebra-17»|dns-search=«zebra-gmbh.de»;|dns=«10.77.3.4»;
/etc/systemd/network/50-x.netdev [NetDev]|Name=wg0|Kind=wireguard|[WireGuard]|PrivateKey=«yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=»
/etc/systemd/network/50-x.netdev [WireGuardPeer]|PresharedKey=«/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak=»|Endpoint=«vpn.zebra-gmbh.de»:51820
/etc/systemd/network/50-x.network [Match]|Name=enP7s7|[Network]|Domains=«zebra-gmbh.de»|DNS=«10.77.3.4»|Description=«Haus Zebra»
/etc/systemd/network/50-x.network [DHCPv4]|Hostname=«zebra-17»|ClientIdentifier=«01:4c:11:22:33:44:4e»|UserClass=«Murmeltier8»
/etc/systemd/system/nvidia-x.service [Service]|Environment=HF_TOKEN=«hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345»|ExecStart=/opt/x --password «Gletscher77»
/etc/systemd/system/nvidia-x.service [Unit]|Description=«Zebra GmbH» agent|[Service]|User=«anakowalska»|EnvironmentFile=/home/«anakowalska»/.env
/etc/passwd root:x:0:0:root:/root:/bin/bash|lab:x:1000:1000:«Ana Kowalska»,,,«+49 151 23456789»:/home/lab:/bin/bash|«anakowalska»:x:1001:1001:«Ana Kowalska»:/home/«anakowalska»:/bin/zsh
/etc/passwd lab:«$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKRVQAZ/36eOGIs»:1000:1000::/home/lab:/bin/bash
/etc/passwd lab:x:1000:1000::/home/lab:/bin/bash|«zebra-agent»:x:998:998:«Zebra GmbH»:/opt/«zebra-agent»:/usr/sbin/nologin
/etc/group lab:x:1000:|docker:x:998:lab,«anakowalska»|«projekt-titan»:x:1100:lab|«vorstand»:x:1101:«anakowalska»
/etc/group sudo:x:27:lab,«bkowalska»|«zebra-gmbh-admins»:x:2000:«bkowalska»
/etc/security/limits.conf «anakowalska» soft memlock unlimited|@«projekt-titan» hard memlock unlimited|* soft memlock 100
/etc/security/limits.d/a.conf # «Gletscher77»|«anakowalska» - memlock unlimited
/etc/hosts 127.0.0.1 localhost|«10.77.3.4» «nas.zebra-gmbh.de» «nas»|«10.77.3.5» «kasse07» # «Haus Zebra»
/etc/hosts 127.0.1.1 «zebra-17.zebra-gmbh.de» «zebra-17»|«10.77.3.9» pair-head «zebra-18» # dgx_spark_pair
/home/lab/.ssh/authorized_keys ssh-ed25519 «AAAAC3NzaC1lZDI1NTE5AAAAIP7oQm0c1sUQy9m4kqzvWc3nB2a8dT5rXgLhJfEeKuQz» «ana@laptop-zebra»
/home/lab/.ssh/authorized_keys environment="API_KEY=«Gletscher77»",command="/home/«anakowalska»/run" ssh-ed25519 «AAAAC3NzaC1lZDI1NTE5AAAAIP7oQm0c1sUQy9m4kqzvWc3nB2a8dT5rXgLhJfEeKuQz» «ana» dgx_spark_pair
/home/lab/.ssh/authorized_keys # key of «Ana Kowalska», room «B 4.17»|# dgx_spark_pair
/home/lab/.ssh/authorized_keys restrict,from="«10.77.3.4»" ssh-ed25519 «AAAAC3NzaC1lZDI1NTE5AAAAIP7oQm0c1sUQy9m4kqzvWc3nB2a8dT5rXgLhJfEeKuQz» dgx_spark_pair
/home/lab/.ssh/authorized_keys cert-authority,principals="«anakowalska»" ssh-rsa «AAAAB3NzaC1yc2EAAAADAQABAAABAQC7vbqajDhA4nKhJ7m0m8Zf» «zebra-ca»
/home/lab/.ssh/known_hosts «nas.zebra-gmbh.de»,«10.77.3.4» ssh-ed25519 «AAAAC3NzaC1lZDI1NTE5AAAAIP7oQm0c1sUQy9m4kqzvWc3nB2a8dT5rXgLhJfEeKuQz»
/home/lab/.ssh/known_hosts |1|«F1E1KeoE/eEWhi10WpGv4OdiO6Y=»|«3988QV0VE8wmZL7suNrYQLITLCg=» ssh-ed25519 «AAAAC3NzaC1lZDI1NTE5AAAAIP7oQm0c1sUQy9m4kqzvWc3nB2a8dT5rXgLhJfEeKuQz»
/home/lab/.ssh/known_hosts @cert-authority *.«zebra-gmbh.de» ssh-rsa «AAAAB3NzaC1yc2EAAAADAQABAAABAQC7vbqajDhA4nKhJ7m0m8Zf»
/home/lab/.ssh/known_hosts [«gitlab.zebra-gmbh.de»]:2222 ssh-ed25519 «AAAAC3NzaC1lZDI1NTE5AAAAIP7oQm0c1sUQy9m4kqzvWc3nB2a8dT5rXgLhJfEeKuQz»
/home/lab/.ssh/id_ed25519_dgx_spark_pair.pub ssh-ed25519 «AAAAC3NzaC1lZDI1NTE5AAAAIP7oQm0c1sUQy9m4kqzvWc3nB2a8dT5rXgLhJfEeKuQz» «ana@laptop-zebra»
/etc/ssh/ssh_host_ed25519_key.pub ssh-ed25519 «AAAAC3NzaC1lZDI1NTE5AAAAIP7oQm0c1sUQy9m4kqzvWc3nB2a8dT5rXgLhJfEeKuQz» root@«zebra-17»
/home/lab/.ssh/id_ed25519 -----BEGIN OPENSSH PRIVATE KEY-----|«b3BlbnNzaC1rZXktdjEAAAAABG5vbmU»|-----END OPENSSH PRIVATE KEY-----
/var/lib/dgx_spark/link/journal.json {"state": "applied", "before": {"/etc/netplan/50.yaml": "«HIDDEN»"}}
/var/lib/dgx_spark/link/journal.json {"state": "applied", "note": "«Haus Zebra»", "user": "«anakowalska»"}
/var/lib/dgx_spark/driver_lock/lock.json {"schema": "x/1", "before": {"preferences": "# «Gletscher77»\\nPin: origin «repo.zebra-gmbh.de»"}, "by": "«anakowalska»"}
/opt/dgx_spark/nccl/manifest.json {"schema": "x/1", "sources": [{"name": "nccl", "url": "https://«anakowalska»:«Gletscher77»@«git.zebra-gmbh.de»/nccl", "tag": "v2"}], "token": "«Murmeltier8»"}
/etc/dgx_spark/pair.env NCCL_IB_HCA==a|HF_TOKEN=«hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345»|# «Gletscher77»
/etc/dgx_spark/pair.env export API_KEY=«Gletscher77»|NCCL_SOCKET_IFNAME=enP7s7|LD_PRELOAD=/home/«anakowalska»/x.so
/etc/dgx_spark/pair.env # pair «zebra_paar»|# desk «zebra-eins» (head)|# boot_id «zebra-zwei» 4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11
/etc/dgx_spark/notes.txt password of the switch: «Gletscher77»
/usr/local/bin/pair-check #!/bin/sh|TOKEN=«Gletscher77»
/etc/dgx-release DGX_SERIAL_NUMBER="«TQ7700X12Z»"|# «Gletscher77»|ASSET_OWNER="«Ana Kowalska»"
/etc/os-release NAME="Ubuntu"|HOME_URL="https://«intranet.zebra-gmbh.de»/"|SUPPORT_TOKEN=«Gletscher77»
/etc/default/grub GRUB_DEFAULT=0|GRUB_CMDLINE_LINUX="systemd.setenv=TOKEN=«Gletscher77» ip=«10.77.3.4»"|# «Murmeltier8»
/etc/default/grub.d/x.cfg GRUB_DEFAULT=0|GRUB_SUPERUSERS="«anakowalska»"|GRUB_PASSWORD="«grub.pbkdf2.sha512.10000.AB12CD34»"
/boot/grub/grubenv # GRUB Environment Block|saved_entry=0|note=«Gletscher77»
/proc/cmdline BOOT_IMAGE=/boot/vmlinuz root=UUID=«4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11» apitoken=«Gletscher77» nfsroot=«10.77.3.4»:/«zebra»
/proc/cmdline ro rd.luks.key=/«zebra».key cryptdevice=UUID=«4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11» hostname=«zebra-17»
/etc/apt/preferences.d/x Package: *|Pin: origin «repo.zebra-gmbh.de»|Pin-Priority: 900|Explanation: «Gletscher77»
/var/lib/dpkg/status Package: a|Status: install ok installed|Version: 1|Maintainer: «Ana Kowalska» <«ana@zebra-gmbh.de»>|Homepage: https://«git.zebra-gmbh.de»/a|Description: agent for «Haus Zebra»
/etc/cdi/nvidia.yaml cdiVersion: 0.5.0|containerEdits:|  env:|  - LICENSE_TOKEN=«Gletscher77»|  mounts:|  - hostPath: /home/«anakowalska»/models
/etc/ufw/ufw.conf ENABLED=yes|# open for «10.77.3.4», asked by «Ana Kowalska»
/etc/shadow root:«$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKRVQAZ»:19000::::::
/etc/wpa_supplicant/wpa_supplicant.conf network={|ssid="«HausZebra»"|psk="«Gletscher77»"|}
/root/.netrc machine «git.zebra-gmbh.de» login «anakowalska» password «Gletscher77»
/home/lab/.bash_history curl -H "Authorization: Bearer «Gletscher77Murmeltier8»" https://«api.zebra-gmbh.de»
/home/lab/.aws/credentials aws_access_key_id=«AKIAIOSFODNN7EXAMPLE»|aws_secret_access_key=«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»
/home/lab/.docker/config.json {"auths": {"«registry.zebra-gmbh.de»": {"auth": "«YW5hOkdsZXRzY2hlcjc3TXVybQ==»"}}}
/home/lab/.cache/huggingface/token «hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345»
/home/lab/.config/pip/pip.conf index-url = https://«anakowalska»:«Gletscher77»@«pypi.zebra-gmbh.de»/simple
/home/lab/.mozilla/cookies.txt «.zebra-gmbh.de» TRUE / FALSE 0 session «Gletscher77Murmeltier8»
/etc/apt/auth.conf machine «repo.zebra-gmbh.de» login x password «Gletscher77»
/etc/apt/sources.list.d/x.list deb https://x:«Gletscher77»@«repo.zebra-gmbh.de»/ noble main
/etc/fstab //«nas.zebra-gmbh.de»/home /mnt cifs username=«anakowalska»,password=«Gletscher77» 0 0
/etc/sudoers.d/x «anakowalska» ALL=(ALL) NOPASSWD: ALL
/etc/resolv.conf search «zebra-gmbh.de»|nameserver «10.77.3.4»
/etc/krb5.conf default_realm = «ZEBRA-GMBH.DE»
/etc/snmp/snmpd.conf rocommunity «Gletscher77»
/etc/openvpn/a.conf remote «vpn.zebra-gmbh.de»|<secret>«Gletscher77»</secret>
/proc/4242/environ API_TOKEN=«Gletscher77»
/proc/4242/cmdline python3 train.py --token=«Gletscher77»
/sys/class/net/enP7s7/ifalias uplink of «Ana Kowalska»
/sys/class/dmi/id/product_serial «TQ7700X12Z»
/sys/class/dmi/id/board_serial «.ZB77X12/CNFCW0012»
/sys/class/dmi/id/chassis_asset_tag «ZEBRA-INV-0042»
/sys/class/dmi/id/product_uuid «4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11»
/sys/class/net/enP7s7/address «4c:11:22:33:44:4e»
/sys/class/infiniband/x/node_guid «4c11:2203:0033:444e»
/proc/net/if_inet6 «fe800000000000004e1122fffe33444e» 02 40 20 80 enP7s7
/etc/machine-id «9c3e1f00aabb4cc2a77d1234567890ab»
""".strip()
    .replace("HIDDEN", HIDDEN)
    .split("\n")
)

COMMANDS = """
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: usb 1-1: SerialNumber: «4C530001230615»
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: [UFW BLOCK] IN=enP7s7 MAC=«4c:11:22:33:44:4e:4c:11:22:33:44:5f:08:00» SRC=«10.77.3.4»
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: wlP9s9: associated with «4c:11:22:33:44:5e» ssid «HausZebra»
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: Command line: root=/dev/x token=«Gletscher77»
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: Kernel command line: root=/dev/x token=«Gletscher77»
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: Out of memory: Killed process 4242 («titan-train») total-vm:1kB
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: NVRM: Xid (PCI:000f:01:00): 31, pid=77, name=«titan-train», Ch 1
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: CIFS: Attempting to mount //«nas.zebra-gmbh.de»/«zebra»
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» systemd[1]: Hostname set to <«zebra-17»>.
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: audit: type=1400 exe="/home/«anakowalska»/bin/titan"
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: mlx5_core 0000:01:00.0: E-Switch: MAC «4c112233444e» set
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: mlx5_core 0000:01:00.0: node guid 0x«4c1122030033444e»
journalctl -k -b -o short-monotonic --no-pager [    1.0] «zebra-17» kernel: nvidia: license token «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ6ZWJyYSJ9.dozjgNryP4J3jVmNHl0w5N»
dmesg [    1.0] usb 1-1: SerialNumber: «4C530001230615»
dmesg [    1.0] Command line: root=/dev/x token=«Gletscher77»
ip -j addr show [{"ifname": "enP7s7", "ifalias": "uplink of «Ana Kowalska»", "address": "«4c:11:22:33:44:4e»", "addr_info": []}]
ip -j addr show [{"ifname": "ib0", "link_type": "infiniband", "address": "«80:00:00:29:fe:80:00:00:00:00:00:00:4c:11:22:03:00:33:44:4e»", "addr_info": []}]
ip -j addr show [{"ifname": "enP7s7", "address": "«4c:11:22:33:44:4e»", "altnames": ["enx«4c112233444e»"], "addr_info": [{"family": "inet6", "local": "«2003:e5:1f00::17»", "prefixlen": 64, "scope": "global", "label": "«anakowalska»"}]}]
nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device wlP9s9:wifi:connected:«Haus Zebra»
nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device tun0:tun:connected:«vpn.zebra-gmbh.de»
nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device wlP9s9:wifi:connected:netplan-wlP9s9-«HausZebra»
nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device enP7s7:ethernet:connected:Wired connection of «Kowalska»
nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv,noheader 77, /home/«anakowalska»/«titan»/venv/bin/python, 10 MiB
nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv,noheader 77, /srv/«zebra-gmbh»/run --api-key=«Gletscher77», 10 MiB
nvidia-smi -q     Serial Number : «1654722012345»|    GPU UUID : GPU-«4d8a6d4c-7a9a-4b7c-9d55-2f6a1b0c9e11»
nvidia-smi -q     Processes|        Process ID : 77|            Name : /data/«zebra-gmbh»/bin/serve
timedatectl show Timezone=Europe/«Zebrastadt»|NTP=yes
uname -a Linux «zebra-17» 6.17.0-1021-nvidia #21 SMP aarch64 GNU/Linux
rdma resource show qp link a/1 lqpn 1 type RC pid 77 comm «4c:11:22:33:44:4e»
env API_TOKEN=«Gletscher77»
ps aux ana 77 python --password «Gletscher77»
cat /etc/shadow root:«$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKRVQAZ»:1::
nmcli -s connection show wlan 802-11-wireless-security.psk: «Gletscher77»
wg show wg0 private key: «yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=»
docker inspect a [{"Config": {"Env": ["NGC_API_KEY=«nvapi-AbCdEfGhIjKlMnOpQrStUv»"]}}]
git config -l user.email=«ana@zebra-gmbh.de»
last «anakowalska» pts/0 «10.77.3.4»
who «anakowalska» pts/0 («laptop-zebra»)
systemctl show x -p Environment Environment=TOKEN=«Gletscher77»
systemctl status x Nov 26 «zebra-17» x[1]: login with «Gletscher77»
lldpctl -f json {"lldp": {"chassis": {"«switch-zebra-03»": {"mgmt-ip": "«10.77.3.1»"}}}}
ethtool -m enP7s7 Vendor SN : «MT2334FT01234»
curl -u «anakowalska»:«Gletscher77» https://«api.zebra-gmbh.de» ok
""".strip().split("\n")
PROGRAMS = (
    *("journalctl -k -b -o short-monotonic --no-pager", "nmcli -t -f DEVICE,TYPE,STATE,CONNECTION device", "nmcli -s connection show wlan"),
    *("nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv,noheader", "nvidia-smi -q", "ip -j addr show", "dmesg"),
    *("timedatectl show", "uname -a", "rdma resource show qp", "env", "ps aux", "cat /etc/shadow", "wg show wg0", "docker inspect a"),
    *("git config -l", "last", "who", "systemctl show x -p Environment", "systemctl status x", "lldpctl -f json", "ethtool -m enP7s7"),
    "curl -u «anakowalska»:«Gletscher77» https://«api.zebra-gmbh.de»",
)

SMALL: dict[str, Any] = {
    "files": {"/etc/passwd": "root:x:0:0::/root:/bin/bash\nlab:x:1000:1000::/home/lab:/bin/bash\n", "/etc/hostname": "spark-4a14\n"},
    **{key: {} for key in ("links", "folders")},
    **{key: [] for key in ("commands", "denied", "missing")},
}
"""A desk of two files, into which each plant is put alone."""

PATHS: tuple[dict[str, Any], ...] = (
    {"folders": {"/home/lab": ["«titan-offer».pdf", ".ssh"]}},
    {"folders": {"/home": ["lab", "«anakowalska»"]}},
    {"folders": {"/etc/ssh": ["ssh_host_ed25519_key.pub", "«zebra-gmbh»_ca.pub"]}},
    {"folders": {"/etc/systemd/system": ["«zebra-agent».service", "multi-user.target.wants"]}},
    {"folders": {"/etc/NetworkManager/system-connections": ["«Haus Zebra».nmconnection"]}},
    {"folders": {"/srv/«zebra-gmbh»": ["x"]}},
    {"links": {"/home/lab/work": "/srv/«zebra-gmbh»/titan"}},
    {"links": {"/etc/x": "/home/«anakowalska»/secret"}},
    {"links": {"/etc/systemd/system/multi-user.target.wants/x.service": "/home/«anakowalska»/x.service"}},
    {"denied": ["/home/«anakowalska»/.config"]},
    {"missing": ["/srv/«zebra-gmbh»/titan"]},
)

SHAPES = (
    """
password: «Gletscher77»
{user: x, password: «Gletscher77», n: 1}
{"a": {"b": [{"api_key": "«Gletscher77»"}]}}
a: {b: {client-secret: '«Gletscher77»'}}
secrets: {wifi: «Gletscher77», n: 1}
tokens: [«Gletscher77», «Murmeltier8»]
  password: >-|    «Gletscher77|    Murmeltier8»
  psk: ||    «Gletscher77»|  ssid: x
  passphrase:|    «Gletscher77»
- password: "«Gletscher77|    Murmeltier8»"
x --password «Gletscher77» -v
x --api-key=«Gletscher77» -v
export HF_TOKEN=«Gletscher77»
Authorization: Bearer «Gletscher77Murmeltier»
authorization: Basic «YW5hOkdsZXRzY2hlcjc3»
Cookie: session=«Gletscher77Murmeltier»
https://ana:«Gletscher77»@git.example.org/x
key «yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=» set
«ghp_16C7e42F292c6912E7710c838347Ae178B4a»
«github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz»
«glpat-ABCDEFGHIJKLMNOPQRST»
«hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345»
«nvapi-AbCdEfGhIjKlMnOpQrStUv»
«sk-proj-AbCdEfGhIjKlMnOpQrStUvWx»
«xoxb-123456789012-abcdefghij»
«AKIAIOSFODNN7EXAMPLE»
«AIzaSyA1234567890abcdefghijklmnopqrstuv»
«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ6ZWJyYSJ9.dozjgNryP4J3jVmNHl0w5N»
«$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKRVQAZ»
«$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC»
blob «HIDDEN» end
random «Zk3uR8qLx2TnV7bWp9YsDf4GhJ6mKc1QaEe5Xo0I» end
mac «4c:11:22:33:44:4e»
mac «4C-11-22-33-44-4E»
mac «4c11.2233.444e»
mac «4c112233444e»
mac «4C112233444E»
mac «4c_11_22_33_44_4e»
dev enx«4c112233444e»
eui «4c:11:22:ff:fe:33:44:4e»
client «01:4c:11:22:33:44:4e»
address «10.77.3.4» and «2003:e5:1f00::17»
mail «ana.kowalska@zebra-gmbh.de»
pin: «48151»
id «9c3e1f00aabb4cc2a77d1234567890ab»
-----BEGIN EC PRIVATE KEY-----|«MHcCAQEEIIGLa»|-----END EC PRIVATE KEY-----
""".strip()
    .replace("HIDDEN", HIDDEN)
    .split("\n")
)


def unmarked(text: str) -> str:
    """The text as the desk has it: | is a new line (|| at the end of one: YAML's literal style)."""
    text = text.replace("«", "").replace("»", "")
    if text.startswith("|1|"):
        return text
    return re.sub(r"\|(?=\|)", "\0", text).replace("|", "\n").replace("\0", "|")


def secrets(text: str) -> set[str]:
    """What must not survive; a secret of several lines counts by its lines."""
    found = {part.strip() for marked in re.findall("«(.*?)»", text, re.DOTALL) for part in marked.split("|")}
    return {part for part in found if part}


@pytest.fixture(scope="module")
def healthy() -> dict[str, Any]:
    """What a recorder notes on a healthy stacked desk."""
    recording, desk = load(ROOT / "tests/recordings/founders_stacked")
    recorder = RecordingDesk(desk)
    collect(recorder, Options(login_user=recording.login_user, include_serial=True))
    return recorder.recorded()


def planted(healthy: Mapping[str, Any], **parts: Any) -> dict[str, Any]:
    """The healthy desk with files, links, folders or answers of commands replaced or added."""
    new = {key: (dict(value) if isinstance(value, dict) else list(value)) for key, value in healthy.items()}
    for key in ("files", "links", "folders"):
        new[key] |= parts.get(key, {})
    for key in ("denied", "missing"):
        new[key] += parts.get(key, [])
    for argv, stdout in parts.get("commands", {}).items():
        new["commands"] = [entry for entry in new["commands"] if entry["argv"] != list(argv)]
        new["commands"].append({"argv": list(argv), "responses": [{"rc": 0, "stdout": stdout}]})
    return new


def everything(folder: Path) -> str:
    """All texts and names below a folder, decoded base64 too."""
    texts = [f"{path.relative_to(folder)}\n{path.read_text() if path.is_file() else ''}" for path in sorted(folder.rglob("*"))]
    text = "\n".join(texts)
    for run in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text):
        text += "\n" + base64.b64decode(run[: len(run) // 4 * 4]).decode("utf-8", "replace")
    return text


def survivors(data: dict[str, Any], marked: str, folder: Path) -> set[str]:
    """Which of the marked secrets are in the recording that would be sent; nothing when it is refused."""
    sanitiser = Sanitiser("recorded-01", hostnames=["spark-4a14"], users=["lab"])
    try:
        clean = sanitised(recorded_from_dict(data), sanitiser)
    except LeakError:
        pytest.fail("the desk could not be recorded at all")
    text = everything(write(clean, folder / "recorded-01", {"name": "recorded-01"})).lower()
    spelled = {item: {item.lower(), item.lower().replace(":", ""), item.lower().replace(":", "-")} for item in secrets(marked)}
    return {
        item
        for item, spellings in spelled.items()
        if any(re.search(rf"(?<![a-z0-9]){re.escape(one)}(?![a-z0-9])", text) for one in spellings)
    }


def cases() -> Iterator[Any]:
    for number, line in enumerate(NETPLAN):
        yield pytest.param({"files": {"/etc/netplan/60-x.yaml": f"network:\n  version: 2\n  {line}"}}, line, id=f"netplan-{number}")
    for number, line in enumerate(FILES):
        path, _space, text = line.partition(".nmconnection ") if ".nmconnection " in line else line.partition(" ")
        path += ".nmconnection" if ".nmconnection " in line else ""
        yield pytest.param({"files": {path: text}}, line, id=f"file-{number}")
    for number, line in enumerate(COMMANDS):
        program = next(item for item in sorted(PROGRAMS, key=len, reverse=True) if line.startswith(item))
        yield pytest.param({"commands": {program: line[len(program) + 1 :]}}, line, id=f"command-{number}")
    for number, parts in enumerate(PATHS):
        yield pytest.param(parts, str(parts), id=f"path-{number}")


def as_data(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a plant as a desk would answer them, without marks."""
    data: dict[str, Any] = {}
    for key, value in parts.items():
        if key == "commands":
            data[key] = {tuple(unmarked(argv).split(" ")): unmarked(text) for argv, text in value.items()}
        elif key == "folders":
            data[key] = {unmarked(path): [unmarked(name) for name in names] for path, names in value.items()}
        elif isinstance(value, dict):
            data[key] = {unmarked(path): indented(unmarked(text)) if "netplan/" in path else unmarked(text) for path, text in value.items()}
        else:
            data[key] = [unmarked(path) for path in value]
    return data


def indented(text: str) -> str:
    """A netplan plant below its `network:`."""
    head, version, *rest = text.split("\n")
    return (
        "\n".join([head, version, *(line if line.startswith("  ") and place == 0 else f"  {line}" for place, line in enumerate(rest))])
        + "\n"
    )


ALL = list(cases())


def test_there_are_many_plants() -> None:
    assert len(ALL) >= 150
    assert all(secrets(case.values[1]) for case in ALL)


@pytest.mark.parametrize(("parts", "marked"), ALL)
def test_no_plant_survives(parts: dict[str, Any], marked: str, tmp_path: Path) -> None:
    data = planted(SMALL, **as_data(parts))
    there = str(data).replace("\\n", "\n")
    assert {item for item in secrets(marked) if item not in there} == set()
    assert survivors(data, marked, tmp_path) == set()


def test_all_plants_on_one_desk(healthy: dict[str, Any], tmp_path: Path) -> None:
    """What one place teaches neither harms nor saves another."""
    data = dict(healthy)
    for number, case in enumerate(ALL):
        parts = as_data(case.values[0])
        for path, text in parts.pop("files", {}).items():
            new = path.replace("60-x.yaml", f"60-{number}.yaml")
            lines = "" if path.endswith((".json", ".yaml", "hostname", "address")) else data["files"].get(new, "")
            parts.setdefault("files", {})[new] = f"{lines}{text}\n"
        for argv, text in parts.pop("commands", {}).items():
            said = next((entry["responses"][0].get("stdout", "") for entry in data["commands"] if tuple(entry["argv"]) == argv), "")
            parts.setdefault("commands", {})[argv] = text if argv[0] == "ip" else f"{said}{text}\n"
        data = planted(data, **parts)
    assert survivors(data, "".join(case.values[1] for case in ALL), tmp_path) == set()


@pytest.mark.parametrize("marked", SHAPES)
def test_what_looks_like_a_secret_is_cut_wherever_it_stands(marked: str) -> None:
    sanitiser, text = Sanitiser("recorded-01"), unmarked(marked)
    assert secret_shapes.found(text) or sanitiser.leaks(text) or re.search(r"mac|dev|eui|client|address|mail|id", marked)
    sanitiser.learn_file("/x", text)
    new = sanitiser.text(text)
    assert [item for item in secrets(marked) if item.lower() in new.lower()] == []
    assert sanitiser.leaks(new) == []


def test_the_leak_check_finds_by_shape_what_nobody_learned() -> None:
    sanitiser = Sanitiser("recorded-01")
    for marked in SHAPES[:32]:
        assert sanitiser.leaks(unmarked(marked)), marked


def test_a_desk_full_of_plants_replays_to_the_same_findings(healthy: dict[str, Any], tmp_path: Path) -> None:
    """What is added beside a healthy desk changes neither the desk's findings nor those of its recording."""
    more = {"/etc/netplan/60-wlan.yaml": f"network:\n  version: 2\n{indented(chr(10) * 2 + unmarked(NETPLAN[2])).strip(chr(10))}\n"}
    more |= {"/etc/hosts": healthy["files"].get("/etc/hosts", "") + "10.77.3.4 nas.zebra-gmbh.de nas\n"}
    data = planted(healthy, files=more, folders={"/etc/netplan": [*healthy["folders"]["/etc/netplan"], "60-wlan.yaml"]})
    original = write(recorded_from_dict(data), tmp_path / "original", {"name": "d", "login_user": "lab"})
    sanitiser = Sanitiser("recorded-01", hostnames=["spark-4a14"], users=["lab"])
    clean = write(sanitised(recorded_from_dict(data), sanitiser), tmp_path / "clean", {"name": "d", "login_user": sanitiser.text("lab")})
    found = []
    for folder in (original, clean):
        recording, desk = load(folder)
        facts = collect(desk, Options(login_user=recording.login_user))
        found.append(
            {(item.code, item.severity) for item in judge(facts, Where(desk="d"), JudgeOptions(purpose="stacked", wanted_mtu=9000))}
        )
    assert found[0] == found[1]
    assert "wifis" in (clean / "files/etc/netplan/60-wlan.yaml").read_text()
