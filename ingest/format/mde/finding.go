package mde

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// finding is a row of what vulnerability management found on a machine. The files of an export have the columns of the
// answer, with a great letter.
type finding struct {
	columns            format.Object
	first, last, ended time.Time
}

// decodeFinding reads a row. Software that stands beside a vulnerability is on the machine by implication. A row that
// says that the vulnerability is fixed ends what it was.
func decodeFinding(raw []byte) ([]format.Record, error) {
	f, err := findingOf(raw)
	if err != nil {
		return nil, err
	}
	device, software, cve := f.device(), f.software(), f.vulnerability()
	switch {
	case len(device.Keys) == 0:
		return nil, format.Invalid("the row names no machine")
	case len(software.Keys)+len(cve.Keys) == 0:
		return nil, format.Invalid("the row names neither software nor a vulnerability")
	case len(cve.Keys) == 0 && !f.ended.IsZero():
		return nil, format.Invalid("the row tells of a fix, but not of which vulnerability")
	}
	found := f.ended.IsZero()
	var out []format.Record
	if len(software.Keys) > 0 && found {
		out = append(out, f.edge(graph.EdgeHasSoftware, device, software, len(cve.Keys) > 0))
	}
	if len(cve.Keys) > 0 {
		out = append(out, f.edge(graph.EdgeAffects, cve, device, false))
	}
	if len(cve.Keys) > 0 && len(software.Keys) > 0 && found {
		out = append(out, f.edge(graph.EdgeAffects, cve, software, false))
	}
	return out, nil
}

// findingOf reads the row's instants; a fix is no sooner than what was seen.
func findingOf(raw []byte) (finding, error) {
	o, err := format.ParseObject(raw)
	if err != nil {
		return finding{}, err
	}
	f := finding{columns: o}
	times := format.Object{"firstSeenTimestamp": f.column("softwareFirstSeenTimestamp", "firstSeenTimestamp"),
		"lastSeenTimestamp": f.column("lastSeenTimestamp"), "eventTimestamp": f.column("eventTimestamp")}
	at, err := times.Dates("firstSeenTimestamp", "lastSeenTimestamp", "eventTimestamp")
	if err != nil {
		return finding{}, err
	}
	f.first, f.last = graph.Micro(at["firstSeenTimestamp"]), graph.Micro(at["lastSeenTimestamp"])
	if !strings.EqualFold(f.column("status"), "fixed") {
		return f, nil
	}
	f.ended = graph.Micro(at["eventTimestamp"])
	if f.ended = graph.Later(f.ended, graph.Later(f.first, f.last)); f.ended.IsZero() {
		return finding{}, format.Invalid("the row tells of a fix without its time")
	}
	return f, nil
}

// column is the first of the columns that has a text.
func (f finding) column(names ...string) string {
	for _, name := range names {
		if s := f.columns.First(name, strings.ToUpper(name[:1])+name[1:]); s != "" {
			return s
		}
	}
	return ""
}

func (f finding) device() graph.EntityObservation {
	name := f.column("deviceName")
	return f.observed(keysOf(graph.KindDevice, f.column("machineId", "deviceId"), "", name),
		"deviceDnsName", name, "osPlatform", f.column("osPlatform", "OSPlatform"), "rbacGroupName", f.column("rbacGroupName"))
}

// software: its id is made of vendor and name, as where a product stands alone; versions are not told apart.
func (f finding) software() graph.EntityObservation {
	vendor, name, id := f.column("softwareVendor", "productVendor"), f.column("softwareName", "productName"), ""
	if vendor != "" && name != "" {
		id = vendor + "-_-" + name
	}
	return f.observed(keysOf(graph.KindSoftware, id, name), "name", name, "vendor", vendor)
}

func (f finding) vulnerability() graph.EntityObservation {
	id := f.column("cveId")
	return f.observed(keysOf(graph.KindVulnerability, id), "name", id, "severity", f.column("vulnerabilitySeverityLevel", "severity"))
}

// observed is an entity of the row, with pairs of a property's name and text.
func (f finding) observed(keys []graph.Key, pairs ...string) graph.EntityObservation {
	properties := map[string]json.RawMessage{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if b, err := graph.EncodeJSON(pairs[i+1]); err == nil && pairs[i+1] != "" {
			properties[pairs[i]] = b
		}
	}
	return *observed(keys, properties, f.last)
}

// edge is keyed by what the row is about, not by when: the same row of the next day is the same sighting, longer.
func (f finding) edge(kind graph.EdgeKind, from, to graph.EntityObservation, inferred bool) format.Record {
	o := graph.EdgeObservation{Kind: kind, From: from.ID(), To: to.ID(), FirstSeen: f.first, LastSeen: f.last,
		EndedAt: f.ended, Source: source, Inferred: inferred}
	o.Observation = graph.NewID(graph.KindObservation, kind.String(), o.From.String(), o.To.String(), source,
		f.column("softwareVendor", "productVendor"), f.column("softwareName", "productName"), f.column("softwareVersion", "productVersion"))
	return format.Record{Edge: &format.Edge{From: from, To: to, Observation: o}}
}
