package ingest

import (
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
	"github.com/clew-security/clew/ingest/format/clew"
	"github.com/clew-security/clew/ingest/format/defender"
	"github.com/clew-security/clew/ingest/format/entra"
	"github.com/clew-security/clew/ingest/format/exchange"
	"github.com/clew-security/clew/ingest/format/graphsec"
	"github.com/clew-security/clew/ingest/format/intune"
	"github.com/clew-security/clew/ingest/format/mde"
	"github.com/clew-security/clew/ingest/format/o365audit"
	"github.com/clew-security/clew/ingest/format/ocsf"
	"github.com/clew-security/clew/ingest/format/sentinel"
	"github.com/clew-security/clew/ingest/format/windows"
)

// Auto is the name of the format that decides for each record by its shape. It also reads the lines of a
// reject file, for the records in them.
const Auto = "auto"

// formats are in the order in which they are asked whether a record is theirs.
var formats = []format.Format{
	clew.Format, ocsf.Format, windows.Format, sentinel.Format, defender.Format, mde.Format, graphsec.Format,
	intune.Format, o365audit.Format, exchange.Format, entra.Format,
}

// Formats are the decoders by name; Auto is among them.
func Formats() map[string]format.Decoder {
	all := map[string]format.Decoder{Auto: decodeAny}
	for _, f := range formats {
		all[f.Name] = f.Decode
	}
	return all
}

// decodeAny decodes a record of any format, or of any in a line of a reject file.
func decodeAny(raw []byte) ([]format.Record, error) {
	fields, err := format.FieldsOf(raw)
	if err != nil {
		return nil, err
	}
	if isReject(fields) {
		return unwrap(raw)
	}
	f, err := format.Detect(fields, formats)
	if err != nil {
		return nil, err
	}
	return f.Decode(raw)
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
