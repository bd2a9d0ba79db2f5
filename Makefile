# Entry point: `make` alone lists the targets. Scripts longer than a line are in .ci/.
#
# There is one build shape, `--workspace --all-targets`: selecting single crates would change which features their
# dependencies get, and so compile them again.

SHELL := bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.tools/bin:$(PATH)

TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# Default catalogue of `make bench`: 8,000 dataflows in 26 MB.
FILE ?= $(TARGET)/catalogue.xml

# The published catalogues and data that `bench parse` measures, if SDMX_CORPUS names their directory.
PUBLISHED := $(if $(SDMX_CORPUS),$(addprefix $(SDMX_CORPUS)/catalogues/,insee_dataflow_FR1.xml \
	istat_dataflow_IT1_2020-05-03.xml globalregistry_sdmx30_dataflow_children.xml) \
	$(SDMX_CORPUS)/data/estat_bulk_apro_cpp_crop.sdmx.xml)

# The stages of `make test`, fast ones first.
STAGES := test-fmt test-lint test-docs test-proto test-k8s test-observability test-rust test-redis test-mesh test-hostile

.PHONY: help build release tools fmt test $(STAGES) bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Compile everything, tests included
	cargo build --workspace --all-targets --locked

release: ## Compile the release binary: target/release/dataflow
	@.ci/stage $@ cargo build --release --locked -p dataflow

tools: ## Install the tools of the tests into .tools/
	@.ci/tools

fmt: ## Format the code
	cargo fmt --all

test: tools ## Run every stage below, in order, and print a summary
	@MAKE="$(MAKE)" .ci/stages $(STAGES)

test-fmt: ## Check the format of the code
	@.ci/stage $@ cargo fmt --all --check

test-lint: ## Run clippy
	@.ci/stage $@ cargo clippy --workspace --all-targets --locked -- -D warnings

test-docs: export RUSTDOCFLAGS := -D warnings
test-docs: ## Build the documentation and check its links
	@.ci/stage $@ cargo doc --workspace --no-deps --locked

test-proto: tools ## Lint the contract and check compatibility with the last release (buf)
	@.ci/stage $@ --needs buf sh -c 'buf lint && buf breaking --against proto/released.json'

test-k8s: tools ## Lint the Dockerfile, render the manifests in every combination and validate them (hadolint, kubectl)
	@.ci/stage $@ --needs hadolint --needs kubectl --needs kubernetes-validate sh -c 'hadolint Dockerfile && .ci/k8s'

test-observability: tools ## Test alerts and recording rules, and check the queries and the schema of dashboards (promtool)
	@.ci/stage $@ --needs promtool .ci/observability

# Each stage below selects test binaries of tests/tests; `--test version` makes cargo build the `dataflow` binary for
# them.
test-rust: tools ## Run the tests that need neither Redis nor Envoy: unit, property, contract, invariants, processes (grpcurl)
	@.ci/stage $@ cargo test --workspace --locked --lib --bins --test version --test invariants --test processes -- --show-output

test-redis: tools ## Test state in Redis: single server, Sentinels, Cluster, failures, traces; and the embedded store (redis-server)
	@.ci/stage $@ cargo test --workspace --locked --test version --test redis -- --show-output

test-mesh: tools ## Test the mesh with real sidecars, and rolling restarts under load with and without them (envoy, redis-server)
	@.ci/stage $@ --needs envoy --needs redis-server cargo test --workspace --locked --test version --test mesh -- --show-output --test-threads 1

test-hostile: tools ## Run the campaign: hostile callers against real processes
	@.ci/stage $@ cargo test --workspace --locked --test version --test hostile -- --show-output --test-threads 4

bench: build release $(FILE) $(TARGET)/small.xml $(TARGET)/short-texts.xml ## Run the benchmarks on a generated catalogue, or on FILE=...
	$(TARGET)/release/dataflow bench parse --rounds 51 $(PUBLISHED) $(TARGET)/short-texts.xml $(FILE)
	$(foreach figure,rules memory start,$(TARGET)/release/dataflow bench $(figure) $(FILE) &&) true
	$(TARGET)/release/dataflow bench repeat $(TARGET)/small.xml
	$(TARGET)/release/dataflow bench diff $(FILE)
	$(TARGET)/release/dataflow bench cache
	$(TARGET)/release/dataflow bench gateway
	$(TARGET)/release/dataflow bench observability
	$(TARGET)/release/dataflow bench scrape
	cargo bench --locked -p dataflow-transcode
	$(TARGET)/release/dataflow bench overload
	$(TARGET)/release/dataflow bench isolation

$(TARGET)/catalogue.xml: | build
	$(TARGET)/debug/generate-catalogue > $@

# A document small enough for the result cache: 600 dataflows in 2 MB.
$(TARGET)/small.xml: | build
	$(TARGET)/debug/generate-catalogue --flows 600 --bytes 2000000 > $@

# Many dataflows of one short name each: 1,500 in 1 MB.
$(TARGET)/short-texts.xml: | build
	$(TARGET)/debug/generate-catalogue --profile short-texts > $@

clean: ## Remove build outputs and installed tools
	cargo clean
	rm -rf .tools
