from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import Answer
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import workload
from ansible_collections.labops.dgx_spark.plugins.module_utils.judges.containers import judge_container, judge_docker_group, unfit
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.finding import Where
from ansible_collections.labops.dgx_spark.plugins.modules import gpu_container

HERE = Where(desk="d-1")
THERE = Answer(("docker",), 0, '[{"Architecture": "arm64", "Os": "linux"}]')
ABSENT = Answer((), 1, "", "Error response from daemon: No such image: x")
REFUSED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "
    '"http://%2Fvar%2Frun%2Fdocker.sock/v1.51/images/x/json": dial unix /var/run/docker.sock: connect: permission denied'
)
DOWN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
PLATFORM = (
    "WARNING: The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8) and no specific "
    "platform was requested\nexec /usr/bin/nvidia-smi: exec format error"
)
MOUNT = (
    "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "could not apply required modification to OCI specification: failed to fulfil mount request: open "
    "/usr/lib/aarch64-linux-gnu/libnvidia-gtk3.so.580.159.03: no such file or directory"
)
FAILED = "CONTAINER_GPU_FAILED"
CLI = "nvidia-container-cli:"
NO_NVML = "initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory"
START = (
    "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc "
    "create failed: unable to start container process: error during container init: error running prestart hook #0: exit status 1, stdout: "
    ", stderr: Auto-detected mode as 'legacy'\n"
)
BANNER = (
    "==========\n== CUDA ==\n==========\n\nCUDA Version 13.0.1\n\nContainer image Copyright (c) 2016-2023, NVIDIA CORPORATION.\n\n"
    "NVIDIA GB10\n"
)


@pytest.mark.parametrize(
    ("inspect", "run", "code", "severity"),
    [
        (THERE, Answer((), 0, "NVIDIA GB10\n"), "CONTAINER_GPU_OK", "ok"),
        (THERE, Answer((), 125, "", "could not select device driver"), "CONTAINER_GPU_FAILED", "fail"),
        (THERE, Answer((), 0, "\n"), "CONTAINER_GPU_FAILED", "fail"),
        (THERE, Answer((), None, error="timeout"), "CONTAINER_GPU_FAILED", "fail"),
        (THERE, None, "CONTAINER_NOT_PROVEN", "unknown"),
        (ABSENT, None, "CONTAINER_NOT_PROVEN", "unknown"),
        (Answer((), error="missing"), None, "CONTAINER_NOT_PROVEN", "unknown"),
        (Answer((), error="timeout"), None, "CONTAINER_NOT_PROVEN", "unknown"),
    ],
)
def test_a_container_is_proven_only_by_its_answer(inspect: Answer, run: Answer | None, code: str, severity: str) -> None:
    (found,) = judge_container(HERE, "x", inspect, run)
    assert (found.code, found.severity) == (code, severity)


