package graph_test

import (
	"encoding/json"
	"testing"

	"github.com/clew-security/clew/graph"
)

func TestCriticalityIsReadByNameOrLevel(t *testing.T) {
	for value, want := range map[string]graph.Criticality{
		`"veryHigh"`: graph.CriticalityVeryHigh, `"High"`: graph.CriticalityHigh,
		`"medium"`: graph.CriticalityMedium, `"low"`: graph.CriticalityLow,
		`0`: graph.CriticalityVeryHigh, `1`: graph.CriticalityHigh, `2`: graph.CriticalityMedium,
		`3`: graph.CriticalityLow, `"0"`: graph.CriticalityVeryHigh,
		`4`: graph.CriticalityUnknown, `"unknown"`: graph.CriticalityUnknown, `{}`: graph.CriticalityUnknown,
		``: graph.CriticalityUnknown,
	} {
		e := graph.Entity{Facts: graph.Facts{Properties: map[string]graph.Property{
			graph.CriticalityProperty: {Value: json.RawMessage(value)}}}}
		if got := graph.CriticalityOf(e); got != want {
			t.Errorf("%s is read as %s, want %s", value, got, want)
		}
	}
}
