# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow benchmark clean

.venv/.installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

# Synthetic clips -> flow -> maps -> a small grid, leave-one-subject-out -> figures -> files.
demo: .venv/.installed
	$(BIN)/python make_synthetic_clips.py --out demo/inputs --subjects 4 --clips 6
	$(BIN)/python main_train_for_parameter_tuning.py --inputs demo/inputs --preset compact \
		--gammas 0.3 0.5 --results demo/results --save-weights --weights demo/weights
	$(BIN)/python eval.py --inputs demo/inputs --weights demo/weights/results-0.5_1_1_2 \
		--results demo/results_eval
	$(BIN)/python calculate_all_results.py demo/results/0.5_1_1_2

test: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

test-slow: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache
