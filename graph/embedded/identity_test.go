package embedded

import (
	"context"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
)

// file is an observation of one file by the hashes that are not empty.
func file(sha256, sha1, md5 string) graph.EntityObservation {
	o := graph.EntityObservation{ObservedAt: epoch, Source: "endpoint"}
	for _, h := range []struct {
		typ   graph.KeyType
		digit string
		n     int
	}{{graph.KeySHA256, sha256, 64}, {graph.KeySHA1, sha1, 40}, {graph.KeyMD5, md5, 32}} {
		if k, ok := graph.NewKey(graph.KindFile, h.typ, strings.Repeat(h.digit, h.n)); ok {
			o.Keys = append(o.Keys, k)
		}
	}
	return o
}

// What a claim moves is followed on: a claimed id takes with it what it claims itself, and gives it back
// when a second claimant contests it.
func TestClaimsAreFollowedOn(t *testing.T) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	defer closeStore(t, s)
	ctx, v := context.Background(), graph.View{Tenant: "contoso"}
	md5, sha1 := file("", "", "1").ID(), file("", "2", "").ID()
	first, second := file("3", "2", ""), file("4", "2", "")
	for i, step := range []struct {
		see     graph.EntityObservation
		belongs graph.ID // the node of the MD5
		nodes   int
	}{
		{file("", "", "1"), md5, 1},
		{file("", "2", "1"), sha1, 1},
		{first, first.ID(), 1},
		{second, sha1, 3},
	} {
		r, err := s.Apply(ctx, v.Tenant, graph.Batch{Entities: []graph.EntityObservation{step.see}})
		if err != nil || r.Revision != graph.Revision(i+1) {
			t.Fatalf("step %d: %+v, %v", i, r, err)
		}
		got, err := s.Entities(ctx, v, graph.EntityQuery{IDs: []graph.ID{md5}})
		if err != nil || got[0].ID != step.belongs || got[0].Revision != r.Revision {
			t.Errorf("step %d: the MD5 belongs to %s as of %d (%v), want %s", i, got[0].ID, got[0].Revision, err, step.belongs)
		}
		if p, err := s.Position(ctx, v); err != nil || p.Entities != step.nodes {
			t.Errorf("step %d: %d nodes (%v), want %d", i, p.Entities, err, step.nodes)
		}
		verifyRows(t, s, v.Tenant)
	}
}
