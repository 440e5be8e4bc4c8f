"""Everything that can go wrong, as values and as exceptions.

::

    FinetuneError
    ├─ InvalidDocument(problems)   a file a person gave us is wrong             exit 2
    ├─ UsageError                  a command or an argument makes no sense      exit 2
    ├─ ExecutionError              a workflow cannot go on (a failed rollout inside an evaluation)
    ├─ LLMError(kind, …)           no usable reply from a model                 exit 3
    │  └─ ScriptExhausted          the scripted model has no reply left
    ├─ ToolError                   a tool server cannot be had, died or hung    exit 3
    ├─ StorageError                a file could not be written or read          exit 3
    ├─ BadRun                      a run on disk cannot be trusted or found     exit 6
    │  ├─ JournalError             its journal is damaged
    │  └─ SourceChanged            a file it was made from has changed since
    ├─ Busy                        another process has it                       exit 7
    ├─ NoRuleError                 the loop's table has a hole: a bug           exit 4
    └─ MissingExtra(name)          an optional dependency is not installed      exit 2
    Cancelled(Exception)           somebody asked to stop; not an error         exit 130
    └─ BudgetSpent(budget)         what a person allowed is used up
    Paused(Exception)              a debugger left the run as it is; not an error   exit 130

A `Problem` is one thing wrong with a document: data, comparable, sortable. Whatever a scenario or
a model can cause is data; exceptions are for a broken world.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

Path = tuple[str | int, ...]
"""Where in a document: mapping keys and list indices from the root down."""


class ExitCode(IntEnum):
    """What a process tells its caller; never `OK` after an interruption."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    WORLD = 3
    BUG = 4
    NO_SCENARIO = 5
    BAD_RUN = 6
    BUSY = 7
    HANGUP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class Severity(StrEnum):
    """Whether a problem stops the work or is only worth telling."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document.

    Attributes:
        code: A stable word for programs, such as ``unknown_target``.
        message: What is wrong, one sentence without a full stop.
        hint: The likely fix, or empty.
        path: Where in the document; empty for the document as a whole.
        severity: Error or warning.
        file: The file as the user named it, or empty.
        line: 1-based; 0 when unknown.
        column: 1-based; 0 when unknown.
    """

    code: str
    message: str
    hint: str = ""
    path: Path = ()
    severity: Severity = Severity.ERROR
    file: str = ""
    line: int = 0
    column: int = 0

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer (RFC 6901); empty for the whole document."""
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in self.path)
        return "".join(f"/{step}" for step in steps)

    @property
    def place(self) -> str:
        """``file:line:column``, as far as it is known."""
        numbers = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file or '<text>'}{numbers}"

    def __str__(self) -> str:
        """One line: place, what, how to fix."""
        hint = f" — {self.hint}" if self.hint else ""
        return f"{self.place}: {self.severity}: {self.message}{hint}"


def errors_in(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return only the problems that stop the work, order kept. Pure."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)


class FinetuneError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = ExitCode.WORLD


class InvalidDocument(FinetuneError):
    """A file a person gave us is wrong; `problems` says all of what."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class UsageError(FinetuneError):
    """A command or an argument makes no sense."""

    exit_code = ExitCode.BAD_INPUT


class ExecutionError(FinetuneError):
    """A workflow cannot go on.

    Attributes:
        state: The state that failed, as it appears among the visited ones.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, state: str = "") -> None:
        super().__init__(message)
        self.state = state


class LLMErrorKind(StrEnum):
    """What kept a model from giving a usable reply."""

    UNREACHABLE = "unreachable"
    MISSING_MODEL = "missing_model"
    BUSY = "busy"
    DENIED = "denied"
    SERVER = "server"
    PROTOCOL = "protocol"
    TRUNCATED_STREAM = "truncated_stream"
    TIMEOUT_FIRST_TOKEN = "timeout_first_token"  # noqa: S105  # a token of text
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_TOTAL = "timeout_total"
    CONTEXT_OVERFLOW = "context_overflow"
    EMPTY = "empty"
    CUT_BY_LIMIT = "cut_by_limit"
    BAD_REQUEST = "bad_request"
    SCRIPT_EXHAUSTED = "script_exhausted"


RETRYABLE = frozenset(
    {
        LLMErrorKind.UNREACHABLE,
        LLMErrorKind.BUSY,
        LLMErrorKind.SERVER,
        LLMErrorKind.PROTOCOL,
        LLMErrorKind.TRUNCATED_STREAM,
        LLMErrorKind.TIMEOUT_FIRST_TOKEN,
        LLMErrorKind.TIMEOUT_IDLE,
    }
)
"""Kinds that a second try may cure; the others fail the same way again."""

FATAL = RETRYABLE | {
    LLMErrorKind.MISSING_MODEL,
    LLMErrorKind.DENIED,
    LLMErrorKind.TIMEOUT_TOTAL,
    LLMErrorKind.SCRIPT_EXHAUSTED,
}
"""Kinds that say the world is broken, not this one prompt: an evaluation stops on them."""


class LLMError(FinetuneError):
    """No usable reply from a model.

    Attributes:
        kind: What happened, for programs.
        hint: What to do next, or empty.
        retry_after: Seconds the server asked us to wait, or None.
    """

    def __init__(
        self,
        kind: LLMErrorKind,
        message: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.retry_after = retry_after

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed when sent again."""
        return self.kind in RETRYABLE

    def __str__(self) -> str:
        return f"{self.message} — {self.hint}" if self.hint else self.message


class ScriptExhausted(LLMError):
    """The scripted model has no reply for a request: a mistake in the script."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(LLMErrorKind.SCRIPT_EXHAUSTED, message, hint=hint)


class ToolError(FinetuneError):
    """A tool server cannot be started, died, hung or spoke nonsense; the message says which."""


class StorageError(FinetuneError):
    """A file could not be read or written; the message names it and says why."""


class BadRun(FinetuneError):
    """A run on disk cannot be found, understood or trusted; nothing has been changed."""

    exit_code = ExitCode.BAD_RUN


class JournalError(BadRun):
    """A run's journal is damaged; the message says where."""


class SourceChanged(BadRun):
    """A file that a run was made from is not what it was."""


class Busy(FinetuneError):
    """Another process works on the same thing."""

    exit_code = ExitCode.BUSY


class NoRuleError(FinetuneError):
    """The loop's table has no rule for an event: a bug in the table."""

    exit_code = ExitCode.BUG


class MissingExtra(FinetuneError):
    """An optional dependency is not installed.

    Attributes:
        extra: Name of the extra, as in ``pip install 'finetune-fsm[extra]'``.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(extra, purpose)
        self.extra = extra
        self.purpose = purpose

    def __str__(self) -> str:
        return (
            f"{self.purpose} needs an optional dependency — "
            f"pip install 'finetune-fsm[{self.extra}]'"
        )


class Cancelled(Exception):
    """Somebody asked to stop while a call was under way; nothing is wrong."""


class Paused(Exception):
    """Somebody left a run where it stands, to go on in another way; nothing is wrong."""


class BudgetSpent(Cancelled):
    """What a person allowed is used up; the run comes to its end with the best so far.

    Attributes:
        budget: ``calls``, ``tokens`` or ``time``.
    """

    def __init__(self, budget: str) -> None:
        super().__init__(budget)
        self.budget = budget
