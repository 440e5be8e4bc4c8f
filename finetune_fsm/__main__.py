"""``python -m finetune_fsm``, the same as ``agentmech``."""

from __future__ import annotations

import sys

from finetune_fsm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
