# Every target says what it does: make help

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 20s

.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## run all tests
	$(GO) test ./...

race: ## run all tests under the race detector
	$(GO) test -race ./...

lint: ## gofmt, go vet, staticcheck, go mod tidy
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w .'; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

bench: ## measure speed at real quotas, in virtual time, and our own cost
	STOCKSYNC_BENCH=short $(GO) test -count 1 -v ./internal/bench

bench-full: ## the same for larger catalogues, into docs/performance.md; all benchmarks
	STOCKSYNC_BENCH=full $(GO) test -count 1 -timeout 30m -v ./internal/bench -update
	$(GO) run ./internal/bench/charts
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## fuzz each target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

examples: ## build and run the examples on their embedded fakes
	$(GO) run ./examples/quickstart
	$(GO) run ./examples/webhookserver -demo
	$(GO) run ./examples/reconcile >/dev/null
	$(GO) run ./examples/customchannel

tidy: ## format, and tidy go.mod
	gofmt -w .
	$(GO) mod tidy

.PHONY: help test race lint bench bench-full fuzz examples tidy
