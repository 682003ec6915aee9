#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nccl_bundle
short_description: Build, install or remove the NCCL bundle of a DGX Spark
version_added: 1.0.0
description:
  - O(state=built) builds NCCL and nccl-tests with the steps of NVIDIA's playbook and packs them with a manifest (versions, SHA-256 of
    every file). An installed bundle that was built to the same specification is packed again instead.
  - O(state=present) unpacks a bundle, checks every file against the manifest and replaces the old one in one step.
  - Nothing is cloned or compiled on a desk other than the builder. The action plugin keeps the bundle on the controller.
options:
  state:
    description: The wanted state.
    type: str
    choices: [built, present, absent]
    default: present
  folder:
    description:
      - Folder of the bundle, below another folder. It is swapped and removed as a whole; one with other things in it is refused.
      - So is one that others than root may put something in the place of, or of a folder above it.
    type: path
    default: /opt/dgx_spark/nccl
  archive:
    description:
      - The packed bundle on the desk, for O(state=present). Root installs from its own copy, whose SHA-256 is O(sha256).
    type: path
  sha256:
    description: SHA-256 of O(archive). The action plugin computes it on the controller.
    type: str
    default: ''
  key:
    description: What the bundle was built from, as one text; bundles with the same key are identical.
    type: str
    default: ''
  library:
    description:
      - Where the library comes from. V(build) compiles O(nccl). V(system) uses the desk's packages C(libnccl2) and C(libnccl-dev),
        which are installed if they are missing. V(wheel) uses NVIDIA's Python wheel.
      - With the last two, only nccl-tests are compiled.
    type: str
    choices: [build, system, wheel]
    default: build
  nccl:
    description:
      - Source of NCCL as C(url), C(tag), C(commit) and C(archive) (a path on the desk) with its C(sha256).
      - With O(library=system), only C(version), the version of the packages.
      - With O(library=wheel), only C(archive), a wheel for aarch64, and its C(checksum).
    type: dict
    default: {}
  nccl_tests:
    description: Source of nccl-tests, like O(nccl).
    type: dict
    default: {}
  gencode:
    description: Architectures for nvcc.
    type: str
    default: -gencode=arch=compute_121,code=sm_121
  cuda_home:
    description: Folder of the CUDA toolkit.
    type: path
    default: /usr/local/cuda
  mpi_home:
    description: Folder of Open MPI; found automatically by default.
    type: path
  jobs:
    description: Parallel jobs of make; 0 means one for each CPU.
    type: int
    default: 0
  packages:
    description:
      - Packages that building needs in addition to the CUDA toolkit and its compiler; missing ones are installed and recorded.
      - git is added when a source is a repository.
    type: list
    elements: str
    default: [libopenmpi-dev, make]
  lock_timeout:
    description: Seconds to wait for the package lock.
    type: int
    default: 300
  user:
    description: The login user, who builds and whose files are received; defaults to the user who became root.
    type: str
    default: ''
  cache:
    description: Folder on the controller that keeps bundles; read by the action plugin.
    type: path
    default: ~/.cache/labops.dgx_spark/nccl_bundle
  checksum:
    description: SHA-256 of a ready bundle that O(archive) names on the controller; read by the action plugin.
    type: str
    default: ''
  builder:
    description: Name of the desk that builds; empty for the head of the first stack in the run. Read by the action plugin.
    type: str
    default: ''
  desk:
    description: Name of the desk in findings.
    type: str
    default: desk
attributes:
  check_mode:
    description: Changes nothing in check mode.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  platform:
    description: DGX OS.
    support: full
    platforms: debian
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Install a bundle that is on the desk
  labops.dgx_spark.nccl_bundle:
    archive: /var/tmp/nccl-bundle.tar.gz
  become: true
"""

RETURN = r"""
findings:
  description: Why it failed, see docs/findings.md.
  returned: on failure
  type: list
  elements: dict
manifest:
  description: The manifest of the bundle.
  returned: when built or installed
  type: dict
commands:
  description: The commands that were run.
  returned: when built
  type: list
  elements: list
archive:
  description: Where the builder desk put the bundle for the login user, who fetches it.
  returned: when built
  type: str
sha256:
  description: SHA-256 of that bundle, reported over the same connection as the module's result.
  returned: when built
  type: str
packed_again:
  description: Whether an installed bundle was packed again instead of being built.
  returned: when built
  type: bool
