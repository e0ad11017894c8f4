# The commands of the house. "make" alone shows them.
.POSIX:
.DEFAULT_GOAL := help
FUZZTIME = 20s

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: run
run: ## a relay on 127.0.0.1:2525 with HTTP on 127.0.0.1:8025
	go run ./cmd/ukai serve

.PHONY: build
build: ## the program, as ./ukai
	CGO_ENABLED=0 go build -trimpath -o ukai ./cmd/ukai

.PHONY: test
test: ## everything that decides whether a change lands
	sh scripts/test

.PHONY: race
race: ## the tests alone, with the race detector
	go test -race ./...

.PHONY: lint
lint: ## gofmt, go vet, golangci-lint
	@test -z "$$(gofmt -l bench cmd e2e internal 2>/dev/null)" || { gofmt -d bench cmd e2e internal 2>/dev/null; exit 1; }
	go vet ./...
	golangci-lint run ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME=20s
	sh scripts/fuzz $(FUZZTIME)

.PHONY: shape
shape: ## the lengths of files and functions; fails when they are out of hand
	go run ./internal/house/shape

.PHONY: cover
cover: ## coverage by function, as a page in cover.html
	go test -coverprofile=cover.out -coverpkg=./internal/... ./internal/...
	go tool cover -func=cover.out | tail -n 1
	go tool cover -html=cover.out -o cover.html

.PHONY: bench
bench: ## the benchmarks of the packages; whole-system ones have programs of their own under bench/
	go test -run '^$$' -bench . -benchmem ./internal/...

.PHONY: nightly
nightly: ## the long form: 200 rounds of kill -9, power cuts, fuzzing for minutes
	UKAI_NIGHTLY=1 UKAI_CRASH_ROUNDS=200 go test -race -count=1 -timeout 3h ./...
	sh scripts/fuzz 5m

.PHONY: install-peers
install-peers: ## the Debian packages that the tests play with (root)
	sh scripts/install-peers
