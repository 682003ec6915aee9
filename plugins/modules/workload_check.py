#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_check
short_description: Predict whether images, wheels and binaries will run on a DGX Spark, before you pull them
version_added: 1.0.0
description:
  - Gives every item a verdict for this desk - RUNS, RUNS_SLOWLY (only PTX that the driver compiles at the first start), NEEDS_REBUILD
    (code only for other GPUs, or source only), WONT_RUN (no arm64, wrong Python or libc, a library missing) or UNKNOWN with the reason -
    and says what to use instead. Whether it uses the GPU is a separate field.
  - Nothing is pulled, installed, built or started. Images are looked up in their registry from the controller with C(skopeo), or read
    from docker on the desk if they are there. Requirements are resolved by C(pip) (dry run, wheels only). Wheels are examined by
    reading parts of the archive over HTTP. Paths on the desk are examined in one module execution.
  - What is known about software too large to read comes from a dated table with an expiry date; each verdict names its rule and
    source. C(docs/workload.md) lists the rules and explains the verdicts.
  - Most of it runs on the controller in the action plugin of the same name. The desk's driver, GPU and machine come from the facts of the
    run; what a desk does not report is assumed to be as on a factory DGX Spark and is listed in RV(target.assumed).
options:
  desk:
    description:
      - Name of the desk in findings.
      - The action plugin fills in the inventory name.
    type: str
    default: desk
  images:
    description: Container images, written as for C(docker pull).
    type: list
    elements: str
    default: []
  requirements:
    description:
      - pip requirements files on the controller. Files that they include are read too, and their indexes are used.
      - Lines with hashes must hold the hash of the wheel for the desk.
    type: list
    elements: str
    default: []
  wheels:
    description: Wheels as links, as paths on the controller, or as file names that are looked up in the indexes.
    type: list
    elements: str
    default: []
  paths:
    description:
      - Absolute paths on the desk - a program, library, folder or virtual environment. Links in folders are not followed.
      - They are looked into as the login user, also where the module runs as root.
    type: list
    elements: str
    default: []
  indexes:
    description:
      - Package indexes; the first replaces PyPI, the others are queried as well. Credentials come from the link or from C(~/.netrc).
      - On the controller nothing else counts, neither pip's configuration nor its environment variables.
    type: list
    elements: str
    default: []
  python:
    description: Python version that wheels are for, such as V(3.12). Defaults to the desk's own.
    type: str
  resolve:
    description:
      - Where pip resolves. On the controller, the desk's tags and environment markers are used, so one resolution serves all desks that
        are alike; on the desk its own pip configuration counts.
      - V(auto) uses the controller, or the desk if the controller has no pip or cannot reach the index; never the desk where the link of an
        index or a constraint has a login in it.
      - V(desk) sends the links of the indexes to each desk as they stand, with a login or token in them. What C(~/.netrc) holds never is.
    type: str
    choices: [auto, controller, desk]
    default: auto
  limit:
    description: Seconds that one query to a registry or index may take.
    type: int
    default: 30
  resolve_limit:
    description: Seconds that pip may take for one set of requirements.
    type: int
    default: 600
  read_mb:
    description: Packed megabytes of machine code to read from one wheel. A larger one is judged by its table entry, if any, or is unknown.
    type: int
    default: 96
  download_mb:
    description: Megabytes of one wheel to download if an index does not serve byte ranges.
    type: int
    default: 512
  cache:
    description: Folder on the controller that caches what was seen in wheels, by checksum.
    type: str
    default: ~/.cache/dgx_spark/workload
  mirrors:
    description: Maps a registry to the mirror that is asked first, such as C(docker.io) to C(mirror.lab:5000).
    type: dict
    default: {}
  plain_http:
    description: Registries that are queried without TLS, or whose certificate is not checked.
    type: list
    elements: str
    default: []
  authfile:
    description: File with credentials for registries; defaults to those of C(podman login) and C(docker login).
    type: str
  resolve_text:
    description:
      - Requirements for pip on the desk to resolve.
      - The action plugin fills it in.
    type: str
    default: ''
  constraints_text:
    description:
      - Constraints for them.
      - The action plugin fills it in.
    type: str
    default: ''
  user:
    description: The login user, who looks into paths and runs pip on the desk; defaults to the user who became root.
    type: str
    default: ''
attributes:
  check_mode:
    description: The module only reads, so it does the same in check mode.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
  platform:
    description: DGX OS.
    support: full
    platforms: posix
requirements:
  - skopeo on the controller, for images
  - pyelftools and packaging on the controller (requirements.txt), for wheels and paths
  - pip 22.2 or newer on the controller or on the desk, for requirements
notes:
  - An image's device code cannot be seen before it is pulled; RUNS says that machine, driver and libraries match.
  - Where reports contradict each other, the verdict names the one that holds. PyTorch's warning that 12.1 lies above (8.0) - (12.0)
    is a false alarm, and so is the banner in NVIDIA's images about an unavailable compatibility mode.
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Will these images run?
  labops.dgx_spark.workload_check:
    images:
      - nvcr.io/nvidia/pytorch:25.11-py3
      - vllm/vllm-openai:latest

