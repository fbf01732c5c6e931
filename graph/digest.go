package graph

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
)

// Digest is the SHA-256 of a tenant's domain content in canonical order, without revisions, ticks and
// incident numbers, which depend on the order of commits: two stores, or two runs over the same
// observations in any order and batching, are equal if their digests are. An incident is written as the ids
// of its alerts.
func Digest(ctx context.Context, r Reader, v View) (string, error) {
	h := sha256.New()
	if err := WriteContent(ctx, r, v, h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// WriteContent writes what Digest hashes, one JSON value a line: entities, edges, alerts, incidents.
func WriteContent(ctx context.Context, r Reader, v View, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for q := (EntityQuery{}); ; {
		page, err := r.Entities(ctx, v, q)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := enc.Encode(e); err != nil {
				return err
			}
			q.After = e.ID
		}
		if len(page) < MaxPage {
			break
		}
	}
	for e, err := range r.Edges(ctx, v, EdgeQuery{}) {
		if err == nil {
			err = enc.Encode(e)
		}
		if err != nil {
			return err
		}
	}
	return writeAlerts(ctx, r, v, enc)
}

func writeAlerts(ctx context.Context, r Reader, v View, enc *json.Encoder) error {
	alerts, err := AllAlerts(ctx, r, v, AlertQuery{})
	if err != nil {
		return err
	}
	slices.SortFunc(alerts, func(a, b Alert) int { return a.ID.Compare(b.ID) })
	parts := map[IncidentID][]ID{}
	for _, a := range alerts {
		parts[a.Incident] = append(parts[a.Incident], a.ID)
		a.Incident, a.Created, a.Updated = 0, 0, 0
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
	return writeIncidents(ctx, r, v, enc, parts)
}

func writeIncidents(ctx context.Context, r Reader, v View, enc *json.Encoder, parts map[IncidentID][]ID) error {
	type part struct {
		Alerts []ID `json:"alerts"`
		IncidentFacts
		Triage Triage `json:"triage"`
	}
	var out []part
	q := IncidentQuery{Paging: Paging{Order: OldestCreated}}
	for more := true; more; {
		page, err := r.Incidents(ctx, v, q)
		if err != nil {
			return err
		}
		for _, i := range page.Items {
			out = append(out, part{parts[i.ID], i.IncidentFacts, i.Triage})
			q.After = i.Created
		}
		more = page.More
	}
	slices.SortFunc(out, func(a, b part) int {
		return slices.CompareFunc(a.Alerts, b.Alerts, ID.Compare)
	})
	for _, p := range out {
		if err := enc.Encode(p); err != nil {
			return err
		}
	}
	return nil
}

// AllAlerts reads every page of a query. For tests, digests and tools; a request must not use it unbounded.
func AllAlerts(ctx context.Context, r Reader, v View, q AlertQuery) ([]Alert, error) {
	var out []Alert
	q.Order = OldestCreated
	for {
		page, err := r.Alerts(ctx, v, q)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if !page.More || len(page.Items) == 0 {
			return out, nil
		}
		q.After = cmp.Or(page.Items[len(page.Items)-1].Created, q.After)
	}
}
