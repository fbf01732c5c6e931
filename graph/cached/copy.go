package cached

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/clew-security/clew/graph"
)

// arena copies slices into few large blocks. Each copy ends where its capacity ends, so that growing one
// touches no other; nil stays nil.
type arena[T any] struct{ block []T }

func newArena[T any](size int) arena[T] { return arena[T]{make([]T, 0, size)} }

func (a *arena[T]) copy(in []T) []T {
	if in == nil {
		return nil
	}
	at := len(a.block)
	a.block = append(a.block, in...)
	return a.block[at:len(a.block):len(a.block)]
}

// copyAlerts copies everything that could be written to.
func copyAlerts(in []graph.Alert) []graph.Alert { return detached(slices.Clone(in)) }

// detached gives the alerts lists of their own, in place.
func detached(out []graph.Alert) []graph.Alert {
	evidence, mentions, raw := 0, 0, 0
	for i := range out {
		evidence, raw = evidence+len(out[i].Evidence), raw+len(out[i].Source)
		for _, e := range out[i].Evidence {
			mentions, raw = mentions+len(e.Mentions), raw+len(e.Body)+len(e.Original)
		}
	}
	pieces, ids, bytes := newArena[graph.Evidence](evidence), newArena[graph.ID](mentions), newArena[byte](raw)
	for i := range out {
		a := &out[i]
		a.MitreTechniques, a.Source = slices.Clone(a.MitreTechniques), bytes.copy(a.Source)
		a.Evidence = pieces.copy(a.Evidence)
		for j := range a.Evidence {
			e := &a.Evidence[j]
			e.Mentions, e.Body, e.Original = ids.copy(e.Mentions), bytes.copy(e.Body), bytes.copy(e.Original)
		}
	}
	return out
}

func copyEntities(in []graph.Entity) []graph.Entity {
	out := slices.Clone(in)
	raw := 0
	for i := range in {
		for _, p := range in[i].Properties {
			raw += len(p.Value)
		}
	}
	bytes := newArena[byte](raw)
	for i := range out {
		e := &out[i]
		e.Keys, e.Sources = slices.Clone(e.Keys), slices.Clone(e.Sources)
		e.Members, e.PossiblySameAs = slices.Clone(e.Members), slices.Clone(e.PossiblySameAs)
		e.Properties = maps.Clone(e.Properties)
		for name, p := range e.Properties {
			p.Value = json.RawMessage(bytes.copy(p.Value))
			e.Properties[name] = p
		}
	}
	return out
}

func copyIncidents(in []graph.Incident) []graph.Incident {
	out := slices.Clone(in)
	for i := range out {
		c := &out[i]
		c.ServiceSources, c.MitreTechniques = slices.Clone(c.ServiceSources), slices.Clone(c.MitreTechniques)
		c.Links = slices.Clone(c.Links)
		for j := range c.Links {
			l := &c.Links[j]
			l.Reasons, l.Entities = slices.Clone(l.Reasons), slices.Clone(l.Entities)
		}
	}
	return out
}
