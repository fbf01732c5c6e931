package main

import (
	"strings"
	"testing"

	"github.com/clew-security/clew/graph/embedded"
)

// An import that was cut short is no damage: no backup helps.
func TestTheReportSaysWhatHelps(t *testing.T) {
	imported, damaged := embedded.Problem{Importing: true, Text: "it is being imported"}, embedded.Problem{Text: "damage"}
	for _, c := range []struct {
		found []embedded.Problem
		more  int64
		told  bool
	}{
		{nil, 0, false}, {[]embedded.Problem{imported}, 0, false}, {[]embedded.Problem{imported, damaged}, 0, true}, {[]embedded.Problem{imported}, 1, true},
	} {
		var b strings.Builder
		if err := printReport(&b, "text", embedded.Report{Problems: int64(len(c.found)) + c.more, First: c.found}); err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(b.String(), "What to do"); told != c.told {
			t.Errorf("%+v: %s", c, b.String())
		}
	}
}
