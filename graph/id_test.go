package graph

import (
	"errors"
	"strings"
	"testing"
)

func TestATenantHasANameThatCanBeKeptAndShown(t *testing.T) {
	for _, ok := range []TenantID{"a", "7b1f8a50-0000-4000-8000-000000000001", "Contoso Ltd/ü 😀", TenantID(strings.Repeat("t", MaxTenant))} {
		if err := ok.Check(); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, no := range []TenantID{"", "a\x00", "a\nb", "\x1b[2J", "\u0085", "a\x7f", "\xff", TenantID(strings.Repeat("t", MaxTenant+1))} {
		if err := no.Check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.80q: %v", no, err)
		}
	}
}
