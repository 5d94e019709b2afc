# Each target works as the first command on a Debian 12 with make and Python 3.11. `make` alone lists them.

.DEFAULT_GOAL := menu
.NOTPARALLEL:
.PHONY: menu setup demo test lint bench bundle impressions pictures lock peers

menu:
	@echo "dxatrend: targets"
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: ## make .venv from requirements.lock, checked by hash; quick when nothing changed
	@scripts/setup

demo: setup ## run the sample patients through the real service; addenda in var/demo/
	@.venv/bin/dxatrend demo

test: setup peers lint ## lint, then every test, with a real Orthanc, DCMTK and PostgreSQL
	@scripts/test

lint: setup ## ruff, mypy and the import contracts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

bench: setup peers ## one table: our medians, those of other programs for the same work, and ratios
	@.venv/bin/python -m tests.benchmarks

bundle: setup ## all that a machine without network needs to install dxatrend, in dist/
	@scripts/bundle

impressions: setup ## docs/impressions.md, and the README's example as text and picture
	@.venv/bin/python -m tests.factories.impressions

pictures: setup peers ## the README's pictures of the desk, taken from the demo
	@.venv/bin/python -m tests.factories.desk_pictures

lock: ## resolve both locks again; LOCK=--upgrade for the newest allowed versions
	@scripts/lock $(LOCK)

peers:
	@scripts/debian-packages peers
