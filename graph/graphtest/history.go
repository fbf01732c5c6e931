package graphtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

// What documents are drawn from: names that sort otherwise in UTF-16 or as patterns.
var (
	documentCollections = []string{"views", "v", "rüle/s"}
	documentNames       = []string{"a", "ab", "b/ä", "b/ä€", "\U0001F600", "\uFFFD", "\uE000x", "%"}
)

// openWithHistory opens a store until the check's end, and applies a drawn history to it.
func openWithHistory(t *rapid.T, fresh func(TB) Subject) graph.Store {
	clock := NewClock()
	model, s := NewModel(clock.Now), fresh(t).Open(t, clock.Now)
	t.Cleanup(func() { s.Close() })
	drawHistory(t, model, clock, func(b graph.Batch) {
		apply(t, model, b)
		apply(t, s, b)
	})
	return s
}

// drawHistory draws batches of all sorts one after another, and hands each to write before the next is drawn: what
// it says of alerts and incidents goes by those that the model has by then. write must apply it to the model too.
func drawHistory(t *rapid.T, model *Model, clock *Clock, write func(b graph.Batch)) {
	for _, b := range Group(t, drawUnits(t), UnionDecider{}) {
		clock.Move(time.Duration(rapid.IntRange(-60, 60).Draw(t, "skew")) * time.Minute)
		drawWords(t, model, &b)
		drawDocuments(t, &b)
		write(b)
		if rapid.IntRange(0, 7).Draw(t, "expire") == 0 {
			write(graph.Batch{Actor: "retention", Expire: drawExpiry(t, model, clock)})
		}
	}
}

// drawWords adds what people say of an alert and of an incident that are there.
func drawWords(t *rapid.T, model *Model, b *graph.Batch) {
	alerts := must(model.Alerts(context.Background(), view, graph.AlertQuery{}))(t).Items
	if len(alerts) > 0 && rapid.Bool().Draw(t, "edit") {
		id := rapid.SampledFrom(alerts).Draw(t, "edited alert").ID
		b.Edits = append(b.Edits, graph.AlertEdit{Alert: id, Set: drawTriage(t, graph.StatusResolved)})
	}
	incidents := must(model.Incidents(context.Background(), view, graph.IncidentQuery{}))(t).Items
	if len(incidents) > 0 && rapid.Bool().Draw(t, "triage") {
		id := rapid.SampledFrom(incidents).Draw(t, "incident of triage").ID
		b.Incidents = append(b.Incidents, graph.IncidentChange{ID: id, Triage: drawTriage(t, graph.StatusAwaitingAction)})
	}
}

func drawTriage(t *rapid.T, other graph.Status) graph.Triage {
	return graph.Triage{
		Status:     rapid.SampledFrom([]graph.Status{"", graph.StatusInProgress, other}).Draw(t, "status set"),
		AssignedTo: rapid.SampledFrom([]string{"", "ann"}).Draw(t, "assigned"),
	}
}

// drawDocuments adds documents with a value, without one, and deletions.
func drawDocuments(t *rapid.T, b *graph.Batch) {
	collection := rapid.SampledFrom(documentCollections).Draw(t, "written collection")
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(documentNames), 0, 4, rapid.ID).Draw(t, "documents") {
		d := graph.Document{DocumentKey: graph.DocumentKey{Collection: collection, Key: name}}
		d.Value = rapid.SampledFrom([][]byte{nil, {}, {0xFF}, []byte("one")}).Draw(t, "document")
		b.Documents = append(b.Documents, d)
	}
}

// asking is a decider that asks what is staged before it decides.
type asking struct {
	graph.Decider
	ask func(graph.Reader, graph.View) string
	// answers is given one for each time the decider is asked.
	answers *[]string
}

// Decide implements graph.Decider.
func (a asking) Decide(ctx context.Context, r graph.Reader, v graph.View, d graph.Delta) ([]graph.IncidentChange, error) {
	*a.answers = append(*a.answers, a.ask(r, v))
	return a.Decider.Decide(ctx, r, v, d)
}

// stagedAnswers asks about everything that the batch speaks of. Revisions and ticks are not final there.
func stagedAnswers(t TB, b graph.Batch) func(graph.Reader, graph.View) string {
	ids, keys := []graph.ID{}, []graph.Key{}
	for _, e := range b.Entities {
		ids, keys = append(ids, e.ID()), append(keys, e.Keys...)
	}
	return func(r graph.Reader, v graph.View) string {
		ctx, said := context.Background(), []any{}
		for _, q := range []graph.EntityQuery{{IDs: ids}, {}} {
			entities := must(r.Entities(ctx, v, q))(t)
			for i := range entities {
				entities[i].Revision = 0
			}
			said = append(said, entities)
		}
		for _, q := range []graph.EdgeQuery{{Nodes: ids}, {}} {
			said = append(said, must(edgesOnce(ctx, r, v, q))(t))
		}
		documents := []graph.Document{}
		for _, c := range documentCollections {
			documents = append(documents, must(r.Documents(ctx, v, graph.DocumentQuery{Collection: c}))(t)...)
		}
		for i := range documents {
			documents[i].Revision = 0
		}
		said = append(said, documents, must(r.Lookup(ctx, v, keys))(t), stagedAlerts(t, r, v, graph.AlertQuery{}), stagedAlerts(t, r, v, graph.AlertQuery{Entities: ids}))
		return text(said)
	}
}

// stagedAlerts gives the alerts in order of id, without what is not final.
func stagedAlerts(t TB, r graph.Reader, v graph.View, q graph.AlertQuery) []graph.Alert {
	found := must(r.Alerts(context.Background(), v, q))(t).Items
	for i := range found {
		found[i].Created, found[i].Updated, found[i].Revision = 0, 0, 0
	}
	slices.SortFunc(found, func(a, b graph.Alert) int { return a.ID.Compare(b.ID) })
	return found
}

// text is how answers are compared: nil and empty lists are one.
func text(answer any) string { return fmt.Sprintf("%+v", answer) }
