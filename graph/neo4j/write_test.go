package neo4j

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/rules"
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

// statements counts what a commit of the batch asks the server, and makes the commit.
func statements(t *testing.T, s *Store, tenant graph.TenantID, b graph.Batch) (receipt graph.Receipt, asked int) {
	t.Helper()
	p, err := rules.Prepare(tenant, b)
	if err != nil {
		t.Fatal(err)
	}
	err = s.transact(t.Context(), func(ctx context.Context, run runner) (commit bool, err error) {
		n := &counting{runner: run}
		c := newTx(n, tenant, epoch)
		if err := c.lock(ctx, ""); err != nil {
			return false, err
		}
		if receipt, commit, err = rules.Commit(ctx, c, tenant, p, rules.Settings{Wall: epoch, KeepChanges: 10}); err != nil {
			return false, err
		}
		err = c.seal(ctx, "", receipt)
		asked = len(n.asked)
		return commit, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return receipt, asked
}

// Many devices are known by a DNS name of their own and one host name. The first device with a strong key that has
// the host name is what all of them may be; with the second one none is, any more.
func TestOneDeviceAsksAtOnceAboutAllThatMayBeTheSame(t *testing.T) {
	const shared, most = 900, 20
	s, tenant := open(t, migrated(t)), tenantOfTest(t)
	var b graph.Batch
	var ids []graph.ID
	for i := range shared {
		e := observe(graph.KindDevice, "dnsName", fmt.Sprintf("pc.%d.contoso.com", i), "hostName", "pc")
		b.Entities, ids = append(b.Entities, e), append(ids, e.ID())
	}
	mustApply(t, s, tenant, b)
	for revision, id := range []string{"one", "two"} {
		one := graph.Batch{Entities: []graph.EntityObservation{observe(graph.KindDevice, "mdeDeviceId", id, "hostName", "pc")}}
		r, asked := statements(t, s, tenant, one)
		if r.NewEntities != 1 || asked > most {
			t.Errorf("device %s: receipt %+v after %d statements, want at most %d", id, r, asked, most)
		}
		found, err := s.Entities(t.Context(), graph.View{Tenant: tenant}, graph.EntityQuery{IDs: ids})
		if err != nil {
			t.Fatal(err)
		}
		followed := 0
		for _, e := range found {
			if !e.SameAs.IsZero() {
				followed++
			}
			if e.Revision != r.Revision {
				t.Fatalf("a device stands at revision %d, want %d", e.Revision, r.Revision)
			}
		}
		if want := []int{shared, 0}[revision]; followed != want {
			t.Errorf("with device %s %d are followed, want %d", id, followed, want)
		}
	}
}
