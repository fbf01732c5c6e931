# make test runs everything a change must pass; make soak and make bench take longer and are run by hand.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# A test that needs a real browser or server skips where there is none, and fails with REQUIRE_REAL=1.
export REQUIRE_REAL ?=

.PHONY: test check servers unit web generate explorer soak bench

test: check servers unit web

## check: formatting, vet, linter, and that generated code is fresh
check:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	scripts/generated-is-fresh

## servers: fetch Neo4j for tests, where Maven and a JDK are there; tests without it skip, and say so
servers:
	go run ./internal/realserver/fetch || [ -z "$(REQUIRE_REAL)" ]

## unit: unit, property, conformance, golden and end-to-end tests; what runs on a real Neo4j draws fewer examples,
## a statement there costs a thousand times as much
unit:
	go test -timeout 20m $$(go list ./... | grep -v graph/neo4j)
	go test -timeout 20m ./graph/neo4j/... -rapid.checks=10

## web: rebuild the explorer, compare with what is committed, and use it in a real browser
web:
	scripts/web-test

## generate: write generated code anew
generate:
	go tool gqlgen generate

## explorer: build the explorer's page into explorer/dist
explorer:
	cd explorer/web && npm ci --no-audit --no-fund && npm run build

## soak: the properties and fuzzers for long, with the race detector
soak:
	go test -race -timeout 60m $$(go list ./graph/... ./correlate/... ./ingest/... | grep -v -e graph/neo4j -e graph/rules) -rapid.checks=2000
	go test -race -timeout 120m ./graph/neo4j -rapid.checks=100
	scripts/fuzz 120s

## bench: all times; CLEW_BENCH_SIZE=M for the tables of stores and of blast radius at full size
bench:
	go test -timeout 120m -run '^$$' -bench . -benchmem ./...
