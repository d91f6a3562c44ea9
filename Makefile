# `make demo` and `make test` are all that a fresh machine needs: Python 3.11 or newer with pip and venv, git, make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_PATH ?= .

.PHONY: setup demo serve-demo load soak embedder-bench test test-doors test-units test-stores lint browser browser-tools \
  screenshots dashboards deployment kills golden plans round-trip fuzz proto docs model constraints clean

setup: $(VENV)/.done

# uv where it can be had, for seconds instead of a minute; pip does the same from the same files. Compiled at once, for
# where PYTHONDONTWRITEBYTECODE is set each command would compile anew, which doubles its time.
$(VENV)/.done: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv 2>/dev/null || true
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]' \
	  || $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m compileall -q src
	@touch $@

demo: setup
	@sh bench/demo.sh $(BIN)/mnemolite "$(DEMO_PATH)"

# PostgreSQL, Redis and the server from nothing: an index over HTTP, a search, an embedding, a clean stop.
serve-demo: setup
	@$(BIN)/python bench/serve_demo.py

# A hundred users on a server: embedded, with PostgreSQL and Redis, and with an embedding service and a worker under way
# too, all of it here. Six minutes; reports in build/.
load: setup
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[load]'
	mkdir -p build
	$(BIN)/python bench/load.py src --embedded --html build/load-embedded.html
	$(BIN)/python bench/load.py src --html build/load-postgres.html
	$(BIN)/python bench/load.py src --all --html build/load-all.html

# All parts at once for twenty minutes: what they hold of the machine must not grow.
soak: setup
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[load]'
	mkdir -p build && $(BIN)/python bench/load.py src --all --watch --seconds 1200 --users 20 --html build/soak.html

# The alerts against made-up series, and each query of the dashboard against a real Prometheus: Debian's, and Ubuntu's.
dashboards: setup
	@command -v promtool prometheus > /dev/null || { apt-get update -qq; \
	  apt-get install -y -qq --no-install-recommends prometheus; }
	$(BIN)/python bench/dashboards.py

# The embedding service beside fastembed, which has an environment of its own: MODEL is all-MiniLM-L6-v2 in ONNX.
embedder-bench: setup
	@test -n "$(MODEL)" || { echo "usage: make embedder-bench MODEL=FOLDER [TREE=.]"; exit 2; }
	@test -x build/fastembed/bin/python || $(PYTHON) -m venv build/fastembed
	build/fastembed/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt fastembed==0.9.1
	$(BIN)/python bench/embedder.py "$(MODEL)" "$(or $(TREE),src)" --peer build/fastembed/bin/python

# Workers killed thirty times at random while they index 5,000 files, with and without Celery: some minutes.
kills: setup
	$(BIN)/python bench/kills.py

# Images' commands are run, units verified, and compose's files read: by Debian's docker-compose, which needs no daemon.
deployment: setup
	@command -v docker-compose > /dev/null || { apt-get update -qq; \
	  apt-get install -y -qq --no-install-recommends docker-compose; }
	$(BIN)/pytest -rs tests/doors/test_deploy.py

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# In three processes, for what a test has loaded counts against the budget of memory of the next; two at a time, for many
# tests wait for a server to start.
test: lint
	@$(MAKE) --no-print-directory -j2 test-doors test-units test-stores

test-doors:
	$(BIN)/pytest tests/doors

test-units:
	$(BIN)/pytest tests/faults tests/golden tests/unit

test-stores:
	$(BIN)/pytest tests/browser tests/contract

# The page in a real browser; where there is none, `make test` skips these tests and says so.
browser: setup
	$(BIN)/pytest -rs tests/browser

# Debian's and Ubuntu's packages; elsewhere any Chromium or Chrome in the PATH will do. The fonts are those of the docs.
browser-tools:
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends chromium fonts-inter fonts-jetbrains-mono

# The pictures of docs/playground.md, of the page as it is.
screenshots: setup
	SCREENSHOTS=1 $(BIN)/pytest -rs tests/browser/test_pictures.py

# The documentation as a site, in build/site.
docs: setup
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build

# How PostgreSQL answers at 100,000 chunks; `make test` asks at 12,000.
plans: setup
	PLAN_CHUNKS=100000 $(BIN)/pytest tests/faults/test_postgres_plans.py

golden: setup
	WRITE_GOLDEN=1 $(BIN)/pytest tests/golden

# 5,000 generated notes through both of their forms: a few minutes.
round-trip: setup
	ROUND_TRIP_NOTES=5000 $(BIN)/pytest tests/unit/test_note_forms.py -k exactly

# The HTTP API against its own description, more than 2,000 requests: two minutes.
fuzz: setup
	FUZZ_EXAMPLES=20 $(BIN)/pytest -s tests/doors/test_http_fuzz.py

# The shipped model, from the repositories of docs/model/*.txt lying as MIRROR/owner+name/repo: an hour or two of CPU.
WORK ?= build/model
model: setup
	@test -n "$(MIRROR)" -a -n "$(TEACHER)" || { echo "usage: make model MIRROR=DIR TEACHER=DIR [RESERVED=FILE]"; exit 2; }
	for part in train dev test; do \
	  $(BIN)/python -m mnemolite.lab.mine docs/model/$$part.txt --mirror "$(MIRROR)" --out $(WORK)/$$part \
	    $(if $(RESERVED),--reserved "$(RESERVED)") || exit 1; done
	$(BIN)/python -m mnemolite.lab.train --pairs $(WORK)/train --dev $(WORK)/dev --teacher "$(TEACHER)" \
	  --out $(WORK)/model $(TRAIN) --resume
	$(BIN)/python bench/model.py --pairs $(WORK)/test --model src/mnemolite/model --model $(WORK)/model

# What is generated from embedding.proto; it is committed.
proto: setup
	$(BIN)/python -m grpc_tools.protoc -I src --python_out=src --pyi_out=src --grpc_python_out=src \
	  mnemolite/proto/embedding.proto

constraints: setup
	$(BIN)/uv pip compile pyproject.toml --all-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o constraints.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
