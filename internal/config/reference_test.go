package config

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

func TestTheReferenceIsWhatTheTableSays(t *testing.T) {
	const path = "../../docs/configuration.md"
	if *update {
		write(t, path, Reference())
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Reference(), string(got)); diff != "" {
		t.Errorf("docs/configuration.md is stale; run go test ./internal/config -update\n%s", diff)
	}
}

func TestKnownVariables(t *testing.T) {
	for name, want := range map[string]bool{
		"CLEW_LISTEN": true, "CLEW_PUBLIC_URL": true, "CLEW_CONFIG": true, "CLEW_STORE_NEO4J_PASSWORD_FILE": true, "CLEW_REDIS_URL_FILE": false, "CLEW_DATA": false,
		"CLEW_STORE_NEO4J_TLS_CA": true, "CLEW_RETENTION_ENDED_EDGES": true,
	} {
		if Known(name) != want {
			t.Errorf("%s: known is %v", name, !want)
		}
	}
}
