package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// Imports that believed what records say of one another ended well and left a store that its check found damaged:
// whatever is changed, what is taken is sound, and what is refused leaves nothing.
func TestAChangedTenantIsRefusedOrSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := drawRecords(t)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			values = drawChange(t, values)
		}
		all := readRecords(t, values)
		if rapid.Bool().Draw(t, "with right numbers") {
			countAgain(all)
		}
		s := openAt(t, Options{FS: vfs.NewMem()})
		defer s.Close()
		err := s.Import(context.Background(), graphtest.Tenant, func(yield func(graph.Record, error) bool) {
			for _, r := range all {
				if !yield(r, nil) {
					return
				}
			}
		})
		expectSound(t, s)
		if err == nil {
			return
		}
		if !errors.Is(err, graph.ErrInvalid) {
			t.Fatalf("importing: %v", err)
		}
		if p, err := s.Position(context.Background(), graph.View{Tenant: graphtest.Tenant}); err != nil || p != (graph.Position{}) {
			t.Fatalf("a refused import left the tenant at %+v, %v", p, err)
		}
	})
}

// drawRecords exports a drawn history.
func drawRecords(t *rapid.T) (all []any) {
	s := openAt(t, Options{FS: vfs.NewMem()})
	defer s.Close()
	for i, b := range drawBatches(t) {
		b.Key = fmt.Sprint(i)
		if _, err := s.Apply(context.Background(), graphtest.Tenant, b); err != nil {
			t.Fatalf("%v", err)
		}
	}
	for r, err := range s.Export(context.Background(), graphtest.Tenant) {
		if err != nil {
			t.Fatalf("exporting: %v", err)
		}
		text, err := graph.EncodeJSON(r)
		if err != nil {
			t.Fatalf("%v", err)
		}
		all = append(all, valueOf(t, text))
	}
	return all
}

func valueOf(t *rapid.T, text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v", err)
	}
	return v
}

// readRecords reads what an archive would have, up to what is no record.
func readRecords(t *rapid.T, values []any) (all []graph.Record) {
	for _, v := range values {
		text, err := graph.EncodeJSON(v)
		if err != nil {
			t.Fatalf("%v", err)
		}
		var r graph.Record
		if json.Unmarshal(text, &r) != nil {
			return append(all, graph.Record{})
		}
		all = append(all, r)
	}
	return all
}

// countAgain makes the numbers of ids and alerts those that there are, so that no change is noticed by them alone.
func countAgain(all []graph.Record) {
	ids, alerts := map[graph.ID]int{}, map[graph.IncidentID]int{}
	for _, r := range all {
		if r.Home != nil {
			ids[r.Home.Node]++
		}
		if r.Alert != nil {
			alerts[r.Alert.Incident]++
		}
	}
	for _, r := range all {
		if r.Home != nil {
			r.Home.Members = ids[r.Home.ID]
		}
		if r.Incident != nil {
			r.Incident.AlertCount = alerts[r.Incident.ID]
		}
	}
}

// drawChange drops, doubles, moves or alters a record.
func drawChange(t *rapid.T, all []any) []any {
	if len(all) == 0 {
		return all
	}
	at := rapid.IntRange(0, len(all)-1).Draw(t, "record")
	to := rapid.IntRange(0, len(all)-1).Draw(t, "other record")
	switch rapid.IntRange(0, 9).Draw(t, "change") {
	case 0:
		return slices.Delete(slices.Clone(all), at, at+1)
	case 1:
		return slices.Insert(slices.Clone(all), to, all[at])
	case 2:
		all = slices.Clone(all)
		all[at], all[to] = all[to], all[at]
		return all
	}
	all = slices.Clone(all)
	all[at] = alter(t, all[at], all[to])
	return all
}

// alter changes one thing in a value, perhaps to what stands in its place in another.
func alter(t *rapid.T, v, other any) any {
	switch v := v.(type) {
	case map[string]any:
		return alterObject(t, v, other)
	case []any:
		return alterList(t, v, other)
	}
	if rapid.Bool().Draw(t, "as in the other") && other != nil {
		return other
	}
	return rapid.SampledFrom([]any{nil, "", 0, 1, 2, -1, 1 << 60, true, "redirected", "resolved", graphtest.Epoch, "a1", "m1", "device",
		graph.NewID(graph.KindDevice, "x"), graph.NewID(graph.KindAlert, "x"), []any{}, map[string]any{}}).Draw(t, "value")
}

func alterObject(t *rapid.T, v map[string]any, other any) any {
	v, theirs := maps.Clone(v), map[string]any{}
	if o, ok := other.(map[string]any); ok {
		theirs = o
	}
	names := slices.Sorted(maps.Keys(v))
	for name := range theirs {
		if _, ok := v[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return v
	}
	name := rapid.SampledFrom(names).Draw(t, "field")
	switch _, known := v[name]; {
	case !known:
		v[name] = theirs[name]
	case rapid.IntRange(0, 9).Draw(t, "left out") == 0:
		delete(v, name)
	default:
		v[name] = alter(t, v[name], theirs[name])
	}
	return v
}

func alterList(t *rapid.T, v []any, other any) any {
	theirs, _ := other.([]any)
	v = slices.Clone(v)
	switch rapid.IntRange(0, 4).Draw(t, "list") {
	case 0:
		slices.Reverse(v)
	case 1:
		v = append(v, theirs...)
	case 2:
		v = v[:len(v)/2]
	default:
		if len(v) > 0 {
			at := rapid.IntRange(0, len(v)-1).Draw(t, "item")
			v[at] = alter(t, v[at], nil)
		}
	}
	return v
}
