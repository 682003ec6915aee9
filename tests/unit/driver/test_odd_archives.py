# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive writes into its lists is told by the desk that reads them, and is no answer of the desk's own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import apt_text
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes.update_look import Looker
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.update import Look
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.admission.schema import of_dataclass


@pytest.mark.parametrize("version", ["1.0;x", "9" * 5000, "2'", "1.0,2"])
def test_a_version_that_is_none_is_named(version: str) -> None:
    looker = Looker.__new__(Looker)
    said = f"Inst nvidia-driver-580-open [1.0-1] ({version} Lab:1 [arm64])\nInst fine (1.0-2 Lab:1 [arm64])\n"
    looker.desk = SimpleNamespace(run=lambda *_given, **_more: Answer((), 0, said))  # type: ignore[assignment]
    changes, refusal = looker._simulate_private(["install"])
    assert refusal is not None and "nvidia-driver-580-open" in refusal
    of_dataclass(Look)(as_dict(Look(changes=changes, refusal=refusal)), "look")


@pytest.mark.parametrize(("size", "bytes_"), [("9" * 5000, 0), ("9" * 20, 0), ("-1", 0), ("4096", 4096)])
def test_a_size_that_no_package_has_is_none(size: str, bytes_: int) -> None:
    (offer,) = apt_text.offers(f"Package: a\nVersion: 1\nFilename: pool/a.deb\nSize: {size}\nInstalled-Size: {size}\n")
    assert (offer.size, offer.installed_size) == (bytes_, bytes_ * 1024)
