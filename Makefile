# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-raw demo-video test test-slow test-hostile test-kills test-lowest test-pythons \
	benchmark results results-networks results-parts results-part-networks results-v1 robustness clean
# One goal after the other, but for those of which two are made at once.
ifndef PARALLEL
.NOTPARALLEL:
endif

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

# A drawn face with three movements and a blink: the video -> what is found -> the page.
.venv/.installed-video: requirements-video.txt requirements-faces.txt .venv/.installed
	$(BIN)/python -m pip install --quiet -r requirements-video.txt
	touch $@

demo-video: .venv/.installed-video
	$(BIN)/python make_synthetic.py --what video --out demo/video/synthetic_face.mp4
	$(BIN)/python predict_video.py demo/video/synthetic_face.mp4 --out demo/video/results \
		--annotated-video --truth demo/video/synthetic_face.csv
	@echo "SYNTHETIC: the face is drawn, and says nothing about people."
	@echo "SYNTHETIC: open demo/video/results/synthetic_face.html"

test: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow

# Generated bad inputs for every script: each ends in one line, and nothing on disk is changed.
test-hostile: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow -s tests/test_bad_inputs.py

# Random kills of the three long scripts, this many each with 1 and with 2 workers: hours.
# How many were run so far: docs/scale.md.
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
# If it is stopped, the same command resumes. At most three hours on two cores.
TRAIN = $(BIN)/python main_train_for_parameter_tuning.py --inputs $(INPUTS)
COMPARE = $(BIN)/python compare_results.py
SEEDS := 1 2 3 4 5
SUM := --affine True --rms True --phase-sum True --center False
RULES := last inner inner_refit cross_fitted oracle
CELL := 0.5_1_1_2

# Trained with every seed; the first one without validation subjects too, for the rule "inner".
SEEDED := ststnet causalnet_compact_v1 causalnet_compact causalnet_pretrained
ONCE := majority linear linear-sum au_kernel au_rule causalnet_spatial
# au_kernel without a part of it.
PARTS := no-network linear-only no-affine no-rms no-sum
no-network := --set au_network=false
linear-only := --set au_network=false orientation=false
no-affine := --affine False
no-rms := --rms False
no-sum := --phase-sum False
# au_kernel and causalnet_spatial with networks of other seeds than the shipped ones.
NETWORKS := 2 3 4 5
# Both on fewer subjects, in other protocols, and with shuffled labels.
STUDIED := linear au_kernel
SHARES := 0.125 0.25 0.5 0.75
PROTOCOLS := single_dataset leave_one_dataset_out
SHUFFLES := 1 2 3
STUDIES := $(SHARES:%=share-%) $(PROTOCOLS) $(SHUFFLES:%=null-%)

RUNS := $(ONCE) $(foreach m,$(SEEDED),$(SEEDS:%=$(m)-seed%)) $(PARTS:%=au_kernel-%) \
	$(NETWORKS:%=au_kernel-network%) $(NETWORKS:%=causalnet_spatial-network%) \
	$(foreach m,$(STUDIED),$(STUDIES:%=$(m)-%))

seeds_of = $(foreach s,$(SEEDS),results/$(1)-seed$(s)/$(2))
COMPACT := $(call seeds_of,causalnet_compact,$(CELL))
PRETRAINED := $(call seeds_of,causalnet_pretrained,causalnet_pretrained)
MEAN := $(foreach s,$(SEEDS),$(word $(s),$(COMPACT))+$(word $(s),$(PRETRAINED)))
LINEAR := results/linear/linear
KERNEL := results/au_kernel/au_kernel
SPATIAL := results/causalnet_spatial/causalnet_spatial
SUMMED := results/linear-sum/linear
OTHERS := $(SUMMED) results/majority/majority results/au_rule/au_rule \
	$(call seeds_of,ststnet,ststnet) $(call seeds_of,causalnet_compact_v1,$(CELL)) $(COMPACT) \
	$(PRETRAINED) $(MEAN) $(SPATIAL)
