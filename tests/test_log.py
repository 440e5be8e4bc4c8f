"""The library is silent until a program asks, whatever is imported first."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOG = """
def speak():
    from loguru import logger
    logger.warning("heard")
speak.__globals__["__name__"] = "finetune_fsm.somewhere"
speak()
"""


@pytest.mark.parametrize(
    ("program", "heard"),
    [
        ("import finetune_fsm", False),
        ("import finetune_fsm\nfrom loguru import logger", False),
        ("from loguru import logger\nimport finetune_fsm", False),
        ("import finetune_fsm\nfrom loguru import logger\nlogger.enable('finetune_fsm')", True),
        ("from loguru import logger\nimport finetune_fsm\nlogger.enable('finetune_fsm')", True),
    ],
)
def test_the_library_logs_only_when_it_was_enabled(program: str, heard: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program + LOG], capture_output=True, text=True, check=True
    )
    assert ("heard" in done.stderr) == heard


def test_importing_the_package_does_not_import_loguru() -> None:
    program = "import sys, finetune_fsm; sys.exit('loguru' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
