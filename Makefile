# The menu. Each target works as the first command ever typed on a Debian 12 with make and Python 3.11.

.DEFAULT_GOAL := menu
.NOTPARALLEL:
.PHONY: menu setup demo test lint bench impressions lock peers

menu:
	@echo "dxatrend: what would you like?"
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: ## .venv from requirements.lock, hash by hash; quick when nothing changed
	@scripts/setup

demo: setup ## the sample patients through the real service on this machine; addenda in var/demo/
	@.venv/bin/dxatrend demo

test: setup peers lint ## everything: lint, then every test, the real Orthanc, DCMTK and PostgreSQL included
	@scripts/test

lint: setup ## ruff, mypy and the import contracts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

bench: setup peers ## how fast, beside what others take for the same: one table of medians and ratios
	@.venv/bin/python -m tests.benchmarks

impressions: setup ## docs/impressions.md and the README's example: what the addenda of the sample patients say
	@.venv/bin/python -m tests.factories.impressions

lock: ## resolve requirements.lock anew; LOCK=--upgrade for the newest allowed
	@scripts/lock $(LOCK)

peers:
	@scripts/debian-packages peers