NAMES := linear_sum majority au_rule ststnet causalnet_compact_v1 causalnet_compact \
	causalnet_pretrained compact_and_pretrained causalnet_spatial
PART := results/au_kernel-no-network/au_kernel_au_network=False \
	results/au_kernel-linear-only/au_kernel_au_network=False_orientation=False \
	$(foreach p,no-affine no-rms no-sum,results/au_kernel-$(p)/au_kernel)
network_of = results/au_kernel-network$(1)/au_kernel_weights=results-au_network-seed$(1)-au_network.safetensors
spatial_of = results/causalnet_spatial-network$(1)/causalnet_spatial_weights=results-places-seed$(1)-causalnet.safetensors
SHARED := $(foreach m,$(STUDIED),$(SHARES:%=results/$(m)-share-%/$(m)))
SPLIT := $(foreach m,$(STUDIED),$(PROTOCOLS:%=results/$(m)-%/$(m)))

results: inputs-given results-networks $(RUNS:%=results-%)
	for rule in $(RULES); do \
		$(COMPARE) $(LINEAR) $(KERNEL) $(OTHERS) --names linear au_kernel $(NAMES) \
			--rules $$rule --table results/tables/methods_$$rule.csv || exit; \
	done
	$(COMPARE) $(KERNEL) $(LINEAR) $(OTHERS) --names au_kernel linear $(NAMES) \
		--rules last --table results/tables/methods_against_au_kernel.csv
	$(COMPARE) $(SUMMED) $(LINEAR) $(KERNEL) $(wordlist 2,99,$(OTHERS)) --rules last \
		--names linear_sum linear au_kernel $(wordlist 2,99,$(NAMES)) \
		--table results/tables/methods_against_linear_sum.csv
	$(COMPARE) $(KERNEL) $(PART) --names au_kernel $(PARTS) \
		--table results/tables/au_kernel_parts.csv
	$(COMPARE) $(KERNEL) $(foreach s,$(NETWORKS),$(call network_of,$(s))) \
		--names au_kernel $(NETWORKS:%=network_%) --table results/tables/au_kernel_networks.csv
	$(COMPARE) $(LINEAR) $(SPATIAL) $(foreach s,$(NETWORKS),$(call spatial_of,$(s))) \
		--names linear causalnet_spatial $(NETWORKS:%=network_%) \
		--table results/tables/causalnet_spatial_networks.csv
	$(COMPARE) $(KERNEL) $(LINEAR) $(SHARED) --table results/tables/learning_curve.csv --names \
		au_kernel linear $(foreach m,$(STUDIED),$(SHARES:%=$(m)_%))
	$(COMPARE) $(KERNEL) $(LINEAR) $(SPLIT) --table results/tables/protocols.csv --names \
		au_kernel linear $(foreach m,$(STUDIED),$(PROTOCOLS:%=$(m)_%))
	for seed in $(SHUFFLES); do \
		$(COMPARE) results/linear-null-$$seed/linear results/au_kernel-null-$$seed/au_kernel \
			--table results/tables/null_$$seed.csv || exit; \
	done
	$(BIN)/python make_report.py $(KERNEL) $(LINEAR) $(SUMMED) \
		$(call seeds_of,ststnet,ststnet) $(COMPACT) $(PRETRAINED) --disagreements \
		--inputs $(INPUTS) --out results/disagreements
	$(BIN)/python make_report.py $(LINEAR) $(KERNEL) $(OTHERS) --names linear au_kernel $(NAMES) \
		--out results/comparison

$(filter-out results-linear-sum,$(ONCE:%=results-%)): results-%: inputs-given
	$(TRAIN) --method $* --results results/$*
results-linear-sum: inputs-given
	$(TRAIN) --method linear $(SUM) --results results/linear-sum
