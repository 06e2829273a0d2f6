# `make demo` bakes the example application in a lab on this machine; `make test` runs every test.
# Both install what they lack (Debian or Ubuntu) and say so first.

.PHONY: help demo test rehearse dist test-dist storm bench check deps-demo deps-test deps-dist deps-bench

help:
	@echo "make demo    bake provision/app in the lab, boot the image, fetch its page, read its logs and metrics back from CloudWatch"
	@echo "make test    run all tests (the lab's need root: sudo is used if you are not)"
	@echo "make dist    the agent's packages: .deb, tarball, checksums, for Ubuntu 18.04 and newer"
	@echo "make test-dist    the same, and their tests: the binary, the packages, and their life on a host of the lab"
	@echo "make rehearse    an instance of provision/app through half an hour without a network (REHEARSE_SECONDS)"
	@echo "make storm   the agent for twice ten minutes under everything at once (STORM_SECONDS, STORM_SEED)"
	@echo "make bench   print measurements as ratios against a yardstick of the same run"
	@echo "make check   formatting, lints, documentation, dependency audit"

# The lab needs root; building does not. Tests are run through sudo only where that is needed.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
RUNNER_VARIABLE := CARGO_TARGET_$(shell echo '$(HOST)' | tr 'a-z-' 'A-Z_')_RUNNER
AS_ROOT := $(if $(filter 0,$(shell id -u)),,env $(RUNNER_VARIABLE)="sudo -E")
# Packer is a stranger that one test lets bake in the lab; some distributions no longer carry it.
WITHOUT_PACKER = $(shell command -v packer >/dev/null || echo --skip packer_bakes)

# From the whole binary to its parts.
AGENT_BENCHES = agent stages batch put ledger

deps-demo:
	@scripts/deps.sh demo

deps-test:
	@scripts/deps.sh test

deps-dist:
	@scripts/deps.sh dist

deps-bench:
	@scripts/deps.sh bench

demo: deps-demo
	cargo build --package baker --package lab --package baker-agent --bins
	@scripts/demo.sh

test: deps-test
	$(AS_ROOT) cargo test --workspace -- $(WITHOUT_PACKER)

dist: deps-dist
	@scripts/dist.sh

# What is installed is tested as it is installed: the true packages, on a host.
test-dist: deps-test dist
	$(AS_ROOT) cargo test --workspace --test dist -- --include-ignored

# What takes long by its nature: half an hour without a network, as a host in the lab lives through it.
rehearse: deps-test
	cargo build --package baker-agent
	$(AS_ROOT) cargo test --package baker --test shipping -- --ignored --nocapture

# The release build, so that peak memory is what a host would see. First everything but logrotate's directives, then all of those.
storm: deps-test
	STORM_SECONDS=$${STORM_SECONDS:-600} $(AS_ROOT) cargo test --package baker-agent --test storm --release -- \
		everything_at_once every_rotation_at_once --include-ignored --nocapture --test-threads=1

# The baker in the development profile: it is built already, and optimises what a bake spends its time in. The agent as it is released.
bench: deps-bench
	$(AS_ROOT) cargo bench --package baker --benches --profile dev
	cargo bench --package baker-agent $(AGENT_BENCHES:%=--bench %)

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	@scripts/audit.sh
