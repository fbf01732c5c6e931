# make test runs everything a change must pass; make soak and make bench take longer and are run by hand.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# A test that needs a real browser or server skips where there is none, and fails with REQUIRE_REAL=1.
export REQUIRE_REAL ?=

.PHONY: test check unit web generate explorer soak bench

test: check unit web

## check: formatting, vet, linter, and that generated code is fresh
check:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	scripts/generated-is-fresh

## unit: unit, property, conformance, golden and end-to-end tests
unit:
	go test -timeout 20m ./...

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
	go test -race -timeout 60m ./graph/... ./correlate/... ./ingest/... -rapid.checks=2000
	scripts/fuzz 120s

## bench: all times
bench:
	go test -run '^$$' -bench . -benchmem ./...
