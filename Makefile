# The two that a newcomer needs: `make demo` and `make test`.

PROGRAMS := shvbroker shvagent shvrexec shvrsh
COMMANDS := $(addprefix ./cmd/,$(PROGRAMS))

# Devices that agents run on.
CROSS := arm arm64 386 amd64 mipsle

# What a program for a device may have, in bytes.
MAX_PROGRAM := 15000000

COMMIT   = $(shell scripts/commit.sh)
GO_BUILD = CGO_ENABLED=0 go build -trimpath
# Without symbol tables, which take a third; a panic shows its stack all the same.
LDFLAGS  = -s -w -X shvtools/internal/sys/cliapp.commit=$(COMMIT)

STATICCHECK := go tool -modfile=scripts/tools/go.mod staticcheck
GOVULNCHECK := go tool -modfile=scripts/tools/go.mod govulncheck
FUZZTIME    ?= 20s
export FUZZTIME

# The tag leaves out urfave/cli's man pages: their Markdown parser takes half of the time
# in which a program starts. testbin gives it too.
TAGS := urfave_cli_no_docs

# The commit comes from LDFLAGS. The toolchain's own stamp would only make builds
# fail where git distrusts the directory's owner, as in a container.
export GOFLAGS := -tags=$(TAGS) $(filter-out -buildvcs%,$(GOFLAGS)) -buildvcs=false

.PHONY: build
build: ## put the four programs in bin/
	@mkdir -p bin
	$(GO_BUILD) -ldflags '$(LDFLAGS)' -o bin/ $(COMMANDS)

.PHONY: demo
demo: build ## open a shell through a broker and an agent of its own
	@scripts/demo.sh

.PHONY: test
test: build ## run the tests
	go test -timeout 20m ./...

.PHONY: test-long
test-long: build ## run the tests that take long, too
	SHV_LONG=1 go test -timeout 60m ./...

# Sessions with a terminal, with pipes and in band, files, and their ends.
SMOKE := ^Test(Shell|Exit|Streams|Scp|CommandsInBand|TenMegabytes)

# Devices have 32 bits, and a length or a time that fits into 64 is found here only.
.PHONY: test-32bit
test-32bit: ## vet all and run the tests of all that reads the wire, and sessions, with 32-bit programs
	GOARCH=386 CGO_ENABLED=0 go vet ./...
	GOARCH=386 CGO_ENABLED=0 go test -timeout 20m ./internal/shv/... ./internal/session/... ./internal/wire/... \
		./internal/device/... ./internal/broker/core
	GOARCH=386 CGO_ENABLED=0 go test -timeout 20m -run '$(SMOKE)' ./internal/test/e2e

.PHONY: interop
interop: ## run the tests with pyshv and shvcli, which it installs below tmp/
	@scripts/interop.sh

.PHONY: upgrade-test
upgrade-test: ## test the programs in all mixtures with those of the last release
	@scripts/upgrade-test.sh

.PHONY: race
race: ## run the tests, and the programs in them, with the race detector
	SHV_RACE=1 CGO_ENABLED=1 go test -race -timeout 20m ./...

.PHONY: vulncheck
vulncheck: ## look for known faults in the modules that the programs use
	$(GOVULNCHECK) ./...

.PHONY: bench
bench: build ## measure, each number beside its reference
	@scripts/bench.sh

.PHONY: bench-ssh
bench-ssh: build ## measure what has OpenSSH for a reference
	@scripts/bench.sh -group ssh

.PHONY: fuzz
fuzz: ## fuzz each target for FUZZTIME
	@scripts/fuzz.sh

.PHONY: format
format: ## fail where gofmt would change a file
	@files=$$(find . -name '*.go' -not -path './.git/*' -not -path '*/testdata/*' -exec gofmt -l {} +) && \
	if [ -n "$$files" ]; then echo "not formatted:"; echo "$$files"; exit 1; fi

.PHONY: vet
vet: ## run go vet
	go vet ./...

.PHONY: staticcheck
staticcheck: ## run staticcheck, at the version in scripts/tools/go.mod
	$(STATICCHECK) ./...

.PHONY: scripts
scripts: ## check the shell scripts
	@for script in scripts/*.sh .ci/run; do bash -n "$$script" || exit 1; done
	@if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh .ci/run; fi

.PHONY: cross
cross: ## build the programs for each of CROSS
	@out=$$(mktemp) && trap 'rm -f "$$out"' EXIT && flags='$(LDFLAGS)' && \
	for arch in $(CROSS); do \
	  for command in $(COMMANDS); do \
	    GOOS=linux GOARCH=$$arch $(GO_BUILD) -ldflags "$$flags" -o "$$out" "$$command" || exit 1; \
	    size=$$(stat -c %s "$$out"); \
	    echo "linux/$$arch $$command $$size bytes"; \
	    [ "$$size" -le $(MAX_PROGRAM) ] || { echo "more than $(MAX_PROGRAM) bytes"; exit 1; }; \
	  done; \
	done

.PHONY: units
units: ## check the units of systemd, and how well the broker's shuts it in
	@scripts/units.sh

# One after the other, also with -j: each uses all cores, and demo the terminal.
.PHONY: check
check: ## all that CI runs beyond build and test
	@for check in format vet staticcheck scripts units test-32bit interop upgrade-test race fuzz cross demo; do \
	  $(MAKE) --no-print-directory $$check || exit 1; \
	done

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14
