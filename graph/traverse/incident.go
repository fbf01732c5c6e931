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

// IncidentBlastRadius asks BlastRadius for an incident: the sources are the devices, identities and
// mailboxes that its evidence is about, apart from those of which it only says that they were looked at or
// attacked, or that the attack was prevented; and its malicious messages and files. The reader is asked for them,
// whatever ground the question is asked on. q.Sources is ignored; where q.Start is zero the attacker arrives with
// the incident's first activity. A redirected incident means the one it points to. Errors: graph.ErrNotFound,
// ErrNoAssets, and those of BlastRadius.
func IncidentBlastRadius(ctx context.Context, r graph.Reader, v graph.View, id graph.IncidentID, on Ground, q Question) (*Answer, error) {
	incident, err := liveIncident(ctx, r, v, id)
	if err != nil {
		return nil, err
	}
	sources, whole, err := incidentSources(ctx, r, v, incident.ID)
	if err != nil {
		return nil, err
	}
	q.Sources = sources
	if len(q.Sources) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoAssets, id)
	}
	if q.Start.IsZero() {
		q.Start = incident.FirstActivity
	}
	answer, err := BlastRadius(ctx, on, q)
	if err == nil && !whole && answer.Completeness.Complete {
		answer.Completeness.Complete, answer.Completeness.Reason = false, LimitSources
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
