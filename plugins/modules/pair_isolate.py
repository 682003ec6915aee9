#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pair_isolate
short_description: Find out whether cable, desk or port makes a pair of DGX Sparks slow
version_added: 1.0.0
description:
  - Says which plug to move next, plans that trial, and records what its measurement showed, until it can name the culprit.
  - Used by C(playbooks/isolate.yml). Trials are kept beside the reports, so the playbook can be stopped and continued.
  - An action plugin; it needs the run's plan as C(spark_plan) and runs on the controller only.
options:
  phase:
    description:
      - C(next) says what to move, C(ask) asks whether it was moved, C(note) records the trial that was just measured and then says what to
        move.
    type: str
    choices: [next, ask, note]
    default: next
  pair:
    description: The suspect pair, or the ring or switch stack with the suspect cable.
    type: str
    required: true
  cable:
    description:
      - The two desks of a ring whose cable is suspect; of a switch, the desk whose cable is suspect, then another.
      - Not needed for a pair.
    type: list
    elements: str
  good:
    description: A desk outside the pair (or another one of the ring or switch) that is known to be good.
    type: str
    required: true
  ports:
    description: Port of each of the three desks; 0 for a desk that is not named.
    type: dict
    default: {}
  kind:
    description: The trial to record or to ask about.
    type: str
  instruction:
    description: What to move, shown with the question of C(ask).
    type: str
  moved:
    description:
      - The trial whose plugs are in, which answers the question of C(ask). Without a terminal (an AWX job), and if this is another
        one, the task fails and says what to move and how to continue.
    type: str
    choices: [as_it_is, good_for_peer, good_for_head, other_port]
  confirm:
    description: Whether C(ask) asks at all. Only for a lab that moves plugs automatically.
    type: bool
    default: true
  at_most:
    description: How many trials this run may make.
    type: int
    default: 4
  desks:
    description: The two desks of the trial to record.
    type: list
    elements: str
  restart:
    description: Forget the trials of earlier runs.
    type: bool
    default: false
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: What to move next
  labops.dgx_spark.pair_isolate:
    pair: pair_a
    good: desk-03
  register: spark_trial
"""

RETURN = r"""
done:
  description: Whether the culprit is known, or cannot be found.
  returned: success
  type: bool
instruction:
  description: What to move, in words.
  returned: success
  type: str
at_most:
  description: How many trials this run may make.
  returned: success
  type: int
blame:
  description: C(none), C(cable), C(desk NAME), C(port N of NAME) or C(inconclusive).
  returned: success
  type: str
conclusion:
  description: Why, and what to do.
  returned: success
  type: str
"""
