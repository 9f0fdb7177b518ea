# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-raw test test-slow test-hostile test-kills test-lowest test-pythons benchmark results robustness clean
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
	$(BIN)/python main_train_for_parameter_tuning.py --inputs demo/inputs \
		--method causalnet_compact --gammas 0.3 0.5 --workers 2 --group-size 6 \
		--results demo/results --save-weights --weights demo/weights
	$(BIN)/python eval.py --inputs demo/inputs --weights demo/weights/results-0.5_1_1_2 \
		--results demo/results_eval
	$(BIN)/python make_report.py demo/results
	$(BIN)/python calculate_all_results.py demo/results/chosen/last
	@echo "These are drawn clips: the figures say that everything works, and nothing about people."
	@echo "Open demo/results/report/report.html; then try your own method:"
	@echo "  $(BIN)/python main_train_for_parameter_tuning.py --inputs demo/inputs" \
		"--method docs/examples/my_svc.py --results demo/my_svc"

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
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow

# Generated bad inputs for every script: each ends in one line, and nothing on disk is changed.
test-hostile: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow -s tests/test_bad_inputs.py

# Random kills of the three long scripts, this many each with 1 and with 2 workers.
KILLS := 500
test-kills: .venv/.installed-dev
	CAUSALNET_KILLS=$(KILLS) $(BIN)/python -m pytest -m slow -s tests/test_kills.py

# The fast tests with the lowest versions of requirements.txt, in an environment of their own.
# Versions that cannot be had here are left free: make test-lowest FREE="torch torchvision"
LOWEST := .venv-lowest
FREE :=
test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	sed -n 's/>=/==/p' requirements.txt $(foreach p,$(FREE),| grep -v "^$(p)==") > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet -r requirements.txt -r requirements-faces.txt \
		-c $(LOWEST)/lowest.txt \
		--extra-index-url https://download.pytorch.org/whl/cpu \
		pytest pytest-xdist scikit-image html5lib
	$(LOWEST)/bin/python -m pytest -n 2 --dist loadfile

# Whether what is used of Python is there in every version from 3.11 to 3.13.
test-pythons: .venv/.installed-dev
	for version in 3.11 3.12 3.13; do $(BIN)/mypy --python-version $$version || exit; done
	$(BIN)/python -W error -m compileall -q -f *.py common datasets evaluation models training

# The CPU figures of docs/performance.md and docs/scale.md; nothing else should use the cores.
benchmark: .venv/.installed-dev
	$(BIN)/python -m benchmarks.methods
	$(BIN)/python -m benchmarks.stacked_folds
	$(BIN)/python -m benchmarks.scheduling

# The figures of docs/results.md on the released samples: make results INPUTS=../CausalNet
# If it is stopped, the same command resumes.
TRAIN = $(BIN)/python main_train_for_parameter_tuning.py --inputs $(INPUTS)
SEEDS := 1 2 3 4 5
ABLATIONS := no_cmplm no_cab no_direction contraction_only
SUM := --affine True --rms True --phase-sum True --center False
KERNELS := no-network linear-only no-affine no-rms no-sum
no-network := --set au_network=false
linear-only := --set au_network=false orientation=false
no-affine := --affine False
no-rms := --rms False
no-sum := --phase-sum False
V1 := 0.5_1_1_2
SEEDED := ststnet causalnet_compact_v1 causalnet_compact
RUNS := majority linear linear-sum au_kernel au_rule $(KERNELS:%=au_kernel-%) \
	$(foreach m,$(SEEDED),$(SEEDS:%=$(m)-seed%)) \
	$(ABLATIONS:%=causalnet_compact_v1-%) null-linear null-causalnet_compact_v1 \
	causalnet_compact_v1-200
RULES := last inner inner_refit cross_fitted oracle

METHODS := results/linear/linear results/majority/majority results/au_rule/au_rule \
	results/au_kernel/au_kernel results/linear-sum/linear $(SEEDS:%=results/ststnet-seed%/ststnet) \
	$(SEEDS:%=results/causalnet_compact_v1-seed%/$(V1)) \
	$(SEEDS:%=results/causalnet_compact-seed%/$(V1))
NAMES := linear majority au_rule au_kernel linear_sum ststnet causalnet_compact_v1 causalnet_compact
ABLATED := results/causalnet_compact_v1-seed1/$(V1) \
	$(foreach a,$(ABLATIONS),results/causalnet_compact_v1-$(a)/$(V1)_$(a))
results: $(RUNS:%=results-%)
	$(BIN)/python compare_results.py $(METHODS) --names $(NAMES) \
		--table docs/results/methods_last.csv
	for rule in $(RULES); do \
		$(BIN)/python compare_results.py $(ABLATED) --names compact_v1 $(ABLATIONS) --rules $$rule \
			--table docs/results/ablations_$$rule.csv || exit; \
	done
	$(BIN)/python -m benchmarks.oracle_by_epochs \
		$(SEEDS:%=results/causalnet_compact_v1-seed%/$(V1)) results/causalnet_compact_v1-200/$(V1)

results-majority results-linear results-au_kernel results-au_rule: results-%: inputs-given
	$(TRAIN) --method $* --results results/$*
results-linear-sum: inputs-given
	$(TRAIN) --method linear $(SUM) --results results/linear-sum
$(KERNELS:%=results-au_kernel-%): results-au_kernel-%: inputs-given
	$(TRAIN) --method au_kernel $($*) --results results/au_kernel-$*
# The first seed of a network is trained without validation subjects too, for the rule "inner".
define SEEDED_RUN
results-$(1)-seed$(2): inputs-given
	$$(TRAIN) --method $(1) --seed $(2) $(if $(filter 1,$(2)),--inner) \
		--results results/$(1)-seed$(2)
endef
$(foreach m,$(SEEDED),$(foreach s,$(SEEDS),$(eval $(call SEEDED_RUN,$(m),$(s)))))
$(ABLATIONS:%=results-causalnet_compact_v1-%): results-causalnet_compact_v1-%: inputs-given
	$(TRAIN) --method causalnet_compact_v1 --seed 1 --ablation $* --inner \
		--results results/causalnet_compact_v1-$*
results-causalnet_compact_v1-200: inputs-given
	$(TRAIN) --method causalnet_compact_v1 --seed 1 --epochs 200 --schedule constant \
		--results results/causalnet_compact_v1-200
results-null-linear: inputs-given
	$(TRAIN) --method linear --seed 1 --label-shuffle 1 --results results/null-linear
results-null-causalnet_compact_v1: inputs-given
	$(TRAIN) --method causalnet_compact_v1 --seed 1 --label-shuffle 1 --inner \
		--results results/null-causalnet_compact_v1

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
