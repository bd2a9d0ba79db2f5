# The front door: `make` alone lists what there is. What takes more than a line of shell stands in .ci/.
#
# There is one build shape, `--workspace --all-targets`: selecting single crates would change which features their
# dependencies get, and so compile them again.

SHELL := bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.tools/bin:$(PATH)

TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# What `make bench` measures on, unless told otherwise: 8,000 dataflows in 26 MB.
FILE ?= $(TARGET)/catalogue.xml

# The stages of `make test`, quick answers first.
STAGES := test-fmt test-lint test-docs test-proto test-k8s test-rust test-redis test-mesh

.PHONY: help build release tools fmt test $(STAGES) bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Compile everything, tests included
	cargo build --workspace --all-targets --locked

release: ## Compile the binary as users get it: target/release/dataflow
	@.ci/stage $@ cargo build --release --locked -p dataflow

tools: ## Install the tools that tests call into .tools/
	@.ci/tools

fmt: ## Format the code
	cargo fmt --all

test: tools ## Run every stage below, in order, and sum up
	@MAKE="$(MAKE)" .ci/stages $(STAGES)

test-fmt: ## Is the code formatted?
	@.ci/stage $@ cargo fmt --all --check

test-lint: ## Is clippy content?
	@.ci/stage $@ cargo clippy --workspace --all-targets --locked -- -D warnings

test-docs: export RUSTDOCFLAGS := -D warnings
test-docs: ## Does the documentation build, links included?
	@.ci/stage $@ cargo doc --workspace --no-deps --locked

test-proto: tools ## Does the contract keep its rules, and its word to the last release? (buf)
	@.ci/stage $@ --needs buf sh -c 'buf lint && buf breaking --against proto/released.json'

test-k8s: tools ## Is the image built well, do the manifests render in every combination, would a cluster take them? (hadolint, kubectl)
	@.ci/stage $@ --needs hadolint --needs kubectl --needs kubernetes-validate sh -c 'hadolint Dockerfile && .ci/k8s'

# Each stage below selects its binaries of tests/tests; `--test version` has cargo build the command that they run.
test-rust: tools ## Everything in Rust that needs neither Redis nor Envoy: unit, property and contract tests, invariants, real processes (grpcurl)
	@.ci/stage $@ cargo test --workspace --locked --lib --bins --test version --test invariants --test processes -- --show-output

test-redis: tools ## State in Redis: one server, Sentinels, a Cluster, what happens when they fail; traces down to it; the same without Redis (redis-server)
	@.ci/stage $@ cargo test --workspace --locked --test version --test redis -- --show-output

test-mesh: tools ## The mesh behind real sidecars, and restarted under load with them and without (envoy, redis-server)
	@.ci/stage $@ --needs envoy --needs redis-server cargo test --workspace --locked --test version --test mesh -- --show-output --test-threads 1

bench: build release $(FILE) $(TARGET)/small.xml ## Measure the figures on a generated catalogue, or on FILE=...
	$(foreach figure,parse rules memory start,$(TARGET)/release/dataflow bench $(figure) $(FILE) &&) true
	$(TARGET)/release/dataflow bench repeat $(TARGET)/small.xml
	$(TARGET)/release/dataflow bench cache
	$(TARGET)/release/dataflow bench gateway

$(TARGET)/catalogue.xml: | build
	$(TARGET)/debug/generate-catalogue > $@

# What a client may well ask for twice: 600 dataflows in 2 MB.
$(TARGET)/small.xml: | build
	$(TARGET)/debug/generate-catalogue --flows 600 --bytes 2000000 > $@

clean: ## Remove what was built and installed
	cargo clean
	rm -rf .tools
