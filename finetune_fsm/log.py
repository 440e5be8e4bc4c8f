"""The library's log is off until a program turns it on, and loguru is not imported to say so.

loguru logs everything to standard error by default, so a library has to switch itself off; but
importing loguru costs ten times what ``agentmech --help`` may. So the switch is set at the moment
somebody imports loguru, be it the program or one of our modules that has something to log.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PACKAGE = "finetune_fsm"


def stay_silent() -> None:
    """Switch the log off, now or when loguru comes; `loguru.logger.enable` turns it on."""
    loguru = sys.modules.get("loguru")
    if loguru is not None:
        loguru.logger.disable(PACKAGE)
    elif not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())


class _Watch:
    """Sees the import of loguru, once, and leaves it to the ordinary finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return loguru's own spec, with the switch set after loading; None for all else."""
        del path, target
        if name != "loguru":
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_switch_off(module: ModuleType) -> None:
            load(module)
            module.logger.disable(PACKAGE)

        spec.loader.exec_module = load_and_switch_off  # type: ignore[method-assign]  # of this one
        return spec
