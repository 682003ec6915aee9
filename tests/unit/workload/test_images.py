# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: references, what registries answer (recorded), what is judged of it. A real registry is in test_registry_live.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload import require
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.findings import judge_room
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.workload.image import TROUBLE, judge_image
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import (
    NEEDS_REBUILD,
    RUNS,
    UNKNOWN,
    WONT_RUN,
    Image,
    Judged,
    Target,
)
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import image_reference, oci, registry_error
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.registry import Options, Registry, of_docker
from oci_layout import Variant
from recorded_registry import Recorded

TODAY = "2026-11-26"
CUDA13 = ("CUDA_VERSION=13.0.1", "NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_REQUIRE_CUDA=cuda>=13.0 brand=unknown,driver>=535,driver<536")
REAL_132 = (
    "cuda>=13.2 brand=unknown,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536 brand=unknown,driver>=580,driver<581 "
    "brand=nvidia,driver>=580,driver<581 brand=cloudgaming,driver>=590,driver<591"
)


def judge(recorded: Recorded, name: str, spark: Target) -> Judged:
    return judge_image(Registry(Options(), recorded).image(name), spark, TODAY)


def of_arm(env: Sequence[str], spark: Target, name: str = "lab/x:1", labels: dict[str, str] | None = None) -> Judged:
    recorded = Recorded()
    recorded.index(name, [Variant("linux/amd64", env=env), Variant("linux/arm64", env=env, labels=labels or {})])
    return judge(recorded, name, spark)


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("ubuntu", "docker.io/library/ubuntu:latest"),
        ("vllm/vllm-openai:v0.20.0", "docker.io/vllm/vllm-openai:v0.20.0"),
        ("nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13", "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13"),
        ("localhost/x", "localhost/x:latest"),
        ("127.0.0.1:5000/lab/x:1", "127.0.0.1:5000/lab/x:1"),
        ("index.docker.io/library/ubuntu:24.04", "docker.io/library/ubuntu:24.04"),
        ("ghcr.io/a/b@sha256:" + "0" * 64, "ghcr.io/a/b@sha256:" + "0" * 64),
        ("ghcr.io/a/b:1@sha256:" + "0" * 64, "ghcr.io/a/b@sha256:" + "0" * 64),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
    ],
)
def test_references(text: str, complete: str) -> None:
    assert image_reference.parse(text).text == complete


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no name"),
        ("NVIDIA/Cuda", "lower case"),
        ("nvcr.io/nvidia/pytorch:25.11 py3", "space"),
        ("docker://ubuntu", "scheme"),
        ("ubuntu:", "not a tag"),
        ("ubuntu@sha256:12", "64 hexadecimal"),
        ("a//b", "not a repository"),
        ("x" * 600, "too long"),
        ("-rf", "not a repository"),
        ("nvcr.io/nvidia/pytorch:25.11-py3\n", "character"),
        ("ex ample.com/x", "space"),
        ("--authfile=/etc/shadow", "not a repository"),
    ],
)
def test_typos(text: str, words: str, spark: Target) -> None:
    recorded = Recorded()
    found = judge(recorded, text, spark)
    assert found.verdict == UNKNOWN
    assert words in found.reason
    assert recorded.asked == []


@pytest.mark.parametrize("text", ["https://ana:s3cr3t@nvcr.io/nvidia/x:1", "ana:s3cr3t@nvcr.io/nvidia/x:1", "docker://s3cr3t@x.lab/y"])
def test_a_login_in_a_name_is_told_nowhere(text: str, spark: Target) -> None:
    told = judge(Recorded(), text, spark)
    assert told.verdict == UNKNOWN and "s3cr3t" not in str(told)


@pytest.mark.parametrize(
    ("variants", "verdict", "words"),
    [
        ([Variant("linux/amd64"), Variant("linux/arm64")], RUNS, "linux/arm64"),
        ([Variant("linux/amd64"), Variant("linux/arm64/v8")], RUNS, "linux/arm64"),
        ([Variant("linux/arm64")], RUNS, "linux/arm64"),
        ([Variant("linux/amd64")], WONT_RUN, "no linux/arm64 in it, only linux/amd64"),
        ([Variant("linux/arm/v7"), Variant("linux/amd64")], WONT_RUN, "32-bit Arm"),
        ([Variant("linux/amd64"), Variant("linux/arm64", "amd64")], WONT_RUN, "lists arm64"),
        ([Variant("windows/arm64"), Variant("linux/amd64")], WONT_RUN, "no linux/arm64"),
        ([], UNKNOWN, "no images"),
    ],
)
@pytest.mark.parametrize("attest", [False, True])
def test_platforms(variants: list[Variant], verdict: str, words: str, attest: bool, spark: Target) -> None:
    recorded = Recorded()
    recorded.index("lab/x:1", variants, attest)
    found = judge(recorded, "lab/x:1", spark)
    assert found.verdict == verdict
    assert words in found.reason


