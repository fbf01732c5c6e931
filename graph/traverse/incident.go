package traverse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clew-security/clew/graph"
)

// ErrNoAssets: the incident's evidence names no device, identity or mailbox that the attacker may hold.
var ErrNoAssets = errors.New("incident has no assets")

// maxIncidentAlerts bounds the alerts whose evidence gives an incident's sources: those that came first. With
// more the answer is incomplete and says so.
const maxIncidentAlerts = 2000

// sourceKinds are what an attacker can act from.
var sourceKinds = []graph.Kind{graph.KindDevice, graph.KindIdentity, graph.KindMailbox}

// carrierKinds spread by themselves; they are sources where the evidence calls them malicious.
var carrierKinds = []graph.Kind{graph.KindMailMessage, graph.KindFile}

// harmless are evidence roles of things that the attacker has touched or looked at, not taken.
var harmless = []string{"contextual", "scanned", "attacked", "destination"}

// IncidentQuestion is the question asked for an incident: the sources are the devices, identities and mailboxes that
// its evidence is about, apart from those of which it only says that they were looked at or attacked, or that the
// attack was prevented; and its malicious messages and files. q.Sources is ignored; where q.Start is zero the attacker
// arrives with the incident's first activity. A redirected incident means the one it points to. whole is false where
// there was more evidence than is read: answers are then Completeness.OfPart. Errors: graph.ErrNotFound, ErrNoAssets,
// and the store's own.
func IncidentQuestion(ctx context.Context, r graph.Reader, v graph.View, id graph.IncidentID, q Question) (_ Question, whole bool, err error) {
	incident, err := liveIncident(ctx, r, v, id)
	if err != nil {
		return q, false, err
	}
	if q.Sources, whole, err = incidentSources(ctx, r, v, incident.ID); err != nil {
		return q, false, err
	}
	if len(q.Sources) == 0 {
		return q, whole, fmt.Errorf("%w: %s", ErrNoAssets, id)
	}
	if q.Start.IsZero() {
		q.Start = incident.FirstActivity
	}
	return q, whole, nil
}

// OfPart is the completeness of an answer that does not start from all sources. A limit that was met says more.
func (c Completeness) OfPart() Completeness {
	if c.Complete {
		c.Complete, c.Reason = false, LimitSources
	}
	return c
}

// IncidentBlastRadius asks BlastRadius for an incident, by its IncidentQuestion. The reader is asked for the sources,
// whatever ground the question is asked on. Errors: those of both.
func IncidentBlastRadius(ctx context.Context, r graph.Reader, v graph.View, id graph.IncidentID, on Ground, q Question) (*Answer, error) {
	q, whole, err := IncidentQuestion(ctx, r, v, id, q)
	if err != nil {
		return nil, err
	}
	answer, err := BlastRadius(ctx, on, q)
	if err == nil && !whole {
		answer.Completeness = answer.Completeness.OfPart()
	}
	return answer, err
}

func liveIncident(ctx context.Context, r graph.Reader, v graph.View, id graph.IncidentID) (graph.Incident, error) {
	for {
		page, err := r.Incidents(ctx, v, graph.IncidentQuery{IDs: []graph.IncidentID{id}})
		if err != nil {
			return graph.Incident{}, err
		}
		if len(page.Items) == 0 {
			return graph.Incident{}, fmt.Errorf("%w: incident %s", graph.ErrNotFound, id)
		}
		if page.Items[0].RedirectTo == 0 {
			return page.Items[0], nil
		}
		id = page.Items[0].RedirectTo // always to one that was created or kept: a chain ends
	}
}

// incidentSources reads the evidence; whole is false where there was more of it than is read.
func incidentSources(ctx context.Context, r graph.Reader, v graph.View, id graph.IncidentID) (out []graph.ID, whole bool, err error) {
	q := graph.AlertQuery{Incidents: []graph.IncidentID{id}, Paging: graph.Paging{Order: graph.OldestCreated}}
	held := map[graph.ID]bool{}
	more := true
	for read := 0; more && read < maxIncidentAlerts; {
		page, err := r.Alerts(ctx, v, q)
		if err != nil {
			return nil, false, err
		}
		for _, a := range page.Items {
			for _, e := range a.Evidence {
				if isSource(e) {
					held[e.Entity] = true
				}
			}
			q.After = a.Created
		}
		read, more = read+len(page.Items), page.More
	}
	return slices.SortedFunc(maps.Keys(held), graph.ID.Compare), !more, nil
}

// isSource reads kind, roles, verdict and remediation; what the evidence does not say counts against it.
func isSource(e graph.Evidence) bool {
	var b graph.EvidenceBase
	_ = json.Unmarshal(e.Body, &b) // an unreadable body says nothing
	switch kind := e.Entity.Kind(); {
	case strings.EqualFold(b.RemediationStatus, "prevented") || strings.EqualFold(b.RemediationStatus, "blocked"):
		return false
	case slices.Contains(carrierKinds, kind):
		return strings.EqualFold(b.Verdict, "malicious")
	case !slices.Contains(sourceKinds, kind):
		return false
	}
	for _, role := range b.Roles {
		if !slices.ContainsFunc(harmless, func(h string) bool { return strings.EqualFold(h, role) }) {
			return true
		}
	}
	return len(b.Roles) == 0
}
