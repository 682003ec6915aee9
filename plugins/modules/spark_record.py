#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spark_record
short_description: Record what a DGX Spark answers, without names, serials and addresses
version_added: 1.0.0
description:
  - Asks the desk everything that M(labops.dgx_spark.spark_facts) asks and writes the answers to a folder on the controller, a
    recording. C(tests/replay.py) and the simulated desks can answer from it, so a desk that misbehaves becomes a test.
  - Only what is known to be harmless is recorded; of files that may hold secrets (netplan, NetworkManager, accounts, ssh, logs), only
    the keys that the collection reads. Host names, user names, serial numbers, hardware and network addresses, ids and keys in it are
    replaced, the same name with the same stand-in everywhere. A recording that still held an original, or something that looks like a
    password, key or token, is not written.
  - The folder is for its owner only (0700). The desk's symbolic links are kept as data in C(links.yml).
  - Read-only. Run it with become to also record what only root can read.
options:
  dest:
    description: Folder on the controller below which the recording is written, in a folder named O(standin).
    type: path
    default: recordings
  standin:
    description:
      - Name that replaces the desk's. Defaults to C(recorded-01) and so on, by the desk's place in the play.
    type: str
  description:
    description: What is special about this desk, in your words. Names, addresses and secrets of the desk in it are replaced.
    type: str
    default: ''
  replace:
    description: Whether an older recording of the same name may be replaced.
    type: bool
    default: false
  login_user:
    description: User whose limits are read. Defaults to the one that Ansible logs in as.
    type: str
attributes:
  check_mode:
    description: Asks the desk and reports what would be written.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  platform:
    description: DGX OS. The recording is written on the controller.
    support: full
    platforms: posix
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Record the desk
  labops.dgx_spark.spark_record:
    description: NCCL hangs since the September update
  become: true
"""

RETURN = r"""
path:
  description: Folder of the recording on the controller.
  returned: success
  type: str
name:
  description: The stand-in name.
  returned: success
  type: str
files:
  description: How many files were recorded.
  returned: success
  type: int
commands:
  description: How many commands were recorded.
  returned: success
  type: int
left_out:
  description: How many files and commands were read but not recorded, because they are not known to be harmless.
  returned: success
  type: int
recorded:
  description: Everything that the desk answered, packed. The action plugin removes it from the result.
  returned: on the desk alone
  type: str
login_user:
  description: Whose limits were read. The action plugin removes it from the result.
  returned: on the desk alone
  type: str
"""

import base64
import json
import zlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.collect import collect
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import Options
from ansible_collections.labops.dgx_spark.plugins.module_utils.recorder import RecordingDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs.homes import LiveHomes


def main() -> None:
    """Gather once through the recorder; the action plugin on the controller sanitises and writes."""
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "default": "recordings"},
            "standin": {"type": "str"},
            "description": {"type": "str", "default": ""},
            "replace": {"type": "bool", "default": False},
            "login_user": {"type": "str"},
        },
        supports_check_mode=True,
    )
    recorder = RecordingDesk(LiveHomes())
    facts = collect(recorder, Options(login_user=module.params["login_user"]))
    packed = zlib.compress(json.dumps(recorder.recorded()).encode("utf-8", "surrogatepass"), 6)
    module.exit_json(changed=False, recorded=base64.b64encode(packed).decode(), login_user=facts.limits.user)


if __name__ == "__main__":
    main()
