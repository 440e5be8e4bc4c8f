"""From a failing suite to a draft of a better workflow, and the gate that a draft must pass.

model         the values that flow
diagnosis     blame, clues; repairs with rules_names reads ways choices texts; scene, phrases
lint          lint, finding, mending with lint_rules, lint_tests: by rule, no model asked
asking        reflection proposals testgen judge; wording replies prompts/*.txt
comparing     compare changes
goals         what is wanted beyond tests that pass: measured, proposed for, judged
the gate      gate, and the policy that it asks: policy grants; places capabilities flows ways
              supports copies bounds (what may change, what may not be gained, what must stay)
"""