define SEEDED_RUN
results-$(1)-seed$(2): inputs-given
	$$(TRAIN) --method $(1) --seed $(2) $(if $(filter 1,$(2)),--inner) \
		--results results/$(1)-seed$(2)
endef
$(foreach m,$(SEEDED),$(foreach s,$(SEEDS),$(eval $(call SEEDED_RUN,$(m),$(s)))))
$(PARTS:%=results-au_kernel-%): results-au_kernel-%: inputs-given
	$(TRAIN) --method au_kernel $($*) --results results/au_kernel-$*
# A network is written in one piece, when it is trained by one process: two at once.
PRETRAIN = OMP_NUM_THREADS=1 $(BIN)/python -m training.pretrain_on_motion --out $(@D) --network
NETWORK_FILES := $(NETWORKS:%=results/au_network-seed%/au_network.safetensors) \
	$(NETWORKS:%=results/places-seed%/causalnet.safetensors)
results-networks:
	$(MAKE) -j 2 PARALLEL=yes $(NETWORK_FILES)
results/au_network-seed%/au_network.safetensors: | .venv/.installed
	$(PRETRAIN) au_network --seed $*
results/places-seed%/causalnet.safetensors: | .venv/.installed
	$(PRETRAIN) causalnet_spatial --seed $*
$(NETWORKS:%=results-au_kernel-network%): results-au_kernel-network%: \
		results/au_network-seed%/au_network.safetensors inputs-given
	$(TRAIN) --method au_kernel --set weights=$< --results results/au_kernel-network$*
$(NETWORKS:%=results-causalnet_spatial-network%): results-causalnet_spatial-network%: \
		results/places-seed%/causalnet.safetensors inputs-given
	$(TRAIN) --method causalnet_spatial --set weights=$< \
		--results results/causalnet_spatial-network$*
define STUDIED_RUNS
$(SHARES:%=results-$(1)-share-%): results-$(1)-share-%: inputs-given
	$$(TRAIN) --method $(1) --seed 1 --subject-share $$* --results results/$(1)-share-$$*
$(PROTOCOLS:%=results-$(1)-%): results-$(1)-%: inputs-given
	$$(TRAIN) --method $(1) --protocol $$* --results results/$(1)-$$*
$(SHUFFLES:%=results-$(1)-null-%): results-$(1)-null-%: inputs-given
	$$(TRAIN) --method $(1) --seed 1 --label-shuffle $$* --results results/$(1)-null-$$*
endef
$(foreach m,$(STUDIED),$(eval $(call STUDIED_RUNS,$(m))))

# The paper's idea on trial: CausalNets with and without CMPLM and CAB, one seed. Under wrong key
# frames: docs/robustness.md. Twenty minutes on two cores, once `make results` has run.
WITHOUT := no_cmplm no_cab
WEIGHTS_pretrained = results/weights-pretrained-$(1)/causalnet.safetensors
WEIGHTS_spatial = results/weights-spatial-$(1)/causalnet.safetensors
name_of = $(subst /,-,$(1))
PRETRAINED_PART = results/causalnet_pretrained-$(1)/causalnet_pretrained_ablation=$(1)_weights=$(call name_of,$(call WEIGHTS_pretrained,$(1)))
SPATIAL_PART = results/causalnet_spatial-$(1)/causalnet_spatial_parts=$(1)_weights=$(call name_of,$(call WEIGHTS_spatial,$(1)))
PART_NETWORKS := $(foreach p,$(WITHOUT),$(call WEIGHTS_pretrained,$(p))) \
	$(foreach p,cmplm neither,$(call WEIGHTS_spatial,$(p)))
