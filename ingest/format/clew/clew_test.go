package clew

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/formattest"
	"github.com/google/go-cmp/cmp"
)

const edge = `{"type":"edge","kind":"loggedOn","from":{"kind":"identity","keys":{"azureAdUserId":"u1"},"properties":{"displayName":"Alex"}},` +
	`"to":{"kind":"device","keys":{"mdeDeviceId":"M1","hostName":["PC-7","pc-7.contoso.example"]}},` +
	`"firstSeen":"2026-01-02T03:04:05.1234567Z","lastSeen":"2026-01-03T00:00:00Z","endedAt":"2026-02-01T00:00:00Z","source":"directory"}`

func decodeOne(t testing.TB, raw string) format.Record {
	t.Helper()
	records, err := Decode([]byte(raw))
	if err != nil || len(records) != 1 {
		t.Fatalf("%s: %v %v", raw, records, err)
	}
	return records[0]
}

func batchOf(r format.Record) graph.Batch {
	if r.Edge != nil {
		return graph.Batch{Entities: []graph.EntityObservation{r.Edge.From, r.Edge.To}, Edges: []graph.EdgeObservation{r.Edge.Observation}}
	}
	return graph.Batch{Entities: []graph.EntityObservation{*r.Entity}}
}

func TestAnEntityLineIsAnObservation(t *testing.T) {
	o := decodeOne(t, `{"type":"entity","kind":"device","keys":{"hostName":["B","a"],"mdeDeviceId":" M1 ","azureAdDeviceId":"none"},
		"properties":{"criticality":3},"observedAt":"2026-01-02T03:04:05+01:00"}`).Entity
	if diff := cmp.Diff([]graph.Key{
		{Kind: graph.KindDevice, Type: graph.KeyMdeDeviceID, Value: "m1"},
		{Kind: graph.KindDevice, Type: graph.KeyHostName, Value: "a"},
		{Kind: graph.KindDevice, Type: graph.KeyHostName, Value: "b"},
	}, o.Keys); diff != "" {
		t.Error(diff)
	}
	if !o.ObservedAt.Equal(time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)) || o.Source != "clew" || string(o.Properties["criticality"]) != "3" {
		t.Errorf("%+v", o)
	}
}

func TestAnEdgeLineObservesBothItsEnds(t *testing.T) {
	r := decodeOne(t, edge)
	if err := batchOf(r).Validate(); err != nil {
		t.Error(err)
	}
	o := r.Edge.Observation
	if o.Kind != graph.EdgeLoggedOn || o.From.Kind() != graph.KindIdentity || o.To.Kind() != graph.KindDevice || o.Source != "directory" || o.Inferred {
		t.Errorf("%+v", o)
	}
	if o.FirstSeen.Nanosecond() != 123456000 || o.EndedAt.Month() != time.February {
		t.Errorf("%+v", o)
	}
	if string(r.Edge.From.Properties["displayName"]) != `"Alex"` || !r.Edge.To.ObservedAt.Equal(o.LastSeen) {
		t.Errorf("%+v", r.Edge)
	}
}

func TestTheSameEdgeLineIsOneSightingAndAnyOtherAnother(t *testing.T) {
	id := func(s string) graph.ID { return decodeOne(t, s).Edge.Observation.Observation }
	if id(edge) != id(strings.ReplaceAll(edge, `"hostName":["PC-7","pc-7.contoso.example"]`, `"hostName":[ "pc-7" ]`)) {
		t.Error("a weak key more made another sighting")
	}
	seen := map[graph.ID]string{id(edge): edge}
	for _, change := range [][2]string{{"u1", "u2"}, {"M1", "M2"}, {"loggedOn", "adminOf"}, {"directory", "audit"},
		{"2026-01-02", "2026-01-01"}, {"2026-01-03", "2026-01-04"}, {"2026-02-01", "2026-02-02"}, {`,"endedAt":"2026-02-01T00:00:00Z"`, ""}} {
		other := strings.Replace(edge, change[0], change[1], 1)
		if same, ok := seen[id(other)]; ok || other == edge {
			t.Errorf("%v: the same sighting as %s", change, same)
		}
		seen[id(other)] = other
	}
}

func TestALineThatIsWrongIsNamedWithWhatIsAllowed(t *testing.T) {
	for raw, want := range map[string]string{
		`{"type":"node"}`: `type "node" is unknown; it is one of entity, edge`,
		`{"type":7}`:      "type is a number, want a text",
		`{"type":"entity","kind":"spaceship","keys":{"a":"b"}}`:                                          `kind "spaceship" is unknown; it is one of device, identity, mailbox`,
		`{"type":"entity","kind":"alert","keys":{"a":"b"}}`:                                              `kind "alert" is unknown`,
		`{"type":"entity","kind":"mailbox","keys":{"sha256":"b"}}`:                                       `a mailbox has no key "sha256"; it has primaryAddress, upn`,
		`{"type":"entity","kind":"mailbox","keys":{"upn":"none"}}`:                                       "the mailbox has no usable key; it has one or more of primaryAddress, upn",
		`{"type":"entity","kind":"mailbox"}`:                                                             "the mailbox has no usable key",
		`{"type":"entity","kind":"mailbox","keys":{"upn":7}}`:                                            "a key is neither a text nor a list of texts",
		`{"type":"entity","kind":"mailbox","keys":{"upn":"a@b.c"},"observedAt":"x"}`:                     `"x" is not a date`,
		`{"type":"entity","kind":"mailbox","keys":{"upn":"a@b.c"},"observed":"x"}`:                       `unknown field "observed"`,
		`{"type":"entity","kind":"mailbox","keys":{"upn":"a@b.c"},"properties":{"clew.criticality":{}}}`: `property "clew.criticality" is for what people say here`,
		strings.Replace(edge, "loggedOn", "befriended", 1):                                               `edge kind "befriended" is unknown; it is one of loggedOn, adminOf`,
		strings.Replace(edge, "loggedOn", "evidenceOf", 1):                                               `edge kind "evidenceOf" is unknown`,
		strings.Replace(edge, "2026-01-03", "2025-01-03", 1):                                             "lastSeen is before firstSeen",
		strings.Replace(edge, "2026-02-01", "2025-02-01", 1):                                             "endedAt is before lastSeen",
		strings.Replace(edge, `"u1"`, `""`, 1):                                                           "from: invalid: the identity has no usable key",
		strings.Replace(edge, `"device"`, `""`, 1):                                                       `to: invalid: kind "" is unknown`,
	} {
		records, err := Decode([]byte(raw))
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), want) || records != nil {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	formattest.Fuzz(f, Decode, "../../testdata/formats/clew/*.json", edge,
		`{"type":"entity","kind":"file","keys":{"sha1":["a",""],"fileName":"x"},"properties":{"a":null}}`)
}
