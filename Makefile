# Two commands matter: make demo (see it work) and make test (every check). make help lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
CORE219 := .venv-core219
PAIRS ?= 2
LAB ?= demo
LAB_FILE ?=
ENGINE ?=
KEEP ?= 1
BENCH ?=
export PATH := $(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

.PHONY: demo
demo: venv-demo ## Start four boxed simulated desks, enrol them and stack their two pairs (PAIRS=8, LAB_FILE=ring_of_three, KEEP=0, ENGINE=docker|podman, YES=1)
	@PAIRS=$(PAIRS) LAB_FILE=$(LAB_FILE) LAB=$(LAB) ENGINE=$(ENGINE) KEEP=$(KEEP) bash tools/demo.sh

.PHONY: demo-down
demo-down: ## Remove everything that make demo made
	@LAB=$(LAB) bash tools/demo_down.sh

.PHONY: venv-demo
venv-demo:
	@sh tools/venv.sh $(VENV) 3.13 3.12 3.11

.PHONY: venv
venv: venv-demo ## Make the virtual environments (newest ansible-core and 2.19)
	@sh tools/venv.sh $(CORE219) 3.11

.PHONY: test
test: lint unit docs-check docsite package importer ee release-test sanity lab-test vm-smoke ## Run every check but the long scenarios (lab-test-all), cheap ones first

QUICK := tests/unit/judges tests/unit/readers tests/unit/gather tests/unit/lab_sheet tests/unit/modules tests/unit/simulator \
	tests/unit/proof/test_rdma_judge.py tests/unit/proof/test_nccl_judge.py tests/unit/proof/test_marks.py tests/unit/benchmarks/test_depth.py

.PHONY: quick
quick: venv-demo ## While you work: ruff, mypy, the unit tests of what is pure (about 40 CPU seconds; the first mypy takes a minute more)
	ruff check .
	ruff format --check .
	MYPYPATH=.collections mypy -p ansible_collections.labops.dgx_spark.plugins
	python -m pytest -q $(QUICK) --ignore tests/unit/readers/test_fuzz.py

.PHONY: lint
lint: venv ## ruff, mypy, yamllint, role defaults, how programs start on desks, lock files, REUSE, ansible-lint
	ruff check .
	ruff format --check .
	MYPYPATH=.collections mypy -p ansible_collections.labops.dgx_spark.plugins
	MYPYPATH=simulator mypy -p sparklab
	mypy tools tests/replay.py
	yamllint --strict .
	python tools/check_roles.py
	python tools/check_programs.py
	python tools/check_wants.py
	python tools/check_locks.py
	reuse lint --quiet || reuse lint
	ansible-lint --strict

.PHONY: unit
unit: venv ## Unit tests on both ansible-core versions
	$(BIN)/python -m pytest -q -n 2 tests/unit
	$(CURDIR)/$(CORE219)/bin/python -m pytest -q -n 2 tests/unit

.PHONY: combination
combination: ## Unit tests and sanity on another ansible-core and Python (CORE=2.20 PYTHON=3.12)
	sh tools/venv.sh .venv-$(CORE)-$(PYTHON) $(PYTHON)
	.venv-$(CORE)-$(PYTHON)/bin/uv pip install --quiet --python .venv-$(CORE)-$(PYTHON)/bin/python "ansible-core>=$(CORE).0b1,==$(CORE).*"
	.venv-$(CORE)-$(PYTHON)/bin/python -m pytest -q -n 2 tests/unit
	bash tests/sanity/run.sh .venv-$(CORE)-$(PYTHON) $(PYTHON)

.PHONY: docs
docs: venv ## Generate the catalogue of findings, the documentation of the facts, the roles' READMEs and the reference
	python tools/findings_doc.py
	python tools/facts_doc.py
	python tools/roles_doc.py
	python tools/reference_doc.py

.PHONY: docs-fresh
docs-fresh: venv
	python tools/findings_doc.py --check
	python tools/facts_doc.py --check
	python tools/roles_doc.py --check
	python tools/reference_doc.py --check

.PHONY: docs-check
docs-check: docs-fresh ## Generated docs are fresh, module docs and the changelog are right, links lead somewhere
	antsibull-changelog lint
	python tools/check_changelog.py
	python tools/check_links.py
	cd .collections/ansible_collections/labops/dgx_spark && antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all .

.PHONY: docsite
docsite: venv ## The guides and the documentation of modules and roles as a site in build/docsite (warnings are errors)
	python tools/docsite.py build/docsite

.PHONY: changelog
changelog: venv ## Take the fragments into changelogs/changelog.yaml and CHANGELOG.md, under the version of galaxy.yml
	antsibull-changelog release --version "$$(sed -n 's/^version: //p' galaxy.yml)" --update-existing --reload-plugins

.PHONY: lock
lock: venv ## Pin the Python requirements again, with hashes (UPGRADE=1 takes the newest versions); needs PyPI
	bash tools/lock.sh $(if $(UPGRADE),--upgrade)

.PHONY: package
package: venv ## Build the tarball, install it into an empty folder, run a playbook from it
	bash tests/package.sh

.PHONY: importer
importer: venv ## What Galaxy and Automation Hub check at an upload, with their strict settings
	bash tests/importer.sh

.PHONY: ee
ee: venv ## ansible-builder finds what the collection needs and makes a build context
	bash tests/ee.sh

.PHONY: ee-build
ee-build: venv ## The execution environment itself, on a base of Debian packages, and an audit from it (root, podman, mmdebstrap)
	bash tests/ee.sh --build

.PHONY: release
release: venv ## Build, check and sign a release of the committed tree into build/release (KEY=fingerprint); a person uploads it
	bash tools/release.sh $(KEY)

.PHONY: release-test
release-test: venv ## A release with a throw-away key: complete, verifiable with the public key alone, and a change is noticed
	bash tests/release.sh

.PHONY: sanity
sanity: venv ## ansible-test sanity on both ansible-core versions, without ignore entries
	bash tests/sanity/run.sh $(VENV) $$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	bash tests/sanity/run.sh $(CORE219) 3.11

.PHONY: lab-test
lab-test: venv ## Tests on simulated desks: the lab itself, the ways to lose a desk, the scenarios default and driver
	bash tests/lab_test.sh

.PHONY: lab-test-all
lab-test-all: venv ## Every molecule scenario, the long ones too (first contact, cables, faults of apt, link changes, faults of measurements)
	SCENARIOS=all bash tests/lab_test.sh

.PHONY: arm-test
arm-test: venv ## What runs on desks, under an aarch64 Python (qemu's user mode; the first run unpacks 90 MB)
	bash tests/arm_test.sh

.PHONY: docker-test
docker-test: venv-demo ## The demo and the lab's own tests with Docker as the engine (Debian's docker.io; starts a daemon where none runs)
	bash tests/docker_test.sh

.PHONY: vm-test
vm-test: venv-demo ## On two virtual machines with real RDMA (soft-RoCE), real tools, real sshd (half an hour without KVM; IMAGE=bookworm, SELECT=...)
	bash tests/vm/run.sh

.PHONY: vm-smoke
vm-smoke: venv-demo ## The shortest useful part of vm-test: both machines start, audit and cable map (four minutes with the image's build)
	SELECT="audit or cables" bash tests/vm/run.sh

.PHONY: real-test
real-test: venv-demo ## With NVIDIA's compiler, NCCL and cuobjdump and Open MPI 4.1 and 5 (opt-in: fetches 1 GB once, needs root, no GPU)
	bash tests/real_test.sh

.PHONY: gpu-check
gpu-check: venv ## Pack build/gpu-check.tar.gz for any Linux machine with an NVIDIA driver, and run it here where there is one
	$(CURDIR)/$(CORE219)/bin/python tools/gpu_check/pack.py
	@if [ -e /proc/driver/nvidia/version ]; then rm -rf build/gpu-check && tar -x -f build/gpu-check.tar.gz -C build && build/gpu-check/run build/gpu-check-results; \
	else echo "no NVIDIA driver here; nothing was run"; fi

.PHONY: bench
bench: venv-demo ## Measure executions, controller CPU and wall time as the lab grows (BENCH="--base COMMIT --pairs 2 --repeat 3")
	python tests/bench/stack_pair.py $(BENCH)

.PHONY: clean
clean: ## Remove virtual environments and build results (not reports)
	rm -rf .venv .venv-* build .mypy_cache .ruff_cache .pytest_cache .hypothesis