@pytest.mark.parametrize(
    ("inspect", "run", "pull", "code", "said", "remedy", "never"),
    [
        (THERE, Answer((), 1, "", PLATFORM), None, "CONTAINER_GPU_FAILED", "an architecture other than", "linux/arm64", "cdi generate"),
        (THERE, Answer((), 255, "exec /bin/sh: exec format error\n"), None, "CONTAINER_GPU_FAILED", "architecture", "linux/arm64", "cdi"),
        (
            THERE,
            Answer((), 125, "", 'docker: could not select device driver "" with capabilities: [[gpu]].'),
            None,
            FAILED,
            "could not select",
            "nvidia-ctk runtime configure",
            "pull",
        ),
        (
            THERE,
            Answer((), 125, "", "docker: Error response from daemon: unknown or invalid runtime name: nvidia."),
            None,
            FAILED,
            "invalid runtime",
            "restart docker",
            "pull",
        ),
        (
            THERE,
            Answer((), 125, "", "docker: Error response from daemon: mkdir /var/lib/docker/x: no space left on device"),
            None,
            "CONTAINER_NOT_PROVEN",
            "no room",
            "docker system df",
            "cdi",
        ),
        (
            ABSENT,
            None,
            Answer((), 1, "", "failed to register layer: write /x: no space left on device"),
            "CONTAINER_NOT_PROVEN",
            "could not be pulled",
            "docker system df",
            "by hand",
        ),
        (Answer((), 1, "", REFUSED), None, None, "CONTAINER_NOT_PROVEN", "socket refuses", "usermod -aG docker", "Pull"),
        (Answer((), error="denied"), None, None, "CONTAINER_NOT_PROVEN", "socket refuses", "usermod -aG docker", "Pull"),
        (Answer((), 1, "", DOWN), None, None, "CONTAINER_NOT_PROVEN", "daemon is not running", "systemctl enable --now docker", "Pull"),
        (THERE, Answer((), 125, "", f"{CLI} detection error: nvml error: gpu is lost"), None, FAILED, "lost", "driver findings", "cdi"),
        (
            THERE,
            Answer((), 125, "", f"{CLI} initialization error: nvml error: unknown error"),
            None,
            FAILED,
            "nvml",
            "driver findings",
            "cdi",
        ),
        (THERE, Answer((), 125, "", f"{CLI} {NO_NVML}"), None, FAILED, "libnvidia-ml", "driver findings", "cdi"),
        (THERE, Answer((), 125, "", MOUNT.replace("-gtk3.so.580.159.03", "-persistenced/socket")), None, FAILED, "socket", "cdi", "Bring"),
        (THERE, Answer((), 125, "", f"docker: {DOWN}"), None, "CONTAINER_NOT_PROVEN", "not running", "systemctl", "Pull"),
        (THERE, Answer((), 126, "", f"docker: {REFUSED}"), None, "CONTAINER_NOT_PROVEN", "socket", "usermod", "Pull"),
        (Answer((), error="missing"), None, None, "CONTAINER_NOT_PROVEN", "not installed", "Install docker", "Pull"),
        (
            THERE,
            Answer((), 125, "", MOUNT),
            None,
            "CONTAINER_GPU_FAILED",
            "libnvidia-gtk3.so",
            "nvidia-settings and libxnvctrl0",
            "cdi generate",
        ),
        (
            THERE,
            Answer((), 125, "", "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.3, please update your driver"),
            None,
            "CONTAINER_GPU_FAILED",
            "unsatisfied condition",
            "driver's CUDA",
            "cdi generate",
        ),
        *(
            (THERE, Answer((), 125, "", START + words), None, "CONTAINER_GPU_FAILED", words, remedy, never)
            for words, remedy, never in (
                ('failed to stat CDI host device "/dev/nvidia-uvm": no such file or directory', "nvidia-modprobe -u", "cdi generate"),
                (f"{CLI} mount error: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted", "mode=cdi", "nvidia-modprobe"),
                (f"{CLI} ldcache error: open failed: /sbin/ldconfig.real: no such file or directory", "libc-bin", "cdi generate"),
                ("Failed to initialize NVML: Unknown Error", "mode=cdi", "nvidia-modprobe"),
                ('exec: "nvidia-container-runtime": executable file not found in $PATH', "install nvidia-container-toolkit", "mode=cdi"),
                ("unresolvable CDI devices nvidia.com/gpu=all", "nvidia-ctk cdi generate", "without it"),
                ('exec: "nvidia-smi": executable file not found in $PATH', "container toolkit", "without it"),
            )
        ),
        (
            THERE,
            Answer(
                (),
                125,
                "",
                "docker: Error response from daemon: error while creating mount source path '/x': mkdir /x: read-only file system",
            ),
            None,
            FAILED,
            "read-only",
            "docker run --rm IMAGE true",
            "cdi generate",
        ),
        *(
            (THERE, Answer((), 125, "", words), None, "CONTAINER_GPU_FAILED", words, "driver findings", "cdi generate")
            for words in (
                "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown",
                "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
                "Failed to initialize NVML: Driver/library version mismatch",
                "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
            )
        ),
        (
            THERE,
            Answer((), 125, "", "could not select device driver"),
            None,
            "CONTAINER_GPU_FAILED",
            "device driver",
            "nvidia-ctk cdi generate",
            "x86",
        ),
        (
            ABSENT,
            None,
            Answer((), 1, "", "no matching manifest for linux/arm64/v8 in the manifest list entries"),
            "CONTAINER_GPU_FAILED",
            "no variant for linux/arm64",
            "linux/arm64",
            "pull it",
        ),
        (ABSENT, None, Answer((), 1, "", "toomanyrequests"), "CONTAINER_NOT_PROVEN", "could not be pulled", "docker pull", "cdi"),
        (ABSENT, None, None, "CONTAINER_NOT_PROVEN", "is not on the desk", "Pull the image", "usermod"),
    ],
)
def test_each_trouble_has_its_own_remedy(
    inspect: Answer, run: Answer | None, pull: Answer | None, code: str, said: str, remedy: str, never: str
) -> None:
    (found,) = judge_container(HERE, "x", inspect, run, workload.described("x", inspect), pull)
    assert found.code == code
    assert said in found.message
    assert remedy in found.remedy
    assert never not in found.remedy