def test_an_index_gives_the_digest_that_the_desk_would_get(spark: Target) -> None:
    recorded = Recorded()
    recorded.index("lab/x:1", [Variant("linux/amd64"), Variant("linux/arm64", size=5_000_000_000)])
    seen = dict(judge(recorded, "lab/x:1", spark).seen)
    assert seen["digest"].startswith("sha256:")
    assert seen["size"] == "5.0 GB"


def test_single_manifests(spark: Target) -> None:
    recorded = Recorded()
    recorded.single("lab/arm:1", Variant("linux/arm64"))
    recorded.single("lab/x86:1", Variant("linux/amd64"))
    assert judge(recorded, "lab/arm:1", spark).verdict == RUNS
    found = judge(recorded, "lab/x86:1", spark)
    assert (found.verdict, "exec format error" in found.reason) == (WONT_RUN, True)


def test_tags_for_arm_are_named_where_the_wanted_one_has_none(spark: Target) -> None:
    recorded = Recorded()
    recorded.index("lab/x:1.2", [Variant("linux/amd64")])
    recorded.tags["docker.io/lab/x"] = ["1.0-arm64", "1.2", "1.2-aarch64", "latest", "farm64"]
    assert judge(recorded, "lab/x:1.2", spark).instead == "take docker.io/lab/x:1.2-aarch64"
    recorded.tags["docker.io/lab/x"] = ["1.0-arm64", "latest"]
    assert judge(recorded, "lab/x:1.2", spark).instead == "take docker.io/lab/x:1.0-arm64"
    recorded.tags["docker.io/lab/x"] = ["latest"]
    assert "use an image with linux/arm64" in judge(recorded, "lab/x:1.2", spark).instead


def test_schema_1(spark: Target) -> None:
    recorded = Recorded()
    recorded.raw("lab/old:1", {"schemaVersion": 1, "architecture": "arm64", "fsLayers": [], "history": []})
    found = judge(recorded, "lab/old:1", spark)
    assert (found.verdict, found.rules) == (WONT_RUN, ("schema1",))


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        ("reading manifest 1 in docker.io/lab/x: toomanyrequests: You have reached your unauthenticated pull rate limit.", "rate_limit"),
        ("StatusCode: 429, <html>", "rate_limit"),
        ("reading manifest 1 in nvcr.io/nim/x: unauthorized: <html><head><title>401", "no_access"),
        ("requested access to the resource is denied", "no_access"),
        ("Requesting bear token: invalid status code from registry 403 (Forbidden)", "no_access"),
        ("unable to retrieve auth token: invalid username/password: unauthorized", "no_access"),
        ("manifest unknown: manifest unknown", "not_found"),
        ("name unknown: repository name not known to registry", "not_found"),
        ("pinging container registry x: dial tcp: lookup x: no such host", "no_network"),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "no_network"),
        ("x509: certificate signed by unknown authority", "certificate"),
        ("http: server gave HTTP response to HTTPS client", "plain_http"),
        ("Get https://x/v2/: context deadline exceeded", "timeout"),
        ("invalid character '<' looking for beginning of value", "not_readable"),
        ("something new", "other"),
    ],
)
def test_each_failure_has_its_sentence(stderr: str, kind: str, spark: Target) -> None:
    assert registry_error.read(stderr) == kind
    recorded = Recorded()
    recorded.fails("lab/x:1", f'time="2026" level=fatal msg="{stderr}"')
    found = judge(recorded, "lab/x:1", spark)
    assert found.verdict == UNKNOWN
    assert found.reason.startswith(TROUBLE[kind][0])
    assert found.instead == TROUBLE[kind][1]


def test_kinds_and_sentences_are_the_same_set() -> None:
    assert set(TROUBLE) == {*registry_error.KINDS, "reference"}
    assert len({sentence for sentence, _remedy in TROUBLE.values()}) == len(TROUBLE)


def test_without_skopeo_and_with_one_that_hangs(spark: Target) -> None:
    recorded = Recorded()
    recorded.fails("lab/x:1", error="missing")
    assert "skopeo is not installed" in judge(recorded, "lab/x:1", spark).reason
    recorded.fails("lab/x:1", error="timeout")
    assert "did not respond in time" in judge(recorded, "lab/x:1", spark).reason