"""

import os
import shutil

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.one_run import claim
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import bundle, received, tools, unwritten
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import LiveDesk
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.catalogue import finding
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where


def built(given: dict, check_mode: bool) -> dict:
    """Build or pack again, and hand the archive to the user who fetches it."""
    if check_mode:
        return {"changed": True, "commands": []}
    desk, user = LiveDesk(), received.login_user(given["user"])
    with received.room() as room:
        archive = os.path.join(room, bundle.ARCHIVE)
        if bundle.repack(given["folder"].rstrip("/"), given["key"], archive):
            result = {"changed": False, "commands": [], "packed_again": True}
        else:
            made = ("nccl", "nccl_tests") if given["library"] == bundle.BUILD else ("nccl_tests",)
            cloned = [name for name in made if not given[name].get("archive")]
            tools.install(desk, [*given["packages"], *(["git"] if cloned else [])], [], given["lock_timeout"], False)
            if given["library"] == bundle.SYSTEM:
                tools.install_version(desk, bundle.SYSTEM_PACKAGES, str(given["nccl"].get("version") or ""), given["lock_timeout"])
            sources = [source(desk, name, given[option], user, room) for name, option in (("nccl", "nccl"), ("nccl-tests", "nccl_tests"))]
            spec = bundle.Spec(
                sources=(sources[0], sources[1]),
                library=given["library"],
                gencode=given["gencode"],
                cuda_home=given["cuda_home"],
                mpi_home=given["mpi_home"] or "",
                jobs=given["jobs"],
                user=user,
            )
            manifest, archive = bundle.build(desk, spec, room, given["key"])
            result = {"changed": True, "manifest": manifest, "commands": spec.commands}
        result["sha256"] = received.digest(archive)
        result["archive"] = received.handed(archive, user)
    return result


def source(desk: LiveDesk, name: str, asked: dict, user: str | None, room: str) -> bundle.Source:
    """Where a program comes from; an archive that was sent is copied and proven first."""
    words = {key: str(asked[key]) for key in ("url", "tag", "commit", "archive", "version") if asked.get(key)}
    if "archive" in words:
        words["archive"] = received.received(desk, words["archive"], str(asked.get("sha256") or ""), user, room, f"{name}.tar")
        received.lend(words["archive"], user)
    return bundle.Source(name, **words)


OWN = "/opt/dgx_spark"
"""This collection's own folder; a bundle elsewhere (folder) leaves its parent alone."""


def present(given: dict, folder: str) -> dict:
    """Install from our own copy of what was sent."""
    with received.room() as room:
        user = received.login_user(given["user"])
        archive = received.received(LiveDesk(), given["archive"], given["sha256"], user, room, bundle.ARCHIVE)
        return {"changed": True, "manifest": bundle.install(archive, folder)}


def main() -> None:
    """Build, install or remove."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["built", "present", "absent"], "default": "present"},
            "folder": {"type": "path", "default": "/opt/dgx_spark/nccl"},
            "archive": {"type": "path"},
            "sha256": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": False},
            "library": {"type": "str", "choices": list(bundle.LIBRARIES), "default": bundle.BUILD},
            "nccl": {"type": "dict", "default": {}},
            "nccl_tests": {"type": "dict", "default": {}},
            "gencode": {"type": "str", "default": "-gencode=arch=compute_121,code=sm_121"},
            "cuda_home": {"type": "path", "default": "/usr/local/cuda"},
            "mpi_home": {"type": "path"},
            "jobs": {"type": "int", "default": 0},
            "packages": {"type": "list", "elements": "str", "default": ["libopenmpi-dev", "make"]},
            "lock_timeout": {"type": "int", "default": 300},
            "user": {"type": "str", "default": ""},
            "cache": {"type": "path", "default": "~/.cache/labops.dgx_spark/nccl_bundle"},
            "checksum": {"type": "str", "default": ""},
            "builder": {"type": "str", "default": ""},
            "desk": {"type": "str", "default": "desk"},
        },
        required_if=[("state", "built", ["key"]), ("state", "present", ["archive"])],
        supports_check_mode=True,
    )
    claim(module, "nccl_bundle")
    given = module.params
    folder = given["folder"].rstrip("/")
    try:
        if given["state"] == "built":
            module.exit_json(**built(given, module.check_mode))
        if given["state"] == "absent":
            there = os.path.isdir(folder)
            bundle.refuse_foreign(folder)
            if there and not module.check_mode:
                bundle.refuse_shared(folder)
                shutil.rmtree(folder)
                if os.path.dirname(folder) == OWN:
                    LiveDesk().remove_empty_folder(OWN)
            module.exit_json(changed=there)
        if module.check_mode:
            module.exit_json(changed=True)
        module.exit_json(**present(given, folder))
    except received.ReceivedError as error:
        text = f"{given['desk']}: {error}"
        found = finding("NCCL_BUNDLE_FAILED", Where(desk=given["desk"]), text)
        module.fail_json(msg=text, findings=[found.as_dict()])
    except (bundle.BundleError, tools.ToolsError) as error:
        text = f"{given['desk']}: {error.text}"
        found = finding("NCCL_BUNDLE_FAILED", Where(desk=given["desk"]), text, evidence={"last_lines": error.said}, remedy=error.remedy)
        module.fail_json(msg=f"{text}: {error.said}"[:1500], findings=[found.as_dict()])
    except OSError as error:
        path = str(error.filename or folder)
        text = f"{given['desk']}: {path}: {error.strerror}"
        found = finding("NCCL_BUNDLE_FAILED", Where(desk=given["desk"]), text, remedy=unwritten.remedy(error, path))
        module.fail_json(msg=text, findings=[found.as_dict()])


if __name__ == "__main__":
    main()
