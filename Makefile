# Everything here works on a fresh Debian machine, as root, with the Rust toolchain and nothing else.
.PHONY: help build dist deb demo test test-all unit snapshots worlds-test outer-test readers-test sandbox-test vm-test bench soak lint msrv fmt stop

# The steps and the report formats, which a macro declares and rustfmt does not find by itself.
IN_MACROS := --edition 2024 $(wildcard src/steps/*.rs src/steps/*/mod.rs src/report/formats/*.rs)
BINARY := target/x86_64-unknown-linux-gnu/release/dindcheck

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## the static binary
	cargo build --release --locked

demo: build ## the main job in a real outer container, in three acts
	scripts/demo.sh $(BINARY)

dist: ## what is shipped: the small binary with its checksum, man pages and completions, in dist/
	cargo build --profile dist --locked
	scripts/dist.sh target/x86_64-unknown-linux-gnu/dist/dindcheck dist

deb: dist ## the Debian package (cargo install cargo-deb)
	cargo deb --no-build --no-strip --profile dist --target x86_64-unknown-linux-gnu

test: ## everything, of large matrices a sample; says how long it takes and how far it is
	scripts/test.sh

test-all: ## the same with the whole of each matrix
	DINDCHECK_FULL=1 scripts/test.sh

unit: ## what needs neither root nor an engine
	cargo test --locked --all-targets
	cargo test --locked --doc

snapshots: ## write anew what is generated: README's tables, the schema, and the findings of the recordings
	UPDATE_SNAPSHOTS=1 cargo test --locked --test steps --test reports --test cli --test replays

worlds-test: build ## real worlds: a real outer engine, real inner ones
	scripts/worlds.sh $(BINARY)

outer-test: worlds-test

readers-test: ## reports and manifests before strict readers of others (PyPI: jsonschema, kubernetes-validate)
	python3 -m venv target/readers && target/readers/bin/pip install -q jsonschema kubernetes-validate
	PATH=$(CURDIR)/target/readers/bin:$$PATH cargo test --locked --test reports --test deploy -- --ignored

sandbox-test: build ## the fault matrix: worlds made of namespaces, broken one way at a time
	scripts/sandbox.sh $(BINARY)

vm-test: build ## other kernels and other cgroups, in virtual machines
	scripts/vm-test.sh $(BINARY)

bench: build ## verify against the usual script and against the floor, as ratios of one run
	scripts/bench.sh $(BINARY)

soak: build ## 300 runs in a row: nothing may grow
	scripts/soak.sh $(BINARY)

lint: ## formatting, clippy, and dependencies where cargo-deny is installed
	cargo fmt --all --check
	rustfmt --check $(IN_MACROS)
	cargo clippy --locked --all-targets -- -D warnings
	cargo check --locked --no-default-features
	@$(MAKE) --no-print-directory msrv
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check bans licenses sources; \
	else echo "cargo-deny is not installed: dependencies were not checked"; fi

msrv: ## the oldest supported toolchain (rust-version of Cargo.toml), where rustup has it
	@version=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	if rustup run "$$version" true 2>/dev/null; \
	then cargo "+$$version" check --locked --all-targets --target-dir target/msrv; \
	else echo "toolchain $$version is not installed: only clippy's incompatible_msrv checked it (rustup toolchain install $$version)"; fi

fmt: ## format
	cargo fmt --all
	rustfmt $(IN_MACROS)

stop: ## end the test bed's engine
	tests/bed/engine.sh stop
