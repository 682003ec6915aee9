# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real skopeo against a real registry (Debian's docker-registry) and one that asks for tokens, all on loopback."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.image import judge_image
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import RUNS, UNKNOWN, WONT_RUN, Target
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.registry import Options, Registry
from oci_layout import Blobs, Variant, layout
from token_registry import TokenRegistry, running

TODAY = "2026-11-26"
CUDA12 = ("CUDA_VERSION=12.4.1", "NVIDIA_VISIBLE_DEVICES=all")
CUDA13 = ("CUDA_VERSION=13.0.1", "NVIDIA_REQUIRE_CUDA=cuda>=13.0", "NVIDIA_VISIBLE_DEVICES=all")
pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed (apt install skopeo)")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a docker-registry, filled by skopeo."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed (apt install docker-registry)")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = folder / "config.yml"
    settings.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: '{address}'}}\n")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(settings)], stdout=log, stderr=log)
    try:
        for _try in range(100):
            try:
                urllib.request.urlopen(f"http://{address}/v2/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        images = {
            "both": [Variant("linux/amd64", env=CUDA13), Variant("linux/arm64/v8", env=CUDA13)],
            "amd": [Variant("linux/amd64", env=CUDA13)],
            "cuda12": [Variant("linux/amd64", env=CUDA12), Variant("linux/arm64", env=CUDA12)],
            "liar": [Variant("linux/amd64"), Variant("linux/arm64", "amd64")],
        }
        for name, variants in images.items():
            blobs = Blobs()
            copy(layout(folder / name, blobs, blobs.index(variants)), f"{address}/lab/{name}:1", "--all")
        for name, variant in (("single-arm", Variant("linux/arm64")), ("single-amd", Variant("linux/amd64"))):
            blobs = Blobs()
            copy(layout(folder / name, blobs, blobs.image(variant)), f"{address}/lab/{name}:1")
        blobs = Blobs()
        copy(layout(folder / "tagged", blobs, blobs.image(Variant("linux/arm64"))), f"{address}/lab/amd:1-arm64")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def copy(source: Path, target: str, *options: str) -> None:
    command = ["skopeo", "copy", "-q", *options, "--dest-tls-verify=false", f"oci:{source}:latest", f"docker://{target}"]
    subprocess.run(command, check=True, timeout=60, capture_output=True)


def verdict(address: str, name: str, spark: Target, **options):
    return judge_image(Registry(Options(limit=5, plain_http=[address], **options)).image(f"{address}/lab/{name}"), spark, TODAY)


@pytest.mark.parametrize(
    ("name", "expected", "words"),
    [
        ("both:1", RUNS, "linux/arm64, CUDA 13.0.1"),
        ("amd:1", WONT_RUN, "no linux/arm64"),
        ("cuda12:1", UNKNOWN, "older than 12.8"),
        ("liar:1", WONT_RUN, "lists arm64"),
        ("single-arm:1", RUNS, "does not ask for a GPU"),
        ("single-amd:1", WONT_RUN, "exec format error"),
        ("none:1", UNKNOWN, "does not have it"),
        ("both:9", UNKNOWN, "does not have it"),
    ],
)
def test_a_real_registry(real: str, name: str, expected: str, words: str, spark: Target) -> None:
    found = verdict(real, name, spark)
    assert found.verdict == expected
    assert words in found.reason


def test_the_tag_for_arm_is_found(real: str, spark: Target) -> None:
    assert verdict(real, "amd:1", spark).instead == f"take {real}/lab/amd:1-arm64"


def test_a_digest_is_asked_for_as_one(real: str, spark: Target) -> None:
    digest = dict(verdict(real, "both:1", spark).seen)["digest"]
    assert verdict(real, f"both@{digest}", spark).verdict == RUNS


def test_plain_http_is_refused_unless_it_is_listed(real: str, spark: Target) -> None:
    found = judge_image(Registry(Options(limit=5)).image(f"{real}/lab/both:1"), spark, TODAY)
    assert (found.verdict, "without TLS" in found.reason) == (UNKNOWN, True)


def test_a_mirror_answers_for_its_registry(real: str, spark: Target) -> None:
    options = Options(limit=5, mirrors={"registry.invalid": real}, plain_http=[real])
    assert judge_image(Registry(options).image("registry.invalid/lab/both:1"), spark, TODAY).verdict == RUNS


@pytest.fixture
def tokens() -> Iterator[TokenRegistry]:
    with running(TokenRegistry()) as serving:
        yield serving


def test_an_anonymous_token_opens_what_is_public(tokens: TokenRegistry, spark: Target, tmp_path: Path) -> None:
    empty = tmp_path / "auth.json"
    empty.write_text("{}")
    assert verdict(tokens.address, "open:1", spark, authfile=str(empty)).verdict == RUNS
    assert set(tokens.tokens) == {None}
    private = verdict(tokens.address, "private:1", spark, authfile=str(empty))
    assert (private.verdict, "denied access" in private.reason) == (UNKNOWN, True)


def test_credentials_of_the_docker_configuration_open_what_is_private(tokens: TokenRegistry, spark: Target, tmp_path: Path) -> None:
    secret = base64.b64encode(b"lab:key").decode()
    known = tmp_path / "auth.json"
    known.write_text(json.dumps({"auths": {tokens.address: {"auth": secret}}}))
    found = verdict(tokens.address, "private:1", spark, authfile=str(known))
    assert found.verdict == RUNS
    assert secret not in str(found)
    assert f"Basic {secret}" in tokens.tokens


@pytest.mark.parametrize(
    ("name", "expected", "words"),
    [
        ("limited:1", UNKNOWN, "rate limit"),
        ("old:1", WONT_RUN, "schema 1"),
        ("garbage:1", UNKNOWN, "could not be read"),
        ("huge:1", UNKNOWN, ""),
        ("missing:1", UNKNOWN, "does not have it"),
    ],
)
def test_what_a_registry_may_answer(tokens: TokenRegistry, spark: Target, tmp_path: Path, name: str, expected: str, words: str) -> None:
    empty = tmp_path / "auth.json"
    empty.write_text("{}")
    found = verdict(tokens.address, name, spark, authfile=str(empty))
    assert found.verdict == expected
    assert words in found.reason
    assert len(found.reason) < 500


def test_a_registry_that_hangs_is_left_in_time(tokens: TokenRegistry, spark: Target) -> None:
    begun = time.monotonic()
    found = judge_image(Registry(Options(limit=2, plain_http=[tokens.address])).image(f"{tokens.address}/lab/slow:1"), spark, TODAY)
    assert (found.verdict, "did not respond in time" in found.reason) == (UNKNOWN, True)
    assert time.monotonic() - begun < 8


def test_nobody_there(spark: Target) -> None:
    found = judge_image(Registry(Options(limit=5, plain_http=["127.0.0.1:9"])).image("127.0.0.1:9/lab/x:1"), spark, TODAY)
    assert (found.verdict, "could not be reached" in found.reason) == (UNKNOWN, True)
