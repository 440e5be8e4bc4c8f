# Everything a developer or CI does, one line each: make help
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install model demo test live cluster node browser lint format type wheel fuzz policy mutants crash signals bench speed spread quality quality-scripted docs first-use session pictures docs-site clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

install: $(READY)  ## Make the virtual environment with everything that development needs

$(READY): setup.cfg setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev,embedded]'
	touch $@

model: $(READY)  ## Fetch the weights of the embedded model (1.1 GB, once, resumable)
	$(BIN)/agentmech pull

demo: model  ## Improve an example whose tests fail, with a real model on this machine
	rm -rf demo
	cp -r examples/ticket-triage demo
	$(BIN)/agentmech finetune demo/ticket-triage.yaml --llm llamacpp
	$(BIN)/agentmech validate demo/ticket-triage.finetuned.yaml
	$(BIN)/agentmech test demo/ticket-triage.finetuned.yaml --llm llamacpp

test: $(READY)  ## Run the tests, with coverage (under five minutes, no network, no model)
	$(BIN)/python -m pytest -m "not live and not browser and not cluster and not node" -n 2 --cov --cov-report=term --cov-fail-under=90

live: model  ## Run the tests against a real model: embedded, and through Ollama's wire protocol
	$(BIN)/python -m pytest -m live tests/live

cluster: $(READY)  ## Run the tests on a real Dask cluster of this machine (two minutes)
	$(BIN)/python -m pytest -m cluster tests/llm tests/cli

node: $(READY)  ## Run the tests with tool servers of Node.js and npm (under a minute)
	$(BIN)/python -m pytest -m node tests/tools

browser: $(READY)  ## Click through the page of serve in Chromium, and look at the reports
	$(BIN)/python -m pip install --quiet --editable '.[browser]'
	$(BIN)/python -m pytest -m browser tests/browser
	$(BIN)/python bench/pages.py

lint: $(READY)  ## Check style and layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)  ## Lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

type: $(READY)  ## Check types, strictly
	$(BIN)/mypy

wheel: $(READY)  ## Build the wheel, install it in a fresh environment, run the tests against it
	rm -rf build dist
	$(BIN)/python -m build --quiet
	$(PYTHON) -m venv --clear build/venv
	build/venv/bin/python -m pip install --quiet "$$(ls dist/*.whl)[test]"
	rm -rf build/checkout && mkdir -p build/checkout
	cp -r tests bench docs examples setup.cfg README.md Makefile mkdocs.yml build/checkout
	cd build/checkout && ../venv/bin/python -m pytest -m "not live and not browser and not cluster and not node" -n 2 -p no:cacheprovider

fuzz: $(READY)  ## Break valid files in 20,000 ways and look at what the command line says (6 min)
	$(BIN)/python bench/fuzz.py

policy: $(READY)  ## Try 10,000 drafts, hostile ones too, on the gate, with another judge
	$(BIN)/python bench/policy.py

mutants: $(READY)  ## Change the policy's code in every small way: each must fail a test
	$(BIN)/python bench/mutants.py

crash: $(READY)  ## Kill runs at every operation on the disk, and compare (under three minutes)
	PYTHONPATH=tests $(BIN)/python -m crash --docs docs/reliability.md

signals: $(READY)  ## Type Ctrl+C, once and twice, everywhere in a run, and time the answers (6 min)
	$(BIN)/python bench/signals.py

bench: $(READY)  ## Measure start-up
	$(BIN)/python bench/startup.py

speed: $(READY)  ## Measure which share of the time is ours, and memory with 10,000 scenarios (3 min)
	$(BIN)/python bench/speed.py --docs docs/scaling.md

spread: $(READY)  ## Measure two workers of a Dask cluster against one, and kill one (2 min)
	$(BIN)/python bench/spread.py

quality: model  ## Compare with peers on 38 workflows, real model (hours, resumable; CASES=01,05)
	$(BIN)/python -m pip install --quiet --requirement bench/quality/requirements.txt
	$(BIN)/python bench/quality/run.py --cases "$(CASES)" --docs docs/quality.md

quality-scripted: $(READY)  ## The same with a model of known truth (under a minute)
	$(BIN)/python -m pip install --quiet --requirement bench/quality/requirements.txt
	$(BIN)/python bench/quality/check.py
	$(BIN)/python bench/quality/run.py --llm script --out build/quality --promises

docs: $(READY)  ## Draw the loop into the README and the pages
	$(BIN)/python docs/draw_loop.py README.md
	$(BIN)/agentmech graph --loop -o docs/images/loop.svg

first-use: $(READY)  ## Do what the tutorial says from the installation on, and time it
	$(BIN)/python bench/first_use.py

session: $(READY)  ## Record a finetune at a terminal and without one into docs/session.md
	PYTHONPATH=tests $(BIN)/python docs/record_session.py

pictures: $(READY)  ## Take pictures of the report and of the page of serve, with Chromium
	$(BIN)/python -m pip install --quiet --editable '.[browser]'
	$(BIN)/python docs/take_pictures.py

docs-site: $(READY)  ## Build the pages of docs/ into build/site, with MkDocs
	$(BIN)/python -m pip install --quiet --requirement docs/requirements.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:  ## Remove what the targets above made
	rm -rf $(VENV) build dist demo .coverage* .mypy_cache .pytest_cache .ruff_cache