results-parts: inputs-given results-part-networks $(WITHOUT:%=results-causalnet_compact-%) \
		$(WITHOUT:%=results-causalnet_pretrained-%) \
		$(patsubst %,results-causalnet_spatial-%,both cmplm neither)
	$(COMPARE) results/causalnet_compact-seed1/$(CELL) \
		$(foreach p,$(WITHOUT),results/causalnet_compact-$(p)/$(CELL)_$(p)) \
		--names compact $(WITHOUT) --table results/tables/causalnet_compact_parts.csv
	$(COMPARE) results/causalnet_pretrained-seed1/causalnet_pretrained \
		$(foreach p,$(WITHOUT),$(call PRETRAINED_PART,$(p))) \
		--names pretrained $(WITHOUT) --table results/tables/causalnet_pretrained_parts.csv
	$(COMPARE) $(SPATIAL) results/causalnet_spatial-both/causalnet_spatial_parts=both \
		$(foreach p,cmplm neither,$(call SPATIAL_PART,$(p))) \
		--names cab both cmplm neither --table results/tables/causalnet_spatial_parts.csv
results-part-networks: | .venv/.installed
	$(MAKE) -j 2 PARALLEL=yes $(PART_NETWORKS)
results/weights-pretrained-%/causalnet.safetensors: | .venv/.installed
	$(PRETRAIN) causalnet_pretrained --ablation $*
results/weights-spatial-%/causalnet.safetensors: | .venv/.installed
	$(PRETRAIN) causalnet_spatial --parts $*
$(WITHOUT:%=results-causalnet_compact-%): results-causalnet_compact-%: inputs-given
	$(TRAIN) --method causalnet_compact --seed 1 --ablation $* \
		--results results/causalnet_compact-$*
$(WITHOUT:%=results-causalnet_pretrained-%): results-causalnet_pretrained-%: \
		results/weights-pretrained-%/causalnet.safetensors inputs-given
	$(TRAIN) --method causalnet_pretrained --seed 1 --set ablation=$* weights=$< \
		--results results/causalnet_pretrained-$*
results-causalnet_spatial-both: inputs-given
	$(TRAIN) --method causalnet_spatial --set parts=both --results results/causalnet_spatial-both
results-causalnet_spatial-cmplm results-causalnet_spatial-neither: \
		results-causalnet_spatial-%: results/weights-spatial-%/causalnet.safetensors inputs-given
	$(TRAIN) --method causalnet_spatial --set parts=$* weights=$< \
		--results results/causalnet_spatial-$*

# What version 0.1 also measured of causalnet_compact_v1: ablations, 200 epochs, null check.
# Two hours on two cores, once `make results` has run.
V1 := results-causalnet_compact_v1
V1_ABLATIONS := no_cmplm no_cab no_direction contraction_only
ABLATED := results/causalnet_compact_v1-seed1/$(CELL) \
	$(foreach a,$(V1_ABLATIONS),results/causalnet_compact_v1-$(a)/$(CELL)_$(a))
results-v1: $(SEEDS:%=$(V1)-seed%) $(V1_ABLATIONS:%=$(V1)-%) $(V1)-200 $(V1)-null
	for rule in $(RULES); do \
		$(COMPARE) $(ABLATED) --names compact_v1 $(V1_ABLATIONS) --rules $$rule \
			--table results/tables/ablations_$$rule.csv || exit; \
	done
	$(BIN)/python -m benchmarks.oracle_by_epochs \
		$(call seeds_of,causalnet_compact_v1,$(CELL)) results/causalnet_compact_v1-200/$(CELL)
$(V1_ABLATIONS:%=$(V1)-%): $(V1)-%: inputs-given
	$(TRAIN) --method causalnet_compact_v1 --seed 1 --ablation $* --inner \
		--results results/causalnet_compact_v1-$*
$(V1)-200: inputs-given
	$(TRAIN) --method causalnet_compact_v1 --seed 1 --epochs 200 --schedule constant \
		--results results/causalnet_compact_v1-200
$(V1)-null: inputs-given
	$(TRAIN) --method causalnet_compact_v1 --seed 1 --label-shuffle 1 --inner \
		--results results/causalnet_compact_v1-null

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