@pytest.mark.parametrize(
    "path",
    [
        "/usr/lib/aarch64-linux-gnu/libcuda.so.580.95.05",
        "/usr/lib/firmware/nvidia/580.95.05/gsp_ga10x.bin",
        "/run/nvidia-persistenced/socket",
    ],
)
@pytest.mark.parametrize("form", ['error mounting "{0}" to rootfs at "{0}": stat {0}', "failed to fulfil mount request: open {0}"])
def test_a_file_that_the_cdi_description_names_and_the_desk_lacks(form: str, path: str) -> None:
    start = "docker: Error response from daemon: runc create failed: unable to start container process: error during container init: "
    run = Answer((), 125, "", f"{start}{form.format(path)}: no such file or directory: unknown.")
    (found,) = judge_container(HERE, "x", THERE, run)
    assert found.code == FAILED and "nvidia-ctk cdi generate" in found.remedy and "Nothing in docker's words" not in found.remedy


HOOK = "docker: Error response from daemon: error during container init: error running prestart hook #0: stderr: nvidia-container-cli: "


@pytest.mark.parametrize(
    ("run", "cure"),
    [
        (Answer((), 125, "", f"{HOOK}initialization error: nvml error: insufficient permissions: unknown"), "NVreg_DeviceFileMode"),
        (Answer((), 4, "", "Failed to initialize NVML: Insufficient Permissions\n"), "NVreg_DeviceFileMode"),
        (Answer((), 125, "", f"{HOOK}container error: cgroup subsystem devices not found: unknown"), "rootless"),
        (Answer((), 125, "", f"{HOOK}initialization error: driver rpc error: timed out: unknown"), "The desk's own driver"),
    ],
)
def test_what_no_new_description_of_the_devices_cures(run: Answer, cure: str) -> None:
    (found,) = judge_container(HERE, "x", THERE, run)
    assert found.code == FAILED and cure in found.remedy and not found.remedy.startswith("Read the error")


def test_a_banner_does_not_hide_the_gpu() -> None:
    (found,) = judge_container(HERE, "x", THERE, Answer((), 0, BANNER))
    assert found.code == "CONTAINER_GPU_OK"
    assert found.evidence["gpu"] == "NVIDIA GB10"
    assert found.message.endswith("sees NVIDIA GB10")


@pytest.mark.parametrize(("architecture", "starts"), [("arm64", True), ("amd64", False), ("arm", False), ("riscv64", False)])
def test_an_image_of_another_architecture_is_not_even_started(architecture: str, starts: bool) -> None:
    inspect = Answer((), 0, json.dumps([{"Architecture": architecture, "Os": "linux", "Config": {}}]))
    described = workload.described("lab/x:1", inspect)
    assert (unfit(described) is None) is starts
    if not starts:
        (found,) = judge_container(HERE, "lab/x:1", inspect, None, described)
        assert found.code == "CONTAINER_GPU_FAILED"
        assert architecture in found.message
        assert "linux/arm64" in found.remedy


def test_what_docker_does_not_describe_is_started_as_before() -> None:
    assert workload.described("x", Answer((), 0, "arm64\n")) is None
    assert unfit(None) is None


def test_docker_group() -> None:
    assert [item.code for item in judge_docker_group(HERE, "lab", ("lab", "sudo"))] == ["DOCKER_GROUP_MISSING"]
    assert judge_docker_group(HERE, "lab", ("lab", "docker")) == []
    assert judge_docker_group(HERE, None, ()) == []


