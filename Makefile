.PHONY: test demo setup kafka deploy others
export CARGO_TERM_COLOR ?= never

# Everything the build needs beside a Rust toolchain: compilers for librdkafka, and the libraries it links.
setup:
	@{ command -v cc && command -v c++ && command -v make && pkg-config --exists libssl zlib; } >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -y -qq gcc g++ make pkg-config libc6-dev libssl-dev zlib1g-dev; }

# The broker that the tests on Apache Kafka start, unless KAFKA_BOOTSTRAP_SERVERS names a cluster, and the schema registry beside it.
# Where they cannot be had, those tests say that they were not run, and fail where CI is set.
kafka: target/kafka/lib target/kafka/registry

target/kafka/lib: tests/kafka/pom.xml
	@{ command -v java && command -v mvn; } >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -y -qq default-jre-headless maven; } || \
		echo "Java and Maven could not be installed: tests on Kafka will not be run"
	rm -rf target/kafka/lib target/kafka/fetched && mkdir -p target/kafka
	-mvn -q -B -f tests/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/target/kafka/fetched -DincludeScope=runtime \
		&& mv target/kafka/fetched target/kafka/lib

# The last plugin that copies an archive whose parent is not on Maven Central.
target/kafka/registry: | target/kafka/lib
	rm -rf target/kafka/archive && mkdir -p target/kafka/archive/registry
	-mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:2.10:copy -DoutputDirectory=$(CURDIR)/target/kafka/archive \
		-Dartifact=io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all -Dmdep.stripVersion=true \
		&& tar xzf target/kafka/archive/apicurio-registry-app-all.tar.gz -C target/kafka/archive/registry \
		&& mv target/kafka/archive/registry target/kafka/registry
	rm -rf target/kafka/archive

# Clients of others, for the test that they read and write what we do; what cannot be had is told there as NOT RUN.
others: target/python
	@if [ -n "$$CI" ]; then command -v kcat >/dev/null || { apt-get update -qq && apt-get install -y -qq kafkacat >/dev/null; } || true; fi

target/python:
	-rm -rf target/python.new && python3 -m venv target/python.new \
		&& target/python.new/bin/pip install -q --retries 1 --timeout 20 'confluent-kafka[avro,schemaregistry]==2.12.2' \
		&& mv target/python.new target/python

# docker-compose.yml and the files of Prometheus are read, and its alerts tried, by the tools they are for, where those are installed (CI installs them).
deploy:
	@if [ -n "$$CI" ]; then { command -v docker-compose && command -v promtool; } >/dev/null 2>&1 || \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends docker-compose prometheus >/dev/null; }; fi
	@if command -v docker-compose >/dev/null; then docker-compose -f docker-compose.yml config -q; else echo "NOT RUN: docker-compose is not installed"; fi
	@if command -v promtool >/dev/null; then promtool check config deploy/prometheus.yml && promtool test rules deploy/alerts.test.yml; else echo "NOT RUN: promtool is not installed"; fi

test: setup kafka deploy others
	cargo test --no-default-features --lib --test it
	LEADSTREAM_PYTHON=$$(ls $(CURDIR)/target/python/bin/python 2>/dev/null || echo python3) cargo test --lib --test it

demo: setup
	cargo run --release -- demo
