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
	@sh tools/venv.sh $(VENV) requirements-dev.txt 3.13 3.12 3.11

.PHONY: venv
venv: venv-demo ## Make the virtual environments (newest ansible-core and 2.19)
	@sh tools/venv.sh $(CORE219) requirements-dev.txt 3.11

.PHONY: test
test: lint unit docs-check package sanity lab-test ## Run every check but the long scenarios (lab-test-all), cheap ones first

QUICK := tests/unit/judges tests/unit/readers tests/unit/gather tests/unit/lab_sheet tests/unit/modules tests/unit/simulator \
	tests/unit/proof/test_rdma_judge.py tests/unit/proof/test_nccl_judge.py tests/unit/proof/test_marks.py tests/unit/benchmarks/test_depth.py

.PHONY: quick
quick: venv-demo ## While you work: ruff, mypy, the unit tests of what is pure (about 40 CPU seconds; the first mypy takes a minute more)
	ruff check .
	ruff format --check .
	MYPYPATH=.collections mypy -p ansible_collections.labops.dgx_spark.plugins
	python -m pytest -q $(QUICK) --ignore tests/unit/readers/test_fuzz.py

.PHONY: lint
lint: venv ## ruff, mypy, yamllint, role defaults, how programs start on desks, ansible-lint
	ruff check .
	ruff format --check .
	MYPYPATH=.collections mypy -p ansible_collections.labops.dgx_spark.plugins
	MYPYPATH=simulator mypy -p sparklab
	mypy tools tests/replay.py
	yamllint --strict .
	python tools/check_roles.py
	python tools/check_programs.py
	python tools/check_wants.py
	ansible-lint --strict

.PHONY: unit
unit: venv ## Unit tests on both ansible-core versions
	$(BIN)/python -m pytest -q -n 2 tests/unit
	$(CURDIR)/$(CORE219)/bin/python -m pytest -q -n 2 tests/unit

.PHONY: docs
docs: venv ## Generate the catalogue of findings and the documentation of the facts
	python tools/findings_doc.py
	python tools/facts_doc.py

.PHONY: docs-check
docs-check: venv ## Generated docs are fresh, module docs and changelog fragments are right
	python tools/findings_doc.py --check
	python tools/facts_doc.py --check
	antsibull-changelog lint
	cd .collections/ansible_collections/labops/dgx_spark && antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs all .

.PHONY: package
package: venv ## Build the tarball, install it into an empty folder, run a playbook from it
	bash tests/package.sh

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

.PHONY: bench
bench: venv-demo ## Measure executions, controller CPU and wall time as the lab grows (BENCH="--base COMMIT --pairs 2 --repeat 3")
	python tests/bench/stack_pair.py $(BENCH)

.PHONY: clean
clean: ## Remove virtual environments and build results (not reports)
	rm -rf .venv .venv-core219 build .mypy_cache .ruff_cache .pytest_cache .hypothesis
