package neo4j

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// The tenant that the writer of these tests changes from one end to the other.
const (
	movingAlerts    = 60
	movingIncidents = 6
	movingCommits   = 18
)

func movingID(i int) graph.ID {
	return graph.AlertContent{Product: "moving", ProviderAlertID: fmt.Sprint(i)}.ID()
}

func azureDevice(i int) graph.EntityObservation {
	return observed(graph.KindDevice, graph.KeyAzureADDeviceID, fmt.Sprint("azure-", i))
}

func movingDocument(key string, value int) graph.Document {
	d := graph.Document{DocumentKey: graph.DocumentKey{Collection: "moving", Key: key}}
	if value >= 0 {
		d.Value = []byte(fmt.Sprint(value))
	}
	return d
}

// movingStart has alerts in incidents, users on devices, and twins of the devices that later prove to be the same.
func movingStart() (b graph.Batch) {
	for i := range movingAlerts {
		b.Entities = append(b.Entities, device(i), azureDevice(i), user(i))
		for _, to := range []graph.ID{device(i).ID(), azureDevice(i).ID()} {
			b.Edges = append(b.Edges, graph.EdgeObservation{
				Kind: graph.EdgeLoggedOn, From: user(i).ID(), To: to, FirstSeen: epoch, Observation: graph.NewID(graph.KindObservation, fmt.Sprint(i)),
			})
		}
		b.Alerts = append(b.Alerts, graph.AlertContent{
			Product: "moving", ProviderAlertID: fmt.Sprint(i), FirstActivity: epoch, LastActivity: epoch.Add(time.Hour),
			Evidence: []graph.Evidence{{Entity: device(i).ID()}},
		})
	}
	for i := range movingIncidents {
		var alerts []graph.ID
		for n := i; n < movingAlerts; n += movingIncidents {
			alerts = append(alerts, movingID(n))
		}
		b.Incidents = append(b.Incidents, graph.IncidentChange{Facts: &graph.IncidentFacts{DisplayName: fmt.Sprint(i)}, Alerts: alerts})
	}
	b.Documents = []graph.Document{movingDocument("a", 0), movingDocument("m0", 0), movingDocument("z", 0)}
	return b
}

// movingCommit re-dates every third alert, edits incidents, moves an alert to another, joins devices, replaces documents
// and gives an alert other evidence.
func movingCommit(n int) (b graph.Batch) {
	set := graph.Triage{Status: []graph.Status{graph.StatusNew, graph.StatusResolved}[n%2], AssignedTo: fmt.Sprint("analyst ", n)}
	for i := n % 3; i < movingAlerts; i += 3 {
		b.Edits = append(b.Edits, graph.AlertEdit{Alert: movingID(i), Set: set})
	}
	for i := range 4 {
		id := graph.IncidentID((n+2*i)%movingIncidents + 1)
		b.Incidents = append(b.Incidents, graph.IncidentChange{ID: id, Triage: graph.Triage{AssignedTo: fmt.Sprint("analyst ", n)}})
	}
	b.Incidents[0].Alerts = []graph.ID{movingID(n * 7 % movingAlerts)}
	for i := n * 3; i < n*3+3 && i < movingAlerts; i++ {
		both := device(i)
		both.Keys = append(both.Keys, azureDevice(i).Keys...)
		b.Entities = append(b.Entities, both)
	}
	other := device((n*5 + 1) % movingAlerts)
	b.Entities = append(b.Entities, other)
	b.Alerts = []graph.AlertContent{{
		Product: "moving", ProviderAlertID: fmt.Sprint(n), FirstActivity: epoch, LastActivity: epoch.Add(time.Duration(n+2) * time.Hour),
		SourceUpdated: epoch.Add(time.Duration(n+1) * time.Hour), Evidence: []graph.Evidence{{Entity: other.ID()}},
	}}
	b.Documents = []graph.Document{movingDocument("a", n), movingDocument(fmt.Sprint("m", n-1), -1), movingDocument(fmt.Sprint("m", n), n), movingDocument("z", n)}
	return b
}

