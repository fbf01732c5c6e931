package intune

import (
	"testing"

	"github.com/clew-security/clew/ingest/format/formattest"
)

const samples = "../../testdata/formats/intune/*.json"

func FuzzDecode(f *testing.F) { formattest.Fuzz(f, Decode, samples) }
