"""The mapping that click asks for what the command line does not give.

It looks at environment and file only when it is first asked, so that help and completion cost
nothing and work beside a file that is broken.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

import click

from finetune_fsm.cli import known


class Defaults(MutableMapping[str, object]):
    """What environment and file say of a command's options, looked up when first asked.

    Args:
        command: Its name.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._found: dict[str, object] | None = None

    def _values(self) -> dict[str, object]:
        if self._found is None:
            self._found = {}  # asked again while this is under way, there is nothing yet
            context = click.get_current_context(silent=True)
            if context is not None and not context.resilient_parsing:
                from finetune_fsm.cli.settings import looked_up

                self._found = looked_up(self._command, context)
        return self._found

    def __getitem__(self, name: str) -> object:
        # Of the eager --help click asks too, before it has read the command line.
        if all(option.name != name for option in known.options_of(self._command).values()):
            raise KeyError(name)
        return self._values()[name]

    def __setitem__(self, name: str, value: object) -> None:
        self._values()[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())
