.PHONY: test demo setup
export CARGO_TERM_COLOR ?= never

# Everything the build needs beside a Rust toolchain: a C compiler for the linker.
setup:
	@command -v cc >/dev/null || { apt-get update -qq && apt-get install -y -qq gcc libc6-dev; }

test: setup
	cargo test --no-default-features --lib --test it
	cargo test --lib --test it

demo: setup
	cargo run --release -- demo
