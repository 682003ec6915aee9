#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_container
short_description: Start one GPU container on a DGX Spark and see whether it reaches the GPU
version_added: 1.0.0
description:
  - Starts a container of an arm64 image that is already on the desk, with the GPU and without network, and runs C(nvidia-smi) in it.
  - An image that is not on the desk is pulled only when O(pull=true); otherwise the result is unknown, never a pass.
options:
  desk:
    description: Name of the desk in findings.
    type: str
    default: desk
  image:
    description: The image to start. A digest (C(NAME@sha256:...)) pins it; a tag may be moved.
    type: str
    required: true
  pull:
    description: Whether to pull an image that is not on the desk.
    type: bool
    default: false
  limit:
    description: Seconds that starting the container may take; pulling may take ten times as long.
    type: int
    default: 60
attributes:
  check_mode:
    description: Starts nothing in check mode; the result is then unknown.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  platform:
    description: DGX OS.
    support: full
    platforms: posix
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: See whether containers reach the GPU
  labops.dgx_spark.gpu_container:
    image: nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04
  become: true
"""

RETURN = r"""
findings:
  description: CONTAINER_GPU_OK, CONTAINER_NOT_PROVEN or CONTAINER_GPU_FAILED with evidence and remedy.
  returned: always
  type: list
  elements: dict
commands:
  description: The exact commands that were run.
  returned: always
  type: list
  elements: list
"""

import secrets

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import TIMEOUT, LiveDesk, readings
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import workload
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.containers import judge_container, unfit
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import registry_error


def main() -> None:
    """Ask docker for the image, start it once, judge the answers."""
    module = AnsibleModule(
        argument_spec={
            "desk": {"type": "str", "default": "desk"},
            "image": {"type": "str", "required": True},
            "pull": {"type": "bool", "default": False},
            "limit": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    claim(module, "gpu_container")
    image, limit, live = module.params["image"], module.params["limit"], LiveDesk()
    commands = [["docker", "image", "inspect", image]]
    inspect = live.run(commands[0], timeout=limit)
    pull = None
    if not inspect.ok and inspect.error is None and module.params["pull"] and not module.check_mode:
        commands.append(["docker", "pull", image])
        pull = live.run(commands[-1], timeout=limit * 10)
        inspect = live.run(commands[0], timeout=limit)
    described = workload.described(image, inspect)
    run = None
    if inspect.ok and not module.check_mode and unfit(described) is None:
        query, name = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], f"dgx-spark-gpu-{secrets.token_hex(4)}"
        commands.append(["docker", "run", "--rm", "--name", name, "--network", "none", "--gpus", "all", image, *query])
        run = readings(live.run(commands[-1], timeout=limit))
        if run.error == TIMEOUT:
            # Only docker's client has ended; the image's own start may go on for ever.
            commands.append(["docker", "rm", "--force", name])
            live.run(commands[-1], timeout=limit)
    registry = registry_error.read(pull.stderr) if pull is not None and not pull.ok else None
    findings = judge_container(Where(desk=module.params["desk"]), image, inspect, run, described, pull, registry)
    module.exit_json(changed=pull is not None and pull.ok, commands=commands, findings=[item.as_dict() for item in findings])


if __name__ == "__main__":
    main()
