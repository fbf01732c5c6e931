package neo4j

import (
	"errors"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
)

// The store remembers the device, so nothing but the write can find out that somebody removed its record.
func TestARecordThatIsMissingIsNotPassedOver(t *testing.T) {
	s, tenant := open(t, migrated(t)), tenantOfTest(t)
	first, second := alertNamed("1"), alertNamed("2")
	mustApply(t, s, tenant, first)
	ask(t, s, `MATCH (e:Entity {key: $key}) DETACH DELETE e`, map[string]any{"key": idKey(tenant, first.Entities[0].ID())})
	second.Entities, second.Alerts[0].Evidence = first.Entities, first.Alerts[0].Evidence
	_, err := s.Apply(t.Context(), tenant, second)
	if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "alerts and their evidence: 0 of 1") {
		t.Errorf("error is %v", err)
	}
	if p, err := s.Position(t.Context(), graph.View{Tenant: tenant}); err != nil || p.Alerts != 1 {
		t.Errorf("%d alerts (%v), want 1", p.Alerts, err)
	}
}
