.PHONY: test demo setup
export CARGO_TERM_COLOR ?= never

# Everything the build needs beside a Rust toolchain: compilers for librdkafka, and the libraries it links.
setup:
	@{ command -v cc && command -v c++ && command -v make && pkg-config --exists libssl zlib; } >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -y -qq gcc g++ make pkg-config libc6-dev libssl-dev zlib1g-dev; }

test: setup
	cargo test --no-default-features --lib --test it
	cargo test --lib --test it

demo: setup
	cargo run --release -- demo
