"""Which model answers: what the user named, else what there is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import LLMError, LLMErrorKind, UsageError
from finetune_fsm.llm.base import LLM
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.host import DEFAULT_HOST, answers, normalise_host
from finetune_fsm.llm.transport import shown_url
from finetune_fsm.llm.weights import QWEN, find
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line

TIMEOUT_VARIABLE = "AGENTMECH_TIMEOUT"
"""Environment variable with the seconds that a reply may take to its first word.

Half of that may pass between two words, and five times as much up to the last.
"""

PROVIDERS = ("ollama", "llamacpp", "openai", "script")

_LONGEST = 86_400  # seconds; a day

EMBEDDED_NOTE = "the embedded engine answers for every model name"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model that was chosen.

    Attributes:
        llm: The model.
        spec: Names it again, as ``--llm`` takes it, wherever one stands; holds no password.
        notes: What to tell the user about the choice, one line each.
    """

    llm: LLM
    spec: str = ""
    notes: tuple[str, ...] = ()


def choose(
    *,
    url: str | None = None,
    spec: str | None = None,
    environ: Mapping[str, str] | None = None,
    usual: str = DEFAULT_HOST,
) -> Chosen:
    """Return the model that the arguments name, or the one that is there.

    A server that was named is used whether it answers or not: it is never quietly replaced.
    Without a name, Ollama at its usual place answers, else the embedded engine.

    Args:
        url: Of an Ollama server, as ``-u`` gives it.
        spec: ``PROVIDER`` or ``PROVIDER:REST``, as ``--llm`` gives it.
        environ: Where ``OLLAMA_HOST`` and `TIMEOUT_VARIABLE` are looked up.
        usual: Where Ollama is looked for when nothing was named.

    Raises:
        UsageError: both are given, or one makes no sense.
        LLMError: nothing was named and nothing is there.
        MissingExtra: the engine's package is not installed.
        InvalidDocument: the script is wrong.
    """
    if url is not None and spec is not None:
        raise UsageError("-u and --llm both name a model: give one of them")
    environ = environ or {}
    limits = timeouts(environ)
    if spec is not None:
        return _named(spec, limits)
    named = url if url is not None else environ.get("OLLAMA_HOST", "").strip()
    return _ollama(named, limits) if named or url is not None else _present(usual, limits)


def timeouts(environ: Mapping[str, str]) -> Timeouts | None:
    """Return the limits that `TIMEOUT_VARIABLE` in *environ* sets, or None. Pure.

    Raises:
        UsageError: it holds no time.
    """
    given = environ.get(TIMEOUT_VARIABLE, "").strip()
    if not given:
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        raise UsageError(
            f"{TIMEOUT_VARIABLE} is '{one_line(given)}', which is no time: write the seconds that "
            f"a reply may take to its first word, up to {_LONGEST:,}"
        )
    return Timeouts(first_token=seconds, idle=seconds / 2, total=seconds * 5)


def _named(spec: str, limits: Timeouts | None) -> Chosen:
    provider, _, rest = spec.partition(":")
    match provider:
        case "ollama":
            return _ollama(rest or DEFAULT_HOST, limits)
        case "llamacpp":
            return _embedded(rest, EMBEDDED_NOTE, limits)
        case "openai" if rest:
            from finetune_fsm.llm.openai import OpenAILLM

            llm = OpenAILLM(rest, timeouts=limits or Timeouts())
            return Chosen(llm, f"openai:{shown_url(rest)}")
        case "script" if rest:
            from finetune_fsm.llm.scripted import load_script

            return Chosen(load_script(Path(rest)), f"script:{os.path.abspath(rest)}")  # noqa: PTH100  # links stay as named
        case "openai" | "script":
            missing = "URL" if provider == "openai" else "FILE"
            raise UsageError(f"--llm {provider} needs more: {provider}:{missing}")
        case _:
            known = suggestion(provider, PROVIDERS) or f"one of: {', '.join(PROVIDERS)}"
            raise UsageError(f"--llm knows no '{provider}' — {known}")


def _ollama(url: str, limits: Timeouts | None) -> Chosen:
    from finetune_fsm.llm.ollama import OllamaLLM

    host = normalise_host(url)
    return Chosen(OllamaLLM(host, timeouts=limits or Timeouts()), f"ollama:{shown_url(host)}")


def _embedded(name: str, note: str, limits: Timeouts | None) -> Chosen:
    from finetune_fsm.llm.llamacpp import TIMEOUTS, LlamaCppLLM

    path = find(name) if name else find()
    if path is None:
        raise LLMError(
            LLMErrorKind.MISSING_MODEL,
            f"there are no weights called '{name or QWEN.name}' here",
            hint="name a GGUF file, --llm llamacpp:FILE, or fetch the usual one: agentmech pull",
        )
    llm = LlamaCppLLM(path, timeouts=limits or TIMEOUTS)
    return Chosen(llm, f"llamacpp:{os.path.abspath(path)}", (note,))  # noqa: PTH100  # links stay as named


def _present(usual: str, limits: Timeouts | None) -> Chosen:
    if answers(usual):
        return _ollama(usual, limits)
    from finetune_fsm.llm.llamacpp import installed

    path = find()
    if installed() and path is not None:
        note = f"no Ollama at {usual}: {EMBEDDED_NOTE}, with {path.name}"
        return _embedded(str(path), note, limits)
    raise LLMError(
        LLMErrorKind.UNREACHABLE,
        f"no model: Ollama does not answer at {usual}, and there is no embedded one",
        hint="start Ollama with 'ollama serve', or run "
        "pip install 'finetune-fsm[embedded]' and then 'agentmech pull'",
    )