def test_a_container_whose_nvidia_smi_warns_sees_the_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Desk:
        def run(self, argv: list[str], **_more: object) -> Answer:
            warned = "NVIDIA GB10\nWARNING: infoROM is corrupted at gpu 000F:01:00.0\n"
            return THERE if argv[1] == "image" else Answer(tuple(argv), 14, warned)

    monkeypatch.setattr(gpu_container, "LiveDesk", Desk)
    monkeypatch.setattr(gpu_container, "claim", lambda *_words: None)
    with patch_module_args({"image": "x"}), pytest.raises(SystemExit):
        gpu_container.main()
    assert json.loads(capsys.readouterr().out)["findings"][0]["code"] == "CONTAINER_GPU_OK"


def test_a_container_that_does_not_start_in_time_is_ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The time limit ends docker's client, and an image of somebody else may go on for ever."""
    ran: list[list[str]] = []

    class Desk:
        def run(self, argv: list[str], **_more: object) -> Answer:
            ran.append(argv)
            return THERE if argv[1] == "image" else Answer(tuple(argv), error="timeout" if argv[1] == "run" else None, rc=0)

    monkeypatch.setattr(gpu_container, "LiveDesk", Desk)
    monkeypatch.setattr(gpu_container, "claim", lambda *_words: None)
    with patch_module_args({"image": "x"}), pytest.raises(SystemExit):
        gpu_container.main()
    name = ran[1][ran[1].index("--name") + 1]
    assert ran[2:] == [["docker", "rm", "--force", name]]
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert found["code"] == FAILED and "did not end in time" in found["message"]
    assert "desk_containers_limit" in found["remedy"] and "cdi" not in found["remedy"].lower(), "nothing was said of the toolkit"


def test_a_pull_that_does_not_end_in_time_is_told_as_that() -> None:
    (found,) = judge_container(HERE, "x", ABSENT, None, None, Answer((), None, error="timeout"))
    assert found.code == "CONTAINER_NOT_PROVEN" and "did not end in time" in found.message and "desk_containers_limit" in found.remedy


NVCR = 'Error response from daemon: Get "https://nvcr.io/v2/":'
UNAUTHORIZED = 'Error response from daemon: Head "https://nvcr.io/v2/nvidia/cuda/manifests/13.0.1-base-ubuntu24.04": unauthorized: '
DENIED = "Error response from daemon: pull access denied for lab/x, repository does not exist or may require 'docker login': denied:"


@pytest.mark.parametrize(
    ("words", "cure", "never"),
    [
        (f"{NVCR} net/http: request canceled (Client.Timeout exceeded while awaiting headers)", "/etc/docker/daemon.json", "by hand"),
        (f"{NVCR} dial tcp: lookup nvcr.io on 127.0.0.53:53: no such host", "systemctl edit docker", "by hand"),
        (f"{NVCR} dial tcp 203.0.113.7:443: connect: connection refused", "proxy", "by hand"),
        (f"{NVCR} tls: failed to verify certificate: x509: certificate signed by unknown authority", "/etc/docker/certs.d", "by hand"),
        (f"{DENIED} requested access to the resource is denied", "docker login nvcr.io", "proxy"),
        (
            f"{UNAUTHORIZED}<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n",
            "docker logout",
            "by hand",
        ),
        ("Error response from daemon: manifest for lab/x:1 not found: manifest unknown: manifest unknown", "repository and tag", "by hand"),
        ("failed to register layer: exit status 1: unpigz: abort: zlib version less than 1.2.3", "by hand", "proxy"),
    ],
)
def test_a_pull_that_the_registry_or_the_way_to_it_refuses_is_not_tried_by_hand(
    words: str, cure: str, never: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Desk:
        def run(self, argv: list[str], **_more: object) -> Answer:
            return Answer(tuple(argv), 1, "", words) if argv[1] == "pull" else ABSENT

    monkeypatch.setattr(gpu_container, "LiveDesk", Desk)
    monkeypatch.setattr(gpu_container, "claim", lambda *_words: None)
    with patch_module_args({"image": "x", "pull": True}), pytest.raises(SystemExit):
        gpu_container.main()
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert found["code"] == "CONTAINER_NOT_PROVEN" and words[:60] in found["message"]
    assert cure in found["remedy"] and never not in found["remedy"]
