package correlate

import (
	"slices"

	"github.com/clew-security/clew/graph"
)

// ties are the ids by which an alert may bear keys. They follow from its content alone, before it is known
// which ids are the same thing, so that what becomes known of one thing changes no key of another.
type ties struct {
	ids []graph.ID // in order
	// crowd is set where the alert names so many people or devices that none of them counts.
	crowd bool
}

func (t ties) has(id graph.ID) bool {
	_, ok := slices.BinarySearchFunc(t.ids, id, graph.ID.Compare)
	return ok
}

// tiesOf keeps what one alert contributes bounded; see Settings.MostParties and MostArtifacts.
func (s Settings) tiesOf(a graph.AlertContent) (t ties) {
	byKind := map[graph.Kind][]graph.ID{}
	for _, id := range candidates(a) {
		byKind[id.Kind()] = append(byKind[id.Kind()], id)
	}
	for k, ids := range byKind {
		t.crowd = t.crowd || (isParty(k) && len(ids) > s.MostParties)
	}
	for k, ids := range byKind {
		if isParty(k) && t.crowd {
			continue
		}
		if !isParty(k) {
			ids = ids[:min(len(ids), s.MostArtifacts)]
		}
		t.ids = append(t.ids, ids...)
	}
	slices.SortFunc(t.ids, graph.ID.Compare)
	return t
}

// candidates are the ids that the rules look at, in order, each once: not the users who happen to be logged on to
// a device, and of addresses only those that evidence is about, as a mentioned one is a mail server or resolver.
func candidates(a graph.AlertContent) (ids []graph.ID) {
	for _, e := range a.Evidence {
		if id := e.Entity; isTie(id.Kind()) && (id.Kind() != graph.KindIPAddress || e.Type == "ipEvidence") {
			ids = append(ids, id)
		}
		for _, id := range mentioned(e) {
			if isTie(id.Kind()) && id.Kind() != graph.KindIPAddress {
				ids = append(ids, id)
			}
		}
	}
	slices.SortFunc(ids, graph.ID.Compare)
	return slices.Compact(ids)
}

func mentioned(e graph.Evidence) []graph.ID {
	if e.Type == "deviceEvidence" {
		return nil
	}
	return e.Mentions
}

// isTie reports whether things of the kind can be keys.
func isTie(k graph.Kind) bool {
	switch k {
	case graph.KindMailMessage, graph.KindURL, graph.KindFile, graph.KindIPAddress, graph.KindCloudSession,
		graph.KindOAuthApplication, graph.KindProcess:
		return true
	}
	return isParty(k)
}

// isParty reports whether things of the kind are, or belong to, the people and devices of an alert.
func isParty(k graph.Kind) bool {
	return k == graph.KindDevice || k == graph.KindIdentity || k == graph.KindMailbox
}
