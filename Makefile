.PHONY: test lint demo setup kafka deploy others
export CARGO_TERM_COLOR ?= never

# Everything the build needs in addition to Rust: compilers for librdkafka, and its libraries.
setup:
	@{ command -v cc && command -v c++ && command -v make && pkg-config --exists libssl zlib; } >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -y -qq gcc g++ make pkg-config libc6-dev libssl-dev zlib1g-dev; }

# The Kafka broker and the schema registry that tests start, unless KAFKA_BOOTSTRAP_SERVERS names a
# cluster. If they cannot be installed, those tests report that they did not run, and fail in CI.
kafka: target/kafka/lib target/kafka/registry

target/kafka/lib: tests/kafka/pom.xml
	@{ command -v java && command -v mvn; } >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -y -qq default-jre-headless maven; } || \
		echo "Java and Maven could not be installed: tests on Kafka will not be run"
	rm -rf target/kafka/lib target/kafka/fetched && mkdir -p target/kafka
	-mvn -q -B -f tests/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/target/kafka/fetched -DincludeScope=runtime \
		&& mv target/kafka/fetched target/kafka/lib

# Version 2.10 is the last plugin that copies an archive whose parent is not on Maven Central.
target/kafka/registry: | target/kafka/lib
	rm -rf target/kafka/archive && mkdir -p target/kafka/archive/registry
	-mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:2.10:copy -DoutputDirectory=$(CURDIR)/target/kafka/archive \
		-Dartifact=io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all -Dmdep.stripVersion=true \
		&& tar xzf target/kafka/archive/apicurio-registry-app-all.tar.gz -C target/kafka/archive/registry \
		&& mv target/kafka/archive/registry target/kafka/registry
	rm -rf target/kafka/archive

# Other Kafka clients, for the interoperability test; it reports missing ones as NOT RUN.
others: target/python
	@if [ -n "$$CI" ]; then command -v kcat >/dev/null || { apt-get update -qq && apt-get install -y -qq kafkacat >/dev/null; } || true; fi

target/python:
	-rm -rf target/python.new && python3 -m venv target/python.new \
		&& target/python.new/bin/pip install -q --retries 1 --timeout 20 'confluent-kafka[avro,schemaregistry]==2.12.2' \
		&& mv target/python.new target/python

# Checks docker-compose.yml and the Prometheus files, and runs the alert tests, if docker-compose and
# promtool are installed (CI installs them).
deploy:
	@if [ -n "$$CI" ]; then { command -v docker-compose && command -v promtool; } >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends docker-compose prometheus >/dev/null; }; fi
	@if command -v docker-compose >/dev/null; then docker-compose -f docker-compose.yml config -q; else echo "NOT RUN: docker-compose is not installed"; fi
	@if command -v promtool >/dev/null; then promtool check config deploy/prometheus.yml && promtool test rules deploy/alerts.test.yml; else echo "NOT RUN: promtool is not installed"; fi

# The gates, then every test once. The core is compiled and linted without the runtime; its tests
# run with all others.
test: setup lint kafka deploy others
	LEADSTREAM_PYTHON=$$(ls $(CURDIR)/target/python/bin/python 2>/dev/null || echo python3) \
		cargo test --features dev --lib --bins --test it

lint:
	cargo fmt --check
	cargo clippy --features dev --all-targets -- -D warnings
	cargo clippy --no-default-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --features dev --no-deps --document-private-items
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; \
		else echo "NOT RUN: cargo-deny is not installed"; fi

demo: setup
	cargo run --release -- demo
