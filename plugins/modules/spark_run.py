#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: spark_run
short_description: Begin a run, split it into waves, end it with report and verdict
version_added: 1.0.0
description:
  - Internal to the playbooks of this collection; your own playbook that composes its roles into a run uses it the same way.
  - V(begin) reads the stacks of the inventory (child groups of C(spark_pairs) and C(spark_stacks)), refuses a broken inventory and
    invalid settings before any desk is touched, creates the folder of the run on the controller and returns the run, which is registered as
    C(spark_plan). Settings are variables (C(spark_waves), C(spark_report_dir), C(audit_baseline) and those of the roles).
  - V(waves) splits the desks of the run for a stage that can cost a desk its network. A stack goes as a whole, a desk in no stack goes
    alone, stacks that are skipped anyway are not counted. If C(spark_waves) is not set, one stack goes first and then all
    others; links go all at once if a whole stack of the run already has a link of this collection. In check mode all go at once.
  - V(report) makes the report from what the stages left behind, compares it with earlier runs in the same folder, prints the verdict
    table before anything is written, writes the report's folder, adds the run to the history, and leaves the verdict as
    C(ansible_stats), which AWX and ansible-runner keep as artifacts. It succeeds whatever the verdict is.
  - V(verdict) fails on exactly the desks whose own or whose stack's verdict is bad, so that the recap names the failed desks.
options:
  phase:
    description: What to do. All but V(verdict) need C(run_once).
    type: str
    choices: [begin, waves, report, verdict]
    required: true
  playbook:
    description: For V(begin), the name of the playbook; it decides what the facts are judged for and which checks a verdict requires.
    type: str
  stage:
    description: For V(waves), the name of the stage.
    type: str
  report:
    description: For V(verdict), the registered result of V(report).
    type: dict
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Begin a run
  labops.dgx_spark.spark_run:
    phase: begin
    playbook: stack_pair
  run_once: true
  register: spark_plan

- name: Read the facts of every desk, as a stage of the run
  ansible.builtin.import_role:
    name: labops.dgx_spark.desk_facts
  vars:
    spark_stage: facts

- name: Write the report
  labops.dgx_spark.spark_run:
    phase: report
  run_once: true
  register: spark_report

- name: Verdict
  labops.dgx_spark.spark_run:
    phase: verdict
    report: "{{ spark_report }}"
"""

RETURN = r"""
run_id:
  description: Identifier of the run, UTC time and four random hex digits.
  returned: with phase begin
  type: str
  sample: 20261122T101500Z-3f2a
run_dir:
  description: Folder of the run on the controller.
  returned: with phase begin
  type: str
stacks:
  description: The stacks in natural name order, with name, members (head first), topology and out_of_service.
  returned: with phase begin
  type: list
  elements: dict
members:
  description: Every desk in the inventory by name, with address, stack, rank, out_of_service and in_scope.
  returned: with phase begin
  type: dict
findings:
  description: Findings about the run itself, such as too few forks.
  returned: with phase begin
  type: list
  elements: dict
waves:
  description: The numbers of the waves, in order.
  returned: with phase waves
  type: list
  elements: int
path:
  description: Folder of the report.
  returned: with phase report
  type: str
pairs:
  description: Verdict of each pair.
  returned: with phase report
  type: dict
desks:
  description: Verdict of each desk.
  returned: with phase report
  type: dict
unwritten:
  description: A sentence for each report file that could not be written; V(verdict) then fails on every desk.
  returned: with phase report
  type: list
  elements: str
guilty:
  description: Desks on which V(verdict) fails, each with its reason.
  returned: with phase report
  type: dict
"""
