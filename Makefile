# Every target says what it does: make help

GO          ?= go
FUZZTIME    ?= 20s

# Tools are run by their versions, and are no requirements of the module.
GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# All modules, and those that are ours: released, or for our own tests.
MODULES  := $(patsubst %/go.mod,%,$(shell find . -name go.mod -not -path './.git/*' | sort))
RELEASED := $(foreach m,$(MODULES),$(if $(findstring /testdata/,$(m)),,$(m)))

# What mutate changes, and for how long: make mutate PKG=./syncer FOR=30m, or in
# some files FILE=skulocks.go,pin*.go, or in functions ONLY='skuLocks\.(end|lock):'
PKG  ?=
FILE ?=
ONLY ?=
FOR  ?= 10m

# The tables that make bench prints, and tests of internal/bench that make test
# runs and that print none.
BENCH    ?= .
ASSERTED := Any|Soon|Keeps|Requests|NeverMore|FirstEvent|Estimate

# What release-check looks at: make release-check VERSION=v0.2.0 BASE=v0.1.0
VERSION ?= v0.1.0
BASE    ?= none

.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## run all tests, in all released modules
	@for m in $(RELEASED); do echo "go test: $$m"; (cd $$m && $(GO) test ./...) || exit 1; done

race: race-root race-modules ## run the tests under the race detector, with smaller sizes

race-root: ## of these, the tests of the root module, but for the examples and tools, which do nothing of their own side by side
	$(GO) test -race -short -vet=off ./syncer $$($(GO) list ./... | grep -vE '/examples/|/internal/(bench/.*|docsnippets|month|mutate|notices|platforms)$$') # lint vets; what takes longest begins first

race-modules: ## and of the other modules, which wait more than they compute
	@for m in $(filter-out .,$(RELEASED)); do echo "go test -race: $$m"; (cd $$m && $(GO) test -race -short ./...) || exit 1; done

lint: ## gofmt, golangci-lint, go mod tidy, in all modules; whether they build for other systems
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run make tidy'; exit 1; }
	@for m in $(RELEASED); do echo "golangci-lint: $$m"; \
		(cd $$m && $(GO) run $(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done
	@for m in $(filter-out $(RELEASED),$(MODULES)); do echo "go vet: $$m"; (cd $$m && $(GO) vet ./...) || exit 1; done
	@for m in $(MODULES); do echo "go mod tidy: $$m"; (cd $$m && $(GO) mod tidy -diff) || exit 1; done
	@for m in $(filter-out ./internal/%,$(RELEASED)); do $(GO) run ./internal/platforms -C $$m darwin/arm64 windows/amd64 linux/386 || exit 1; done

vuln: ## known vulnerabilities in what is linked, where the database can be reached
	@for m in $(RELEASED); do echo "govulncheck: $$m"; (cd $$m && $(GO) run $(GOVULNCHECK) ./...) || exit 1; done

pgtest: ## the tests of syncer/pgqueue, on a PostgreSQL of their own, which apt-get may install
	bash syncer/pgqueue/pgtest

browser: ## the tests of the status page in a browser, which apt-get and npm may install
	bash .ci/browser
	cd internal/browsertest && STOCKSYNC_BROWSER=require $(GO) test -count 1 -v ./...

pictures: ## take the pictures in docs/images anew
	bash .ci/browser
	cd internal/browsertest && $(GO) run ./screenshots ../../docs/images

storm: ## three replicas on PostgreSQL while everything goes wrong, for some minutes
	cd syncer/pgqueue && STOCKSYNC_PGTEST=require STOCKSYNC_STORM=long $(GO) test -count 1 -timeout 30m -v -run '^TestStorm$$' ./internal/storm

bench: ## measure speed at real quotas, in virtual time, and our own cost; BENCH=TestLatency for one table
	@cd internal/bench && STOCKSYNC_BENCH=short $(GO) test -count 1 -benchtime 500ms -run '$(BENCH)' -skip '$(ASSERTED)' # without a package it prints
	@cd internal/peers && STOCKSYNC_BENCH=short $(GO) test -count 1 -run '$(BENCH)'

bench-full: ## the same for larger catalogues, into docs/performance.md; all benchmarks
	STOCKSYNC_BENCH=full $(GO) test -count 1 -timeout 90m ./internal/bench -update
	cd internal/peers && STOCKSYNC_BENCH=full $(GO) test -count 1 -timeout 30m . -update
	$(GO) run ./internal/bench/charts
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## fuzz each target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

mutate: ## which small changes of what changed since BASE, or of PKG, tests let live; takes FOR
	$(GO) run ./internal/mutate -for $(FOR) $(if $(PKG),-pkg $(PKG)) $(if $(FILE),-file '$(FILE)') $(if $(ONLY),-only '$(ONLY)') $(if $(filter-out none,$(BASE)),-base $(BASE))

examples: ## build and run the examples on their simulated services
	$(GO) run ./examples/quickstart -simulate
	$(GO) run ./examples/webhookserver -demo
	$(GO) run ./examples/reconcile -simulate >/dev/null
	$(GO) run ./examples/customchannel
	cd syncer/pgqueue && $(GO) run ./examples/replicas # on a PostgreSQL of its own, or that of DATABASE_URL
	$(GO) run ./examples/catalogue >/dev/null
	dir=$$(mktemp -d) && $(GO) build -o $$dir/golive ./examples/goinglive && cd $$dir && ./golive night >/dev/null 2>&1
	$(GO) run ./examples/tenants -merchants 5 -products 100 >/dev/null

consumers: ## build, vet and run the programs of others in internal/testdata/consumer
	$(GO) test -count 1 -run '^(TestAMinimalProgram|TestAServiceWithEverythingMounted|TestAnAdapterAuthor)$$' .

tidy: ## format, tidy every go.mod, and write NOTICES.txt
	gofmt -w .
	@for m in $(MODULES); do echo "go mod tidy: $$m"; (cd $$m && $(GO) mod tidy) || exit 1; done
	$(GO) run ./internal/notices

release-check: ## whether VERSION can be released after BASE; see docs/releasing.md
	@test -z "$$(git status --porcelain)" || { git status --short; echo 'commit or stash first'; exit 1; }
	@grep -q '^## \[$(VERSION:v%=%)\]' CHANGELOG.md || { echo 'CHANGELOG.md has no section [$(VERSION:v%=%)]'; exit 1; }
	@for m in $(MODULES); do (cd $$m && $(GO) mod tidy -diff) || exit 1; done
	@for m in $(RELEASED); do case $$m in ./internal/*) continue;; esac; test $$m = . || grep -q 'github.com/ecosire/stocksync $(VERSION)' $$m/go.mod || \
		{ echo "$$m/go.mod does not require github.com/ecosire/stocksync $(VERSION)"; exit 1; }; done
	$(GO) run ./internal/notices -check
	$(GO) test -run '^(TestDocument|TestReadme|TestReleasing|TestMigrating|TestSnippets|TestTroubleshooting|TestEveryLogLine|Example)' ./...
	test $(BASE) = none || bash .ci/api-diff $(BASE) $(VERSION)

.PHONY: help test race race-root race-modules lint vuln pgtest browser pictures storm bench bench-full fuzz mutate examples consumers tidy release-check
