# `make help` lists what can be asked for. Only `setup` downloads anything.
.DEFAULT_GOAL := help
BIN := .venv/bin
PROGRAM := dist/imagemill/imagemill

# Half a folder is not a program: what a recipe that failed has left does not count as made.
.DELETE_ON_ERROR:
.PHONY: setup setup-tests run test lint docs bench binary lock contract clean help deb deb-test tarball kill-matrix soak fuzz test-page screenshots cluster-test cluster-bench

setup: ## system packages, .venv from requirements.lock, imagemill in it (PYTHON=…, ENGINE=simd|pillow)
	@installer/setup.sh

setup-tests: setup ## what only the tests need: servers of S3, PostgreSQL and Redis, a desktop, Chromium and axe-core
	@installer/setup.sh tests

run: setup ## the appliance, on this machine
	@exec $(BIN)/imagemill serve

lint: setup ## ruff, formatting, types, floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup-tests lint $(PROGRAM) ## lint, then every test, the frozen program's too, with coverage: core 100 %, the whole 90 % (PROCESSES=3)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(or $(PROCESSES),3) --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet 2>/dev/null
	@rm -f .coverage.* # of processes that were killed while they wrote it
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --include='src/imagemill/core/*' --fail-under=100

docs: setup ## docs/states.md, drawn from the tables in core/states.py
	$(BIN)/python -m tests.house.draw_states

bench: setup ## how fast it is here, in images per second
	$(BIN)/python -m tests.bench

fuzz: setup ## broken JPEGs and odd pictures against the native modules, under sanitizers (EXECUTIONS=1000000 PICTURES=50000 SEED=1)
	$(BIN)/python -m tests.fuzz.requant $(or $(EXECUTIONS),1000000) $(or $(SEED),1)
	$(BIN)/python -m tests.fuzz.pictures $(or $(PICTURES),50000) $(or $(SEED),1)

test-page: setup-tests ## the page in a real Chromium
	$(BIN)/python -m pytest -q tests/page

screenshots: setup-tests ## docs: each page in both themes, and the icon of the desk
	$(BIN)/python -m tests.page.screenshots
	$(BIN)/python -m tests.tray.screenshots

contract: setup ## every operation of /openapi.json, asked with made-up requests (EXAMPLES=1000)
	EXAMPLES=$(or $(EXAMPLES),1000) $(BIN)/python -m pytest -q tests/api/test_contract.py

kill-matrix: setup ## kill it, cut its power, fill its disk … at random moments, and audit the ledger (RUNS=200 SEED=… FAULT=… POSTGRES=1)
	$(BIN)/python -m tests.kill_matrix --runs $(or $(RUNS),200) $(if $(SEED),--seed $(SEED)) $(if $(FAULT),--fault $(FAULT)) $(if $(POSTGRES),--postgres)

soak: setup ## 100,000 images through one appliance: is the last tenth as fast, as lean as the first? (IMAGES=…, REPEATED=1)
	$(BIN)/python -m tests.soak --images $(or $(IMAGES),100000) $(if $(REPEATED),--repeated)

cluster-test: setup-tests ## 2 servers and 4 workers, killed and cut off, on real PostgreSQL, Redis and S3; then the ledger (IMAGES=20000 SEED=…)
	$(BIN)/python -m tests.cluster --images $(or $(IMAGES),20000) $(if $(SEED),--seed $(SEED))

cluster-bench: setup-tests ## how fast 1, 2 and 4 workers are here, and what an image costs (IMAGES=3000)
	$(BIN)/python -m tests.cluster.scaling --images $(or $(IMAGES),3000)

binary: $(PROGRAM) ## dist/imagemill/imagemill, a folder that needs no Python

$(PROGRAM): pyinstaller.spec requirements.lock $(wildcard systemd/*) $(shell find src -type f \( -name '*.[pchj]*' -o -name '*.svg' \) -not -path '*/__pycache__/*') | setup
	PYINSTALLER_CONFIG_DIR=build/pyinstaller-cache $(BIN)/pyinstaller --noconfirm --log-level ERROR pyinstaller.spec
	@touch $@

deb: $(PROGRAM) ## dist/imagemill_VERSION_amd64.deb: the folder, units, manual, completion, desktop entry
	installer/linux/package.sh deb

tarball: $(PROGRAM) ## dist/imagemill-VERSION-linux-amd64.tar.gz: the same for any Linux, with install.sh
	installer/linux/package.sh tarball

deb-test: $(PROGRAM) ## the package on a Debian with a real systemd, from install to purge (as root; TREE=tarball of one, else made)
	installer/setup.sh installers
	$(BIN)/python -m tests.installer "$$(installer/linux/package.sh deb)" $(if $(TREE),--tree $(TREE))

lock: setup ## the locks anew from pyproject.toml: newest allowed versions, hashes, no addresses
	rm -f uv.lock
	$(BIN)/uv lock --quiet
	$(BIN)/uv export --quiet --frozen --all-extras --all-groups --no-emit-project --no-header --no-annotate -o requirements.lock
	sed -i '/^[^#]/d' installer/pillow.txt
	echo 'pillow>=13' | $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate - >>installer/pillow.txt

clean: ## everything that was made here, .venv too
	rm -rf .venv build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf uv.lock src/imagemill.egg-info src/imagemill/api/static/swagger src/imagemill/web/static/vendor
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | expand -t 14