- name: Will these requirements run, with PyTorch's index for CUDA 13 beside PyPI?
  labops.dgx_spark.workload_check:
    requirements: [requirements.txt]
    indexes: [https://pypi.org/simple, https://download.pytorch.org/whl/cu130]

- name: Does what was installed fit this GPU?
  labops.dgx_spark.workload_check:
    paths: [/home/lab/venv, /opt/app/bin/server]
  register: check

- name: Show what does not run
  ansible.builtin.debug:
    msg: "{{ check.workload | rejectattr('verdict', 'equalto', 'RUNS') | list }}"
"""

RETURN = r"""
workload:
  description: One entry for each item.
  returned: success
  type: list
  elements: dict
  contains:
    item:
      description: What was asked for.
      type: str
    kind:
      description: image, requirement, requirements (a whole file), wheel or path.
      type: str
    verdict:
      description: RUNS, RUNS_SLOWLY, NEEDS_REBUILD, WONT_RUN or UNKNOWN.
      type: str
    gpu:
      description: How it uses the GPU once it runs - cuda, partly or none; null when that was not seen.
      type: str
    reason:
      description: Why, in words.
      type: str
    instead:
      description: What to use or do instead; empty when it runs.
      type: str
    rules:
      description: Keys of the rules that decided, as in C(docs/workload.md).
      type: list
    notes:
      description: What else is worth knowing.
      type: list
    seen:
      description: What was examined, as pairs of name and value.
      type: list
    size:
      description: Bytes to fetch.
      type: int
target:
  description: What the desk offers, and in C(assumed) what it did not report.
  returned: success
  type: dict
  contains:
    assumed:
      description: Which values are those of a factory DGX Spark.
      type: list
told:
  description: What the desk reported, packed as base64 of JSON, for the action plugin only, which removes it from the task's result.
  returned: never
  type: str
findings:
  description: WORKLOAD_RUNS, WORKLOAD_RUNS_SLOWLY, WORKLOAD_NEEDS_REBUILD, WORKLOAD_WONT_RUN, WORKLOAD_UNKNOWN, WORKLOAD_NO_ROOM.
  returned: success
  type: list
  elements: dict
"""

import base64
import json
import os
import tempfile
from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import received
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import workload, workload_pip
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import carrier, fence, pip_resolver
from ansible_collections.labops.dgx_spark.plugins.module_utils.tree import Limits, Walk


def packed(told: Mapping[str, object]) -> str:
    """One text for the controller."""
    return base64.b64encode(json.dumps(told).encode()).decode()


MARGIN = 60.0
"""Seconds for the beginning and the end of what is done as the login user."""


def seconds(paths: list) -> float:
    """How long looking into these paths may take."""
    return len(paths) * Limits().seconds + MARGIN


def resolved(live: LiveDesk, asked: dict) -> dict:
    """What pip makes of the requirements, which lie in a folder that its user alone may enter: an index may hold a login."""
    with tempfile.TemporaryDirectory(prefix="dgx-spark-") as folder:
        files = {"-r": os.path.join(folder, "requirements.txt"), "-c": os.path.join(folder, "constraints.txt")}
        live.write_text(files["-r"], workload_pip.with_indexes(asked["resolve_text"], asked["indexes"]), 0o600)
        live.write_text(files["-c"], workload_pip.literal(asked["constraints_text"]), 0o600)
        words = ["{}", *workload_pip.SHARED, "--no-cache-dir", "--report", "-"]
        command = carrier.argv(*words, *(part for option, path in files.items() for part in (option, path)))
        return workload_pip.resolve(live, command, carrier.feed(carrier.text([fence, pip_resolver])), asked["resolve_limit"])


def main() -> None:
    """Resolve on the desk when asked to, else tell what the desk offers and has."""
    module = AnsibleModule(
        argument_spec={
            "desk": {"type": "str", "default": "desk"},
            "images": {"type": "list", "elements": "str", "default": []},
            "requirements": {"type": "list", "elements": "str", "default": []},
            "wheels": {"type": "list", "elements": "str", "default": []},
            "paths": {"type": "list", "elements": "str", "default": []},
            "indexes": {"type": "list", "elements": "str", "default": []},
            "python": {"type": "str"},
            "resolve": {"type": "str", "choices": ["auto", "controller", "desk"], "default": "auto"},
            "limit": {"type": "int", "default": 30},
            "resolve_limit": {"type": "int", "default": 600},
            "read_mb": {"type": "int", "default": 96},
            "download_mb": {"type": "int", "default": 512},
            "cache": {"type": "str", "default": "~/.cache/dgx_spark/workload"},
            "mirrors": {"type": "dict", "default": {}},
            "plain_http": {"type": "list", "elements": "str", "default": []},
            "authfile": {"type": "str"},
            "resolve_text": {"type": "str", "default": ""},
            "constraints_text": {"type": "str", "default": ""},
            "user": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    asked, live = module.params, LiveDesk()
    try:
        # What others put where they may write, and what strangers publish, is nothing for root to look into.
        user = received.login_user(asked["user"]) if os.geteuid() == 0 else None
        if asked["resolve_text"]:
            resolution = live.done_as(user, lambda: resolved(live, asked), asked["resolve_limit"] + MARGIN)
            module.exit_json(changed=False, findings=[], told=packed({"resolution": resolution}))
        told = {
            "offers": workload.offers(live, live.free_bytes),
            "images": workload.images(live, asked["images"]),
            "paths": live.done_as(user, lambda: workload.paths(asked["paths"], lambda: Walk(Limits())), seconds(asked["paths"])),
        }
    except (OSError, received.ReceivedError) as error:
        module.fail_json(msg=f"{asked['desk']}: {error}")
    module.exit_json(changed=False, findings=[], told=packed(told))


if __name__ == "__main__":
    main()
