"""``agentmech list-models``: what can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from finetune_fsm.cli import options
from finetune_fsm.cli.console import Console
from finetune_fsm.errors import ExitCode
from finetune_fsm.sinks import one_line

if TYPE_CHECKING:
    from finetune_fsm.cli.signals import Job
    from finetune_fsm.llm.several import Stock


@click.command("list-models")
@options.URL
@options.LLM
@options.EXECUTOR
@options.OUTPUT_OPTIONS
@click.pass_obj
def list_models(
    console: Console,
    *,
    ollama_urls: tuple[str, ...],
    llm_spec: str | None,
    executor: str | None,
) -> ExitCode:
    """List the models of the server, or of another provider.

    Of several servers, every model that one of them has: a request goes to those that have its
    model. Where not all do, it is said who does.
    """
    from finetune_fsm.cli.models import open_chosen
    from finetune_fsm.cli.remembered import remember_models
    from finetune_fsm.cli.signals import supervised

    def work(job: Job) -> ExitCode:
        from finetune_fsm.llm.pool import Pool
        from finetune_fsm.llm.several import stock_of, union

        llm = open_chosen(console, job, urls=ollama_urls, spec=llm_spec, executor=executor).llm
        stocks = llm.stocks() if isinstance(llm, Pool) else (stock_of(llm),)
        names = union(stocks)
        if not (llm_spec or "").startswith("script:"):
            remember_models(names)
        if console.json:
            console.document(_document(llm.name, names, stocks))
        else:
            _show(console, llm.name, names, stocks)
        return ExitCode.OK

    return supervised(work)


def _document(name: str, names: Sequence[str], stocks: Sequence[Stock]) -> Mapping[str, object]:
    document: dict[str, object] = {"llm": name, "models": names}
    if len(stocks) > 1:
        document["servers"] = [
            {"llm": stock.name, "models": stock.models}
            | ({"error": one_line(str(stock.error))} if stock.error else {})
            for stock in stocks
        ]
    return document


def _show(console: Console, name: str, names: Sequence[str], stocks: Sequence[Stock]) -> None:
    """The models alone are the result; what is said beside them is not."""
    from finetune_fsm.llm.several import joint

    for stock in stocks:
        if stock.error:
            console.warn(one_line(str(stock.error)))
    verb = "has" if len(stocks) == 1 else "have"
    console.tell(f"{one_line(name)} {verb} {len(names)} model{'s' * (len(names) != 1)}:")
    there = [stock for stock in stocks if not stock.error]
    for model in names:
        console.result(one_line(model))
        holders = [stock.name for stock in there if model in stock.models]
        if len(holders) < len(there):
            console.tell(f"  only {one_line(joint(holders))}")
