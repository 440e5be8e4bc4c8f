"""Which model answers: what the user named, else what there is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune_fsm.errors import LLMError, LLMErrorKind, UsageError
from finetune_fsm.llm.base import LLM
from finetune_fsm.llm.deadlines import Timeouts
from finetune_fsm.llm.host import DEFAULT_HOST, answers, normalise_host
from finetune_fsm.llm.retry import TRIES
from finetune_fsm.llm.transport import shown_url
from finetune_fsm.llm.weights import QWEN, find
from finetune_fsm.schema import suggestion
from finetune_fsm.sinks import one_line

TIMEOUT_VARIABLE = "AGENTMECH_TIMEOUT"
"""Environment variable with the seconds that a reply may take to its first word.

Half of that may pass between two words, and five times as much up to the last.
"""

PROVIDERS = ("ollama", "llamacpp", "openai", "script", "dask")

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
    url: str | Sequence[str] | None = None,
    spec: str | None = None,
    executor: str | None = None,
    environ: Mapping[str, str] | None = None,
    usual: str = DEFAULT_HOST,
) -> Chosen:
    """Return the model that the arguments name, or the one that is there.

    A server that was named is used whether it answers or not: it is never quietly replaced.
    Without a name, Ollama at its usual place answers, else the embedded engine. Several servers
    share the work.

    Args:
        url: Of an Ollama server, as ``-u`` gives it; or of several.
        spec: ``PROVIDER`` or ``PROVIDER:REST``, as ``--llm`` gives it; several URLs stand with
            commas between them, and a comma within one is written ``%2C``.
        executor: Scheduler of a Dask cluster, as ``--executor`` gives it; then *url* and *spec*
            say what its workers ask, seen from there.
        environ: Where ``OLLAMA_HOST`` and `TIMEOUT_VARIABLE` are looked up.
        usual: Where Ollama is looked for when nothing was named.

    Raises:
        UsageError: both are given, one makes no sense, or a server is named twice.
        LLMError: nothing was named and nothing is there.
        MissingExtra: the engine's package is not installed.
        InvalidDocument: the script is wrong.
    """
    urls = (url,) if isinstance(url, str) else tuple(url or ())
    if urls and spec is not None:
        raise UsageError("-u and --llm both name a model: give one of them")
    if executor is not None:
        from finetune_fsm.llm.dask_spec import by_executor

        return by_executor(executor, urls=urls, spec=spec)
    environ = environ or {}
    limits = timeouts(environ)
    if spec is not None:
        return _named(spec, limits)
    if urls:
        return _ollama(urls, limits)
    named = environ.get("OLLAMA_HOST", "").strip()
    return _ollama((named,), limits) if named else _present(usual, limits)


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
            return _ollama(addresses(rest), limits)
        case "llamacpp":
            return _embedded(rest, EMBEDDED_NOTE, limits)
        case "openai" if rest:
            return _openai(addresses(rest), limits)
        case "script" if rest:
            from finetune_fsm.llm.scripted import load_script

            return Chosen(load_script(Path(rest)), f"script:{os.path.abspath(rest)}")  # noqa: PTH100  # links stay as named
        case "dask" if rest:
            from finetune_fsm.llm.dask_spec import by_spec

            return by_spec(rest)
        case _:
            raise unknown(provider)


def unknown(provider: str) -> UsageError:
    """Return the error of a spec that begins with *provider* and makes no sense. Pure."""
    needed = {"openai": "URL", "script": "FILE", "dask": "HOST:PORT"}
    if provider in needed:
        return UsageError(f"--llm {provider} needs more: {provider}:{needed[provider]}")
    known = suggestion(provider, PROVIDERS) or f"one of: {', '.join(PROVIDERS)}"
    return UsageError(f"--llm knows no '{provider}' — {known}")


def addresses(rest: str) -> tuple[str, ...]:
    """Return the addresses in *rest* of a spec, at least one. Pure.

    Raises:
        UsageError: a comma may stand within a password; what it says shows nothing of that.
    """
    first, *others = rest.split(",")
    torn = any("@" in other and "://" not in other for other in others)
    if torn or (others and not all((first, *others))):
        raise UsageError(
            "--llm takes addresses with one comma between two of them: one within an address is "
            "written %2C, and an address with a user begins with http:// or https://"
        )
    return first, *others


def _ollama(urls: Sequence[str], limits: Timeouts | None) -> Chosen:
    from finetune_fsm.llm.ollama import OllamaLLM

    def server(url: str, tries: int) -> LLM:
        return OllamaLLM(url, timeouts=limits or Timeouts(), tries=tries)

    return _servers("ollama", [normalise_host(url) for url in urls], server)


def _openai(urls: Sequence[str], limits: Timeouts | None) -> Chosen:
    from finetune_fsm.llm.openai import OpenAILLM, normalise_base

    def server(url: str, tries: int) -> LLM:
        return OpenAILLM(url, timeouts=limits or Timeouts(), tries=tries)

    return _servers("openai", [normalise_base(url) for url in urls], server)


def _servers(provider: str, urls: Sequence[str], server: Callable[[str, int], LLM]) -> Chosen:
    """One server, or several as one.

    Args:
        provider: Begins the spec.
        urls: Normalised, at least one.
        server: Given a URL and how often to send one request.

    Raises:
        UsageError: two of *urls* are the same server.
    """
    shown = [shown_url(url) for url in urls]
    for index, url in enumerate(shown):
        if url.lower() in (other.lower() for other in shown[:index]):
            raise UsageError(f"'{url}' is named twice: name each server once")
    spec = f"{provider}:{','.join(url.replace(',', '%2C') for url in shown)}"
    if len(urls) == 1:
        return Chosen(server(urls[0], TRIES), spec)
    from finetune_fsm.llm.pool import Pool

    return Chosen(Pool([server(url, 1) for url in urls]), spec)  # the pool tries the others


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
        return _ollama((usual,), limits)
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