// movingQuestions are of every kind that a writer could spoil.
func movingQuestions() (out []func(graph.Reader, graph.View) (any, error)) {
	ctx := context.Background()
	for _, q := range []graph.AlertQuery{
		{Paging: graph.Paging{Order: graph.NewestUpdated, Count: true}},
		{Paging: graph.Paging{Order: graph.OldestUpdated, Count: true, Limit: 20}},
		{Paging: graph.Paging{Count: true}, Statuses: []graph.Status{graph.StatusNew}},
		{Paging: graph.Paging{Count: true}, Activity: graph.Window{From: epoch.Add(2 * time.Hour)}},
		{Paging: graph.Paging{Count: true, Order: graph.NewestUpdated}, Incidents: []graph.IncidentID{1, 2, 3}},
		{Paging: graph.Paging{Count: true}, Entities: seq(0, movingAlerts, func(i int) graph.ID { return device(i).ID() })},
	} {
		out = append(out, func(r graph.Reader, v graph.View) (any, error) { x, err := r.Alerts(ctx, v, q); return x, err })
	}
	ids := seq(0, movingAlerts, func(i int) graph.ID { return azureDevice(i).ID() })
	keys := seq(0, movingAlerts, func(i int) graph.Key { return azureDevice(i).Keys[0] })
	return append(out,
		func(r graph.Reader, v graph.View) (any, error) {
			x, err := r.Incidents(ctx, v, graph.IncidentQuery{Paging: graph.Paging{Order: graph.NewestUpdated, Count: true}, WithContentVersion: true})
			return x, err
		},
		func(r graph.Reader, v graph.View) (any, error) {
			x, err := r.Entities(ctx, v, graph.EntityQuery{IDs: ids})
			return x, err
		},
		func(r graph.Reader, v graph.View) (any, error) {
			x, err := r.Entities(ctx, v, graph.EntityQuery{})
			return x, err
		},
		func(r graph.Reader, v graph.View) (any, error) {
			x, err := edgesOnce(r, v, graph.EdgeQuery{Nodes: ids})
			return x, err
		},
		func(r graph.Reader, v graph.View) (any, error) {
			x, err := r.Documents(ctx, v, graph.DocumentQuery{Collection: "moving"})
			return x, err
		},
		func(r graph.Reader, v graph.View) (any, error) { x, err := r.Lookup(ctx, v, keys); return x, err },
	)
}

// Readers of another process ask beside a writer that changes what they read; each answer must be the model's, for
// one of the revisions that there were.
func TestEveryAnswerBesideAWriterIsASnapshot(t *testing.T) {
	o := migrated(t)
	clock := graphtest.NewClock()
	o.Clock = clock.Now
	writer, model, v := open(t, o), graphtest.NewModel(clock.Now), graph.View{Tenant: tenantOfTest(t)}
	o.MaxStale = time.Hour // or each read begins behind a commit
	reader, questions := open(t, o), movingQuestions()
	shown := make([]map[string]bool, len(questions))
	for i := range shown {
		shown[i] = map[string]bool{}
	}
	for n := range movingCommits + 1 {
		b := movingStart()
		if n > 0 {
			b = movingCommit(n)
		}
		if r := mustApply(t, model, v.Tenant, b); r.Revision != graph.Revision(n+1) {
			t.Fatalf("batch %d makes revision %d", n, r.Revision)
		}
		for i, ask := range questions {
			x, err := ask(model, v)
			if err != nil {
				t.Fatal(err)
			}
			shown[i][fmt.Sprintf("%+v", x)] = true
		}
	}
	mustApply(t, writer, v.Tenant, movingStart())
	done := make(chan error, 1)
	go func() {
		var err error
		for n := 1; n <= movingCommits && err == nil; n++ {
			_, err = writer.Apply(context.Background(), v.Tenant, movingCommit(n))
		}
		done <- err
	}()
	err := askUntil(done, func(n int) error {
		x, err := questions[n%len(questions)](reader, v)
		if got := fmt.Sprintf("%+v", x); err == nil && !shown[n%len(questions)][got] {
			err = fmt.Errorf("question %d is answered with what no revision shows: %.300s", n%len(questions), got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// askUntil asks numbered questions, three at a time, until done says something.
func askUntil(done <-chan error, ask func(n int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	var ended atomic.Bool
	errs := make([]error, 3)
	for i := range errs {
		wg.Go(func() {
			for !ended.Load() && errs[i] == nil {
				errs[i] = ask(int(next.Add(1)))
			}
		})
	}
	err := <-done
	ended.Store(true)
	wg.Wait()
	return errors.Join(append(errs, err)...)
}
