# Every target does the set-up it needs and is quick the second time.
PYTHON ?= /usr/bin/python3
BIN    := .venv/bin
OBJECT := build/unwired.bpf.o

.PHONY: setup demo test test-long test-kernel fuzz lint bench clean

setup: $(OBJECT)

build/.packages: tools/setup-packages tools/packages.txt
	@tools/setup-packages
	@mkdir -p build && touch $@

build/.venv: build/.packages requirements.lock pyproject.toml tools/setup-venv
	@tools/setup-venv $(PYTHON)
	@touch $@

$(OBJECT): build/.venv $(wildcard bpf/*.c bpf/*.h)
	@echo "setup: compiling the kernel data plane ($@)"
	@clang -target bpf -O2 -g -Wall -Werror -I/usr/include/$$(uname -m)-linux-gnu -c bpf/unwired.bpf.c -o $@

demo: setup
	@$(BIN)/unwired lab run global-2007 --baseline single-ha --report build/demo
	@echo "The report of this run, to open in a browser: build/demo/index.html"

lint: setup
	@$(BIN)/ruff check src tests
	@$(BIN)/ruff format --check src tests
	@$(BIN)/mypy

# Pure tests side by side; those that build networks and watch the clock one after another.
test: lint
	@$(BIN)/pytest -q -n 2 tests/unit tests/wire tests/core
	@$(BIN)/pytest -q tests/dataplane tests/plane tests/host tests/doctor tests/bench tests/lab

# The data plane and a short roaming on Debian's own kernel, in an emulated machine: a quarter of an hour.
test-kernel: setup build/test-kernel/initramfs
	@tools/test-kernel/run build/test-kernel -m "not speed" tests/dataplane tests/kernel

build/test-kernel/initramfs: tools/test-kernel/packages.txt tools/test-kernel/image tools/test-kernel/init
	@tools/setup-packages tools/test-kernel/packages.txt
	@tools/test-kernel/image build/test-kernel

# What goes on longer than one wants to wait for a change: the tests, and a minute of fuzzing.
test-long: test fuzz

# Coverage-guided, FUZZ_S seconds; what it finds is kept and tried first the next time.
FUZZ_S ?= 60
fuzz: setup
	@$(BIN)/python -c "import atheris" 2>/dev/null || \
		$(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes -r tools/fuzz.lock
	@mkdir -p build/fuzz
	@$(BIN)/python tests/fuzz/decode.py build/fuzz/corpus -max_total_time=$(FUZZ_S) -max_len=2100 -timeout=5 \
		-artifact_prefix=build/fuzz/ -print_final_stats=1 -verbosity=0

bench: setup
	@$(BIN)/unwired bench forwarding
	@$(BIN)/unwired bench flood
	@$(BIN)/unwired bench signalling
	@$(BIN)/unwired bench memory

clean:
	rm -rf build .venv
