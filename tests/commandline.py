"""What the tests of the command line share: how a command ended, and a small workflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self):  # noqa: ANN201  # any JSON
        return json.loads(self.out)


Agentmech = Callable[..., Done]


GREETER = """\
name: Greeter
default_model: m
start_state: ask
states:
  ask:
    type: input
    prompt: "Your name?"
    default_value: nobody
    save_as: name
    next: greet
  greet:
    type: prompt
    prompt: "Greet {{name}}"
    options: {num_predict: 50}
    save_as: greeting
"""

GREETER_TESTS = """\
workflow: greeter.yaml
test_scenarios:
  - name: Greets Alice
    inputs: [{state: ask, value: Alice}]
    assertions:
      - {type: contains, target: greeting, value: Alice}
  - name: Greets Bob
    inputs: [{state: ask, value: Bob}]
    assertions:
      - {type: contains, target: greeting, value: Bob}
"""

GOOD_SCRIPT = """\
format: 1
replies:
  - {purpose: state, when: "Greet (?P<who>.*)", reply: "Hello {{who}}!"}
  - {purpose: analysis, reply: {analysis: "Fine as it is.", suggestions: []}}
"""

BAD_SCRIPT = """\
format: 1
replies:
  - {purpose: state, reply: "Hello you!"}
"""
