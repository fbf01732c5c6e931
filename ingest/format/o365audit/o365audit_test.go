package o365audit

import (
	"testing"

	"github.com/clew-security/clew/ingest/format/formattest"
)

const samples = "../../testdata/formats/o365audit/*.json"

func FuzzDecode(f *testing.F) { formattest.Fuzz(f, Decode, samples) }
