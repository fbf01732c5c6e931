package ingest

import (
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/clew"
	"github.com/clew-security/clew/ingest/format/graphsec"
	"github.com/clew-security/clew/ingest/format/sentinel"
)

// Auto is the name of the format that decides for each record by its shape. It also reads the lines of a
// reject file, for the records in them.
const Auto = "auto"

// Formats are the decoders by name; Auto is among them.
func Formats() map[string]format.Decoder {
	byName := map[string]format.Decoder{
		format.Graph: graphsec.Decode, format.Sentinel: sentinel.Decode, format.Clew: clew.Decode,
	}
	detect := func(raw []byte) ([]format.Record, error) {
		name, err := format.Detect(raw)
		if err != nil {
			return nil, err
		}
		if name == format.Rejected {
			return nil, format.Invalid("a reject within a reject")
		}
		return byName[name](raw)
	}
	all := map[string]format.Decoder{Auto: func(raw []byte) ([]format.Record, error) {
		if name, err := format.Detect(raw); err != nil || name != format.Rejected {
			return detect(raw)
		}
		return unwrap(raw, detect)
	}}
	for name, d := range byName {
		all[name] = d
	}
	return all
}

// part is what one record brings to a batch.
type part struct {
	entities []graph.EntityObservation
	edges    []graph.EdgeObservation
	alerts   []graph.AlertContent
}

// partOf projects a record.
func partOf(r format.Record) part {
	switch {
	case r.Alert != nil:
		p := Project(*r.Alert)
		return part{p.Entities, p.Edges, []graph.AlertContent{p.Alert}}
	case r.Edge != nil:
		return part{
			entities: []graph.EntityObservation{r.Edge.From, r.Edge.To},
			edges:    []graph.EdgeObservation{r.Edge.Observation},
		}
	case r.Entity != nil:
		return part{entities: []graph.EntityObservation{*r.Entity}}
	}
	return part{}
}