def test_a_registry_that_is_down_is_waited_for_once(spark: Target) -> None:
    recorded = Recorded()
    recorded.fails("down.example/a:1", error="timeout")
    recorded.index("up.example/a:1", [Variant("linux/arm64")])
    registry = Registry(Options(), recorded)
    found = [registry.image(name).trouble for name in ("down.example/a:1", "down.example/b:2", "up.example/a:1", "down.example/c:3")]
    assert found == ["timeout", "timeout", None, "timeout"]
    assert sum("down.example" in call[-1] for call in recorded.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"manifests": 3}',
        b'{"schemaVersion": 2, "manifests": [1, {"platform": []}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_answers_that_are_no_manifest(body: bytes, spark: Target) -> None:
    recorded = Recorded()
    recorded.raw("lab/x:1", body)
    found = judge(recorded, "lab/x:1", spark)
    assert found.verdict == UNKNOWN
    assert len(found.reason) < 300


def test_a_digest_that_is_none_is_never_asked_for(spark: Target) -> None:
    recorded = Recorded()
    entry = {"digest": "sha256:../../x", "platform": {"os": "linux", "architecture": "arm64"}}
    recorded.raw("lab/x:1", {"schemaVersion": 2, "manifests": [entry]})
    assert judge(recorded, "lab/x:1", spark).verdict == UNKNOWN
    assert not any("@" in call[-1] for call in recorded.asked)


@pytest.mark.parametrize(
    ("env", "verdict", "rule"),
    [
        ((), RUNS, "platform"),
        (CUDA13, RUNS, "cuda-major"),
        (("CUDA_VERSION=13.2.0", f"NVIDIA_REQUIRE_CUDA={REAL_132}"), RUNS, "cuda-major"),
        (("CUDA_VERSION=13.3.1", "NVIDIA_REQUIRE_CUDA=cuda>=13.3"), WONT_RUN, "require"),
        (("CUDA_VERSION=13.3.1", "NVIDIA_REQUIRE_CUDA=cuda>=13.3", "NVIDIA_DISABLE_REQUIRE=true"), RUNS, "cuda-major"),
        (("CUDA_VERSION=13.3.1.008", "NVIDIA_REQUIRE_CUDA=cuda>=9.0", "CUDA_DRIVER_VERSION=610.43.02"), RUNS, "cuda-major"),
        (("NVIDIA_REQUIRE_CUDA=cuda>=9.0", "NVIDIA_REQUIRE_ARCH=arch>=13.0"), WONT_RUN, "require"),
        (("NVIDIA_REQUIRE_CUDA=cuda>==9",), UNKNOWN, "require"),
        (("NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_REQUIRE_X=something=1"), RUNS, "cuda-major"),
        (("CUDA_VERSION=14.0",), WONT_RUN, "cuda-major"),
        (("CUDA_VERSION=12.9.1",), RUNS, "cuda-major"),
        (("CUDA_VERSION=12.4.0",), UNKNOWN, "first-toolkit"),
        (("CUDA_VERSION=11.8.0",), UNKNOWN, "first-toolkit"),
        (("CUDA_VERSION=13.0.0", "LD_LIBRARY_PATH=/usr/local/cuda/compat:/usr/lib"), UNKNOWN, "compat-path"),
        (("CUDA_VERSION=13.0.0", "LD_LIBRARY_PATH=/usr/local/cuda/compat/lib:/usr/local/nvidia/lib"), RUNS, "cuda-major"),
        (("CUDA_VERSION=13.0.0", "TORCH_CUDA_ARCH_LIST=8.0 9.0"), NEEDS_REBUILD, "sass"),
        (("CUDA_VERSION=13.0.0", "TORCH_CUDA_ARCH_LIST=8.0 9.0+PTX"), RUNS, "cuda-major"),
        (("CUDA_VERSION=13.0.0", "TORCH_CUDA_ARCH_LIST=8.0 8.7 8.9 9.0 10.0 11.0 12.0"), RUNS, "cuda-major"),
        (("CUDA_VERSION=13.0.0", "TORCH_CUDA_ARCH_LIST=12.0a"), NEEDS_REBUILD, "sass"),
        (("CUDA_VERSION=13.0.0", "TORCH_CUDA_ARCH_LIST=12.1a"), RUNS, "cuda-major"),
        (("L4T_VERSION=35.2.1",), WONT_RUN, "jetson"),
    ],
)
def test_what_an_image_asks_of_the_driver(env: tuple[str, ...], verdict: str, rule: str, spark: Target) -> None:
    found = of_arm(env, spark)
    assert found.verdict == verdict
    assert rule in found.rules
    assert verdict == RUNS or found.instead


def test_a_newer_driver_lifts_the_requirement(spark: Target) -> None:
    env = ("CUDA_VERSION=13.3.1", "NVIDIA_REQUIRE_CUDA=cuda>=13.3")
    assert of_arm(env, replace(spark, cuda="13.3", driver="610.43.02")).verdict == RUNS


