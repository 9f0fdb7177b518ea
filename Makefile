# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-raw test test-slow clean
.NOTPARALLEL:

.venv/.installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

# Synthetic raw datasets: sheet -> audit -> inputs -> a small grid, leave-one-subject-out -> figures.
SHEET_casme2 := CASME2-coding-20140508.xlsx
SHEET_samm := SAMM_Micro_FACS_Codes_v2.xlsx
SHEET_smic := SMIC-HS-E_annotation_2019.xlsx
# SAMM ships no registered frames, so the synthetic ones have a folder of their own.
FRAMES_casme2 := casme2
FRAMES_samm := samm/registered
FRAMES_smic := smic
RAW = --dataset $* --sheet demo/raw/$*/$(SHEET_$*) --frames demo/raw/$(FRAMES_$*) --registered

demo: .venv/.installed demo-raw demo-inputs-casme2 demo-inputs-samm demo-inputs-smic
	$(BIN)/python main_train_for_parameter_tuning.py --inputs demo/inputs --preset compact \
		--gammas 0.3 0.5 --threads 1 --workers 2 --group-size 6 \
		--results demo/results --save-weights --weights demo/weights
	$(BIN)/python eval.py --inputs demo/inputs --weights demo/weights/results-0.5_1_1_2 \
		--results demo/results_eval
	$(BIN)/python calculate_all_results.py demo/results/0.5_1_1_2

demo-raw: .venv/.installed
	$(BIN)/python make_synthetic_raw_datasets.py --out demo/raw --datasets casme2 samm smic \
		--subjects 4 --clips 6 --frames registered

demo-inputs-%: demo-raw
	$(BIN)/python audit_dataset.py $(RAW) --out demo/audit_$*.csv
	$(BIN)/python build_inputs.py $(RAW) --out demo/inputs

test: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

test-slow: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache
