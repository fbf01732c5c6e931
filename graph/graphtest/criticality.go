package graphtest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// checkCriticality: what an analyst says of an asset changes nothing else of it, stays whatever sources say of it
// later, and of two assets that prove to be one the later word holds.
func checkCriticality(t *testing.T, fresh func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		s := openWithHistory(t, fresh)
		b := drawPair(t)
		apply(t, s, b)
		keep, give := b.Entities[0], b.Entities[1]
		said := map[graph.ID]graph.CriticalitySetting{}
		for range rapid.IntRange(1, 4).Draw(t, "words") {
			i := rapid.IntRange(0, 1).Draw(t, "of")
			id := b.Entities[i].ID()
			said[id] = say(t, s, id, i)
		}
		claimAll(t, s, b)
		for id, want := range said {
			heard(t, s, id, want)
		}
		alias := graph.EntityObservation{Keys: []graph.Key{keep.Keys[0], give.Keys[0]}}
		apply(t, s, graph.Batch{Entities: []graph.EntityObservation{alias}, Decide: UnionDecider{}})
		last := said[keep.ID()]
		if other := said[give.ID()]; other.At.After(last.At) {
			last = other
		}
		heard(t, s, give.ID(), last)
		claimAll(t, s, b)
		heard(t, s, keep.ID(), last)
		heard(t, s, give.ID(), say(t, s, give.ID(), 0))
	})
}

func read(t TB, s graph.Store, id graph.ID) graph.Entity {
	t.Helper()
	return must(s.Entities(context.Background(), view, graph.EntityQuery{IDs: []graph.ID{id}}))(t)[0]
}

// say sets the criticality of the entity or takes it back, and gives the setting as it is then told. What is said of
// either of two is never said at one instant.
func say(t *rapid.T, s graph.Store, id graph.ID, either int) graph.CriticalitySetting {
	t.Helper()
	before := read(t, s, id)
	at := Epoch.Add(time.Duration(10*rapid.IntRange(0, 100_000_000).Draw(t, "at")+5*either) * time.Microsecond)
	word := graph.CriticalitySetting{Criticality: graph.Criticality(rapid.IntRange(0, 4).Draw(t, "word")), By: "ann", Comment: "<&> " + id.String(), At: at}
	o := must(before.SetCriticality(word))(t)
	apply(t, s, graph.Batch{Actor: "ann", Entities: []graph.EntityObservation{o}, Decide: UnionDecider{}})
	after := read(t, s, id)
	got, ok := after.CriticalitySetting()
	if !ok || got.Criticality != word.Criticality || got.Comment != word.Comment || got.At.Before(at) {
		t.Fatalf("said %+v of %+v, told is %+v", word, before, got)
	}
	after.Revision, after.Properties = before.Revision, before.Properties
	same(t, "an entity of which an analyst spoke", before, after)
	return got
}

// claimAll lets sources say of all entities again what they said, and how critical they think them, later than any
// analyst spoke.
func claimAll(t *rapid.T, s graph.Store, b graph.Batch) {
	t.Helper()
	for i, o := range b.Entities {
		o.ObservedAt, o.Source = Epoch.AddDate(1, 0, rapid.IntRange(0, 9).Draw(t, "day")), "product"
		o.Properties = map[string]json.RawMessage{graph.CriticalityProperty: json.RawMessage(`"low"`), "role": json.RawMessage(`"domainController"`)}
		b.Entities[i] = o
	}
	apply(t, s, b)
}

// heard: the word holds, or where it was taken back what a source says.
func heard(t TB, s graph.Store, id graph.ID, want graph.CriticalitySetting) {
	t.Helper()
	e := read(t, s, id)
	got := graph.Criticalities{}.Of(e)
	if setting, _ := e.CriticalitySetting(); setting != want {
		t.Fatalf("of %s %+v was said last, told is %+v", id, want, setting)
	}
	byAnalyst := want.Criticality != graph.CriticalityUnknown
	if byAnalyst != (got.Source == graph.CriticalityByAnalyst) || byAnalyst && got.Criticality != want.Criticality {
		t.Fatalf("of %s %+v was said last, it is %+v", id, want, got)
	}
}

// checkWordClaimsNothing: an analyst's word proves nothing about keys. A file known by three hashes, the first of which
// claims the second and that the third, is spoken of; then another file claims the second, which takes the third along
// as it would have done without the word.
func checkWordClaimsNothing(t *testing.T, fresh func(TB) Subject) {
	var ids []string
	for _, spoken := range []bool{false, true} {
		s := fresh(t).Open(t, NewClock().Now)
		hash := func(typ graph.KeyType, value string) graph.Key {
			k, _ := graph.NewKey(graph.KindFile, typ, value)
			return k
		}
		a, b := hash(graph.KeySHA256, hex64('a')), hash(graph.KeySHA256, hex64('b'))
		sha1, md5 := hash(graph.KeySHA1, hex64('c')[:40]), hash(graph.KeyMD5, hex64('e')[:32])
		observe := func(keys ...graph.Key) {
			apply(t, s, graph.Batch{Entities: []graph.EntityObservation{{Keys: keys, Source: "endpoint"}}})
		}
		observe(sha1, md5)
		observe(a, sha1)
		if spoken {
			o := must(read(t, s, md5.ID()).SetCriticality(graph.CriticalitySetting{Criticality: graph.CriticalityHigh, At: Epoch}))(t)
			apply(t, s, graph.Batch{Entities: []graph.EntityObservation{o}})
			if got := (graph.Criticalities{}).Of(read(t, s, a.ID())); got.Criticality != graph.CriticalityHigh {
				t.Errorf("said of a member, told of the node is %+v", got)
			}
		}
		observe(b, sha1)
		ids = append(ids, read(t, s, md5.ID()).ID.String())
		s.Close()
	}
	if ids[0] != ids[1] {
		t.Errorf("the third hash belongs to %s, without the word to %s", ids[1], ids[0])
	}
}