def test_gpu_use_is_a_field_of_its_own(spark: Target) -> None:
    assert of_arm((), spark).gpu == "none"
    assert of_arm(CUDA13, spark).gpu == "cuda"
    assert of_arm(("NVIDIA_VISIBLE_DEVICES=void",), spark).gpu == "none"
    assert of_arm(CUDA13, spark, "unsloth/unsloth:latest").gpu == "partly"


def test_notes_tell_what_lies_and_what_is_slow(spark: Target) -> None:
    notes = " ".join(of_arm(("CUDA_VERSION=13.2.0", "CUDA_CACHE_DISABLE=1"), spark).notes)
    assert "banner about an unavailable compatibility mode is only a warning" in notes
    assert "at every start" in notes


@pytest.mark.parametrize("name", ["nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3", "dustynv/jetson-inference:r36", "lab/x-tegra:1"])
def test_jetson_images(name: str, spark: Target) -> None:
    assert of_arm((), spark, name).rules == ("jetson",)


def test_an_old_toolkit_alone_runs_with_a_note(spark: Target) -> None:
    found = of_arm(("CUDA_VERSION=12.4.1", "NVIDIA_VISIBLE_DEVICES=all"), spark, "nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04")
    assert found.verdict == RUNS
    assert any("12.9 is the first for sm_121" in note for note in found.notes)


def test_dated_entries_expire(spark: Target) -> None:
    recorded = Recorded()
    recorded.index("unsloth/unsloth:latest", [Variant("linux/arm64", env=CUDA13)])
    image = Registry(Options(), recorded).image("unsloth/unsloth:latest")
    assert judge_image(image, spark, "2026-12-01").gpu == "partly"
    assert judge_image(image, spark, "2029-01-01").gpu == "cuda"


def test_an_image_on_the_desk_is_read_there(spark: Target) -> None:
    told = [{"Architecture": "arm64", "Os": "linux", "Size": 9_000_000_000, "Config": {"Env": list(CUDA13), "Labels": None}}]
    image = of_docker("docker.io/lab/x:1", json.dumps(told))
    found = judge_image(image, spark, TODAY)
    assert (found.verdict, found.gpu) == (RUNS, "cuda")
    assert judge_room(image, Where(desk="d"), replace(spark, free_bytes=0)) == []
    told[0]["Architecture"] = "amd64"
    assert judge_image(of_docker("x", json.dumps(told)), spark, TODAY).verdict == WONT_RUN
    for text in ("", "[]", "[{}]", "3"):
        with pytest.raises(oci.OciError):
            of_docker("x", text)


def test_room_on_the_disk(spark: Target) -> None:
    image = Image("x", "index", architecture="arm64", size=10 * 10**9)
    assert [item.code for item in judge_room(image, Where(desk="d"), replace(spark, free_bytes=20 * 10**9))] == ["WORKLOAD_NO_ROOM"]
    assert judge_room(image, Where(desk="d"), replace(spark, free_bytes=30 * 10**9)) == []
    assert judge_room(image, Where(desk="d"), replace(spark, free_bytes=None)) == []
    assert judge_room(replace(image, size=None), Where(desk="d"), spark) == []


@pytest.mark.parametrize(
    ("brand", "met"),
    [("unknown", True), ("nvidia", True), ("geforce", False), (None, None)],
)
def test_requirements_as_the_toolkit_reads_them(brand: str | None, met: bool | None) -> None:
    values = {"cuda": "13.0", "driver": "580.126.09", "arch": "12.1", "brand": brand}
    assert require.met(require.read(REAL_132), values) is met


@pytest.mark.parametrize("text", ["cuda", "cuda>>1", "cuda>=", ">=1", "cuda>=1,", "cuda >= 12", "c" * 20000])
def test_malformed_requirements(text: str) -> None:
    with pytest.raises(require.RequireError):
        require.read(text)


def test_mirrors_and_plain_http_reach_skopeo(tmp_path, monkeypatch) -> None:
    written = []

    def runner(argv, limit, *_more):
        place = argv[argv.index("--registries-conf") + 1]
        written.append(Path(place).read_text(encoding="utf-8"))
        return Recorded()(argv, limit)

    Registry(Options(mirrors={"docker.io": "mirror.lab:5000"}, plain_http=["mirror.lab:5000", "reg.lab"]), runner).image("ubuntu")
    import tomllib

    told = {item["location"]: item for item in tomllib.loads(written[0])["registry"]}
    assert told["docker.io"]["mirror"] == [{"location": "mirror.lab:5000", "insecure": True}]
    assert told["docker.io"]["insecure"] is False
    assert told["reg.lab"]["insecure"] is True
