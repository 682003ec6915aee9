# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers that refuse with an error of their own: whatever the text, nothing else is raised, and it takes bounded time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges import docker_error
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload import require
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import (
    elf_parts,
    fatbin,
    image_reference,
    oci,
    pip_report,
    registry_error,
    requirement_lines,
    simple_index,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "schemaVersion",
                    "manifests",
                    "platform",
                    "os",
                    "architecture",
                    "digest",
                    "config",
                    "Env",
                    "Labels",
                    "layers",
                    "size",
                    "annotations",
                    "files",
                    "filename",
                    "url",
                    "hashes",
                    "install",
                    "metadata",
                    "download_info",
                    "name",
                    "version",
                    "Tags",
                    "Architecture",
                    "Os",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
READERS: dict[str, tuple[Callable[[str], Any], tuple[type[Exception], ...]]] = {
    "manifest": (oci.manifest, (oci.OciError,)),
    "configuration": (oci.configuration, (oci.OciError,)),
    "docker": (oci.docker_image, (oci.OciError,)),
    "tags": (oci.tags, (oci.OciError,)),
    "reference": (image_reference.parse, (image_reference.ReferenceProblem,)),
    "report": (pip_report.chosen, (pip_report.PipReportError,)),
    "refusal": (pip_report.refusal, ()),
    "page": (lambda text: simple_index.files("application/json", text), (simple_index.IndexPageError,)),
    "html": (lambda text: simple_index.files("text/html", text), (simple_index.IndexPageError,)),
    "lines": (requirement_lines.lines, ()),
    "require": (require.read, (require.RequireError,)),
    "registry": (registry_error.read, ()),
    "docker words": (docker_error.read, ()),
    "ptx": (fatbin.ptx_text, ()),
}


def take(name: str, text: str) -> None:
    reader, refusals = READERS[name]
    try:
        reader(text)
    except refusals as error:
        assert str(error)
        assert len(str(error)) < 1000


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(max_size=300))
def test_any_text(name: str, text: str) -> None:
    take(name, text)


@pytest.mark.parametrize("name", ["manifest", "configuration", "docker", "tags", "report", "page"])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=JSON)
def test_any_json(name: str, value: Any) -> None:
    take(name, json.dumps(value))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "piece", ["a", " ", "\n", "/", "<a href='", "[", '{"a":', "sm_", "cuda>=", "ERROR: ", "a.b_", ".target sm_9", "\\\n", "<a b='c='d='"]
)
@pytest.mark.parametrize("around", ["", "x"])
def test_long_texts_take_bounded_time(name: str, piece: str, around: str) -> None:
    begun = time.process_time()
    take(name, around + piece * (400_000 // len(piece)) + around)
    assert time.process_time() - begun < 10


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_as_a_section_or_a_file(data: bytes) -> None:
    def read_at(offset: int, count: int) -> bytes:
        return data[offset : offset + count]

    for whole in (data, b"\x50\xed\x55\xba" + data):
        try:
            fatbin.units(lambda at, count, whole=whole: whole[at : at + count], len(whole))
        except fatbin.FatbinError as error:
            assert str(error)
    for whole in (data, b"\x7fELF\x02\x01" + data):
        try:
            elf_parts.choose(lambda at, count, whole=whole: whole[at : at + count], len(whole))
        except elf_parts.ElfPartsError as error:
            assert str(error)
