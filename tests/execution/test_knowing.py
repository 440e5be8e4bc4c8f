"""A prompt with what a knowledge base holds on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from execution.small_workflows import prompt, workflow

from finetune_fsm.codec import plain, restore
from finetune_fsm.errors import LLMError, LLMErrorKind
from finetune_fsm.execution.executor import run_workflow
from finetune_fsm.execution.inputs import MappingInputs
from finetune_fsm.execution.limits import Settings
from finetune_fsm.execution.rollout import Rollout, RunStatus
from finetune_fsm.knowledge.model import Given
from finetune_fsm.llm.scripted import ScriptedLLM
from finetune_fsm.workflow.model import Workflow

DOCUMENTS = {
    "refunds.md": "A refund takes five days.\n",
    "shipping/parcels.md": "A parcel ships on Mondays.\n",
    "{{x}}.md": "Nothing {{question}} at {{prompt}} all.\n",
}


class Deaf(ScriptedLLM):
    """Replies, and has no embedding model."""

    kind = LLMErrorKind.MISSING_MODEL

    def embed(self, model: str, texts: object, *, stop: object = None) -> tuple:
        raise LLMError(self.kind, f"there is no model '{model}'", hint="ollama pull it")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in DOCUMENTS.items():
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def flow(
    root: Path, *, inline: bool = False, files: tuple[str, ...] = (), **spec: object
) -> Workflow:
    base = {"directory": "docs", "top_k": 2} | spec
    use = base if inline else "faq"
    state = prompt("a", "{{question}}", use_rag=use, files=files, save_as="answer")
    question = "How many days does a refund take?"
    return workflow(
        state, folder=root, variables={"question": question}, rag={} if inline else {"faq": base}
    )


def run(flow: Workflow, llm: ScriptedLLM | None = None, **options: object) -> Rollout:
    model = llm or ScriptedLLM(lambda request: "ok")
    return run_workflow(flow, model, inputs=MappingInputs({}), options=Settings(**options))


@pytest.mark.parametrize("inline", [False, True])
def test_what_is_found_goes_to_the_model_and_into_the_record(root: Path, inline: bool) -> None:
    llm = ScriptedLLM(lambda request: request.text)
    rollout = run(flow(root, inline=inline), llm)
    assert rollout.warnings == ()
    (visit,) = rollout.visits
    assert visit.retrieved[0].source == "refunds.md"
    assert visit.retrieved[0].chunk == "refunds.md_chunk_0"
    assert [r.score for r in visit.retrieved] == sorted(r.score for r in visit.retrieved)[::-1]
    assert len(visit.retrieved) == 2
    assert visit.without_context == ""
    assert rollout.variables["answer"] == visit.prompt
    assert visit.prompt.startswith("How many days does a refund take?\n\nRelevant context")
    assert "[Source: refunds.md]\nA refund takes five days." in visit.prompt
    assert llm.embedded[-1] == ("embeddinggemma", "How many days does a refund take?")
    assert restore(Rollout, json.loads(json.dumps(plain(rollout)))) == rollout


def test_a_document_cannot_have_a_variable_filled_in(root: Path) -> None:
    rollout = run(flow(root, top_k=3, context_template="{{chunks}}\nQ: {{prompt}}"))
    assert "[Source: {{x}}.md]\nNothing {{question}} at {{prompt}} all." in rollout.visits[0].prompt
    assert rollout.visits[0].prompt.endswith("Q: How many days does a refund take?")


def test_files_go_before_the_context_and_are_not_searched_for(root: Path) -> None:
    (root / "more.txt").write_text("attached")
    llm = ScriptedLLM(lambda request: "ok")
    rollout = run(flow(root, files=("more.txt",)), llm)
    text = rollout.visits[0].prompt
    assert text.index("attached") < text.index("Relevant context")
    assert "attached" not in llm.embedded[-1][1]


def test_without_an_embedding_model_the_prompt_goes_without_context_and_says_so(root: Path) -> None:
    rollout = run(flow(root), Deaf(lambda request: "ok"))
    assert rollout.status is RunStatus.COMPLETED
    (visit,) = rollout.visits
    assert visit.prompt == "How many days does a refund take?"
    assert visit.retrieved == ()
    assert "there is no model 'embeddinggemma'" in visit.without_context
    (warning,) = rollout.warnings
    assert warning.startswith("state 'a': knowledge base 'faq': there is no model")
    assert warning.endswith("the prompt goes without context")
    strict = run(flow(root), Deaf(lambda request: "ok"), strict=True)
    assert strict.status is RunStatus.FAILED
    assert "ollama pull it" in strict.error.message


def test_an_evaluation_stops_on_what_would_be_unfair_to_some_of_its_rollouts(root: Path) -> None:
    llm = Deaf(lambda request: "ok")
    assert run(flow(root), llm, fatal_raises=True).visits[0].without_context
    llm.kind = LLMErrorKind.TIMEOUT_TOTAL
    with pytest.raises(LLMError):
        run(flow(root), llm, fatal_raises=True)
    assert run(flow(root), llm).visits[0].without_context


def test_a_folder_that_is_missing_is_a_warning_or_strictly_an_error(root: Path) -> None:
    rollout = run(flow(root, directory="nowhere"))
    assert rollout.status is RunStatus.COMPLETED
    assert rollout.visits[0].without_context == "there is no such folder"
    assert run(flow(root, directory="nowhere"), strict=True).status is RunStatus.FAILED


def test_a_model_of_the_callers_own_without_embeddings_is_no_crash(root: Path) -> None:
    class Old:
        name, slots = "old", 1

        def complete(self, request: object, **_: object) -> object:
            return ScriptedLLM(lambda _: "ok").complete(request)  # type: ignore[arg-type]

    rollout = run(flow(root), Old())  # type: ignore[arg-type]
    assert rollout.visits[0].without_context == "old makes no embeddings"


def test_documents_of_a_test_stand_for_the_search(root: Path) -> None:
    given = (Given("a.md", "first"), Given("b.md", "other", "b"), Given("c.md", "third", "a"))
    rollout = run(flow(root), Deaf(lambda request: "ok"), documents=given)
    assert rollout.warnings == ()
    assert [r.source for r in rollout.visits[0].retrieved] == ["a.md", "c.md"]
    assert "[Source: a.md]\nfirst\n\n[Source: c.md]\nthird" in rollout.visits[0].prompt
    one = run(flow(root, top_k=1), documents=given)
    assert [r.source for r in one.visits[0].retrieved] == ["a.md"]
    none = run(flow(root), documents=())
    assert none.visits[0].prompt == "How many days does a refund take?"


def test_a_second_run_embeds_only_its_question(root: Path) -> None:
    llm = ScriptedLLM(lambda request: "ok")
    for _ in range(3):
        run(flow(root), llm)
    assert len(llm.embedded) == len(DOCUMENTS) + 3


def test_a_context_beyond_all_bounds_is_an_error(root: Path) -> None:
    given = tuple(Given("a.md", "x" * 400_000) for _ in range(3))
    rollout = run(flow(root, top_k=3), documents=given)
    assert rollout.status is RunStatus.FAILED
    assert "lower top_k" in rollout.error.message
