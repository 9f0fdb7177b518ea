# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-raw test test-slow benchmark results robustness clean
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
	$(BIN)/python calculate_all_results.py demo/results/chosen/last

demo-raw: .venv/.installed
	$(BIN)/python make_synthetic.py --what raw --out demo/raw --datasets casme2 samm smic \
		--n-subjects 4 --n-clips 6 --frame-kind registered

demo-inputs-%: demo-raw
	$(BIN)/python build_inputs.py $(RAW) --audit-only --out demo/audit_$*.csv
	$(BIN)/python build_inputs.py $(RAW) --out demo/inputs

test: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

test-slow: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow

# The CPU figures of docs/performance.md and docs/scale.md; nothing else should use the cores.
benchmark: .venv/.installed-dev
	$(BIN)/python -m benchmarks.methods
	$(BIN)/python -m benchmarks.stacked_folds
	$(BIN)/python -m benchmarks.scheduling

# The figures of docs/results.md on the released samples: make results INPUTS=../CausalNet
# Stopped, the same command goes on.
TRAIN = $(BIN)/python main_train_for_parameter_tuning.py --inputs $(INPUTS)
FAST := --threads 1 --workers 2 --group-size 8
SEEDS := 1 2 3 4 5
ABLATIONS := no_cmplm no_cab no_direction contraction_only
RUNS := linear majority $(SEEDS:%=compact-seed%) $(SEEDS:%=ststnet-seed%) \
	$(ABLATIONS) null-linear null-compact compact-200
# The first seed of a method is trained on a split of its training subjects too, for rule "inner".
INNER = $(if $(filter 1,$*),--inner)

COMPACT := 0.5_1_1_2
RULES := last inner inner_refit cross_fitted oracle
NULL := results/null-linear/linear results/null-compact/$(COMPACT)
results: $(RUNS:%=results-%) robustness
	$(BIN)/python compare_results.py results/linear/linear results/majority/majority \
		$(SEEDS:%=results/ststnet-seed%/ststnet) $(SEEDS:%=results/compact-seed%/$(COMPACT))
	$(BIN)/python compare_results.py results/compact-seed1/$(COMPACT) \
		$(foreach a,$(ABLATIONS),results/compact-$(a)/$(COMPACT)_$(a))
	for rule in $(RULES); do \
		$(BIN)/python compare_results.py results/linear/linear results/majority/majority \
			$(SEEDS:%=results/ststnet-seed%/ststnet) $(SEEDS:%=results/compact-seed%/$(COMPACT)) \
			--names linear majority ststnet compact --rules $$rule \
			--table docs/results/methods_$$rule.csv && \
		$(BIN)/python compare_results.py results/compact-seed1/$(COMPACT) \
			$(foreach a,$(ABLATIONS),results/compact-$(a)/$(COMPACT)_$(a)) \
			--names compact $(ABLATIONS) --rules $$rule \
			--table docs/results/ablations_$$rule.csv || exit; \
	done
	$(BIN)/python compare_results.py $(NULL) results/null-compact/$(COMPACT)/inner \
		results/null-compact/$(COMPACT)/oracle
	$(BIN)/python -m benchmarks.oracle_by_epochs $(SEEDS:%=results/compact-seed%/$(COMPACT)) \
		results/compact-200/$(COMPACT)
	$(BIN)/python make_report.py results/compact-seed1

results-linear results-majority: results-%: inputs-given
	$(TRAIN) --preset $* --results results/$*
$(SEEDS:%=results-compact-seed%): results-compact-seed%: inputs-given
	$(TRAIN) --preset compact --seed $* $(INNER) $(FAST) --results results/compact-seed$*
$(SEEDS:%=results-ststnet-seed%): results-ststnet-seed%: inputs-given
	$(TRAIN) --preset ststnet --seed $* $(INNER) $(FAST) --results results/ststnet-seed$*
results-compact-200: inputs-given
	$(TRAIN) --preset compact --seed 1 --epochs 200 --schedule constant $(FAST) \
		--results results/compact-200
$(ABLATIONS:%=results-%): results-%: inputs-given
	$(TRAIN) --preset compact --seed 1 --ablation $* --inner $(FAST) --results results/compact-$*
results-null-linear: inputs-given
	$(TRAIN) --preset linear --seed 1 --label-shuffle 1 $(FAST) --results results/null-linear
results-null-compact: inputs-given
	$(TRAIN) --preset compact --seed 1 --label-shuffle 1 --inner $(FAST) --results results/null-compact

.PHONY: inputs-given
inputs-given: .venv/.installed
	@test -n "$(INPUTS)" || { \
		echo "give the released samples: make $(firstword $(MAKECMDGOALS)) INPUTS=FOLDER"; exit 2; }

# Key-frame noise on synthetic clips, and the page made of it (docs/robustness.md).
robustness: .venv/.installed
	$(BIN)/python make_synthetic.py --what raw --out results/robustness_raw --datasets casme2 \
		--n-subjects 12 --frame-kind registered
	$(BIN)/python measure_robustness.py --dataset casme2 --registered --flow dis \
		--sheet results/robustness_raw/casme2/$(SHEET_casme2) \
		--frames results/robustness_raw/casme2 --results results/robustness
	$(BIN)/python make_report.py results/robustness

clean:
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache
