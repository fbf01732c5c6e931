package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// crowded is the phishing attack with alerts that leave much to choose from.
func crowded() *kit {
	k := phishing()
	crowd := with{dev("PC1"), dev("PC2"), dev("PC3"), usr("ann"), usr("bob"), usr("carl"), addr("203.0.113.7"), addr("203.0.113.8"),
		prc("b.exe", "a.exe", "ann"), prc("c.exe", "d.exe", "bob"), fil("x.exe", ""), fil("y.exe", ""), box(),
		msg("ann@contoso.com", "Delivered"), msg("bob@contoso.com", "Delivered"), msgFrom("mallory@example.net", "carl@contoso.com", "Delivered")}
	for i, about := range [][2]string{{"InitialAccess", "T1566"}, {"InitialAccess", "T1078"}, {"Execution", "T1059"}, {"Impact", "T1486"}, {"", ""}} {
		k.alert(fmt.Sprint("crowd", i), 7, graph.ServiceDefenderEndpoint, "Crowd", about[0], []string{about[1]}, crowd...)
	}
	return k
}

func TestTheStoryDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	want := crowded().story(t)
	stories := 0
	rapid.Check(t, func(t *rapid.T) {
		k := crowded()
		all := rapid.Permutation(k.alerts).Draw(t, "alerts")
		for i := range all {
			all[i].Evidence = rapid.Permutation(all[i].Evidence).Draw(t, "evidence")
		}
		m := graphtest.NewModel(graphtest.NewClock().Now)
		var id graph.IncidentID
		for len(all) > 0 {
			n := rapid.IntRange(1, len(all)).Draw(t, "batch")
			c := graph.IncidentChange{ID: id, Facts: &graph.IncidentFacts{DisplayName: "Multi-stage incident", Severity: graph.SeverityHigh}}
			for _, a := range all[:n] {
				c.Alerts = append(c.Alerts, a.ID())
			}
			b := graph.Batch{Entities: k.entities, Alerts: all[:n], Incidents: []graph.IncidentChange{c}}
			if _, err := m.Apply(context.Background(), graphtest.Tenant, b); err != nil {
				t.Fatalf("apply: %v", err)
			}
			id, all = 1, all[n:]
		}
		got := build(t, m, Options{})
		if diff := cmp.Diff([]any{want.Steps, want.Entry}, []any{got.Steps, got.Entry}); diff != "" {
			t.Fatalf("another story (-want +got):\n%s", diff)
		}
		stories++
	})
	t.Logf("%d stories compared", stories)
}

func TestAnUnknownIncidentIsNotFound(t *testing.T) {
	_, err := Build(context.Background(), phishing().store(t), view, 7, Options{})
	if !errors.Is(err, graph.ErrNotFound) {
		t.Errorf("err is %v", err)
	}
	_, err = Build(context.Background(), phishing().store(t), graph.View{Tenant: "other"}, 1, Options{})
	if !errors.Is(err, graph.ErrNotFound) {
		t.Errorf("another tenant's: err is %v", err)
	}
}

func TestARedirectedIncidentTellsTheOneItPointsTo(t *testing.T) {
	m, ids := phishing().store(t), []graph.ID{}
	for _, a := range phishing().alerts {
		ids = append(ids, a.ID())
	}
	late := (&kit{}).alert("late", 300, graph.ServiceDefenderEndpoint, "Late", "", nil)
	batches := []graph.Batch{
		{Alerts: []graph.AlertContent{*late}, Incidents: []graph.IncidentChange{{Alerts: []graph.ID{late.ID()}}}},
		{Incidents: []graph.IncidentChange{{ID: 2, Alerts: ids}, {ID: 1, RedirectTo: 2}}},
	}
	for _, b := range batches {
		if _, err := m.Apply(context.Background(), graphtest.Tenant, b); err != nil {
			t.Fatal(err)
		}
	}
	s := build(t, m, Options{})
	if s.Incident.ID != 2 || len(s.Steps) != 9 || s.Steps[8].Sentence != "Late" {
		t.Errorf("incident %s, %d steps", s.Incident.ID, len(s.Steps))
	}
}

// counting counts reads.
type counting struct {
	graph.Reader
	incidents, alerts, entities int
}

func (c *counting) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	c.incidents++
	return c.Reader.Incidents(ctx, v, q)
}

func (c *counting) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	c.alerts++
	return c.Reader.Alerts(ctx, v, q)
}

func (c *counting) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	c.entities++
	return c.Reader.Entities(ctx, v, q)
}

func TestAStoryCostsThreeReads(t *testing.T) {
	c := &counting{Reader: phishing().store(t)}
	build(t, c, Options{})
	if c.incidents != 1 || c.alerts != 1 || c.entities != 1 {
		t.Errorf("%d reads of incidents, %d of alerts, %d of entities", c.incidents, c.alerts, c.entities)
	}
}

func TestAThousandAlertsAreTruncatedHonestly(t *testing.T) {
	k := &kit{}
	for i := range 1000 {
		k.alert(fmt.Sprint(i), 999-i, graph.ServiceDefenderEndpoint, fmt.Sprintf("Alert %03d", 999-i), "", nil)
	}
	m := k.store(t)
	for _, c := range []struct {
		max, steps int
		truncated  bool
	}{{0, 200, true}, {-1, 200, true}, {7, 7, true}, {999, 999, true}, {1000, 1000, false}, {5000, 1000, false}} {
		s := build(t, m, Options{MaxSteps: c.max})
		if len(s.Steps) != c.steps || s.Truncated != c.truncated {
			t.Errorf("at most %d: %d steps, truncated %v", c.max, len(s.Steps), s.Truncated)
		}
		for i, step := range s.Steps {
			if step.Number != i+1 || step.Sentence != fmt.Sprintf("Alert %03d", i) {
				t.Fatalf("step %d is %d, %q", i+1, step.Number, step.Sentence)
			}
		}
	}
}

// endless has always another page of alerts.
type endless struct {
	graph.Reader
	pages int
}

func (e *endless) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	page := graph.AlertPage{PageInfo: graph.PageInfo{More: true}}
	for i := range graph.MaxPage {
		n := e.pages*graph.MaxPage + i
		page.Items = append(page.Items, graph.Alert{ID: graph.NewID(graph.KindAlert, fmt.Sprint(n)), Created: graph.Tick(n + 1),
			AlertContent: graph.AlertContent{Title: "Same", FirstActivity: at(0)}})
	}
	if e.pages > 0 && q.After != graph.Tick(e.pages*graph.MaxPage) {
		return page, fmt.Errorf("page %d continues behind %d", e.pages, q.After)
	}
	e.pages++
	return page, nil
}

func TestReadingStopsAndSaysSo(t *testing.T) {
	e := &endless{Reader: phishing().store(t)}
	s := build(t, e, Options{})
	if e.pages != 5 || !s.Truncated || len(s.Steps) != 1 || len(s.Steps[0].Alerts) != 5000 {
		t.Errorf("%d pages, truncated %v, %d steps", e.pages, s.Truncated, len(s.Steps))
	}
}

func TestRepeatsFoldUntilTheyPause(t *testing.T) {
	k := &kit{}
	for i, minute := range []int{0, 20, 45, 76, 300} {
		a := k.alert(fmt.Sprint(i), minute, graph.ServiceDefenderEndpoint, "Suspicious process", "Execution", []string{"T1059", fmt.Sprintf("T900%d", i)}, dev("PC7"))
		if i == 1 {
			a.Severity = graph.SeverityHigh
		}
	}
	k.alert("other", 1, graph.ServiceDefenderEndpoint, "Suspicious process", "Execution", nil, dev("PC8"))
	s := k.story(t)
	var got []string
	for _, step := range s.Steps {
		got = append(got, fmt.Sprintf("%s %s %s %d %s %v", step.Time.Format("15:04"), step.Until.Format("15:04"), step.Sentence, len(step.Alerts), step.Severity, step.Techniques))
	}
	want := []string{
		"08:00 08:45 Suspicious process on PC7 (3 alerts) 3 high [T1059 T9000 T9001 T9002]",
		"08:01 08:01 Suspicious process on PC8 1 medium []",
		"09:16 09:16 Suspicious process on PC7 1 medium [T1059 T9003]",
		"13:00 13:00 Suspicious process on PC7 1 medium [T1059 T9004]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStepsOfOneInstantFollowTheKillChain(t *testing.T) {
	k := &kit{}
	for i, category := range []string{"", "Impact", "Discovery", "InitialAccess", "Execution"} {
		k.alert(fmt.Sprint(i), 0, graph.ServiceDefenderEndpoint, "x"+category, category, nil)
	}
	unknown := k.alert("u", 0, graph.ServiceDefenderEndpoint, "no time", "Reconnaissance", nil)
	unknown.FirstActivity, unknown.LastActivity, unknown.SourceCreated = time.Time{}, time.Time{}, time.Time{}
	made := k.alert("m", 0, graph.ServiceDefenderEndpoint, "time of making", "", nil)
	made.FirstActivity, made.LastActivity = time.Time{}, time.Time{}
	last := k.alert("l", 3, graph.ServiceDefenderEndpoint, "last activity", "", nil)
	last.FirstActivity = time.Time{}
	var got []string
	for _, step := range k.story(t).Steps {
		got = append(got, step.Sentence)
	}
	want := []string{"xInitialAccess", "xExecution", "xDiscovery", "xImpact", "x", "last activity", "time of making", "no time"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnknownTechniquesAreKept(t *testing.T) {
	step := sentenceOf(t, "Odd", "", []string{"T9999", "AML.T0051"}, func(*kit) []graph.Evidence { return nil })
	if !slices.Equal(step.Techniques, []string{"AML.T0051", "T9999"}) || step.Tactic != "" || step.Verdict != "unknown" || step.Status != "unknown" {
		t.Errorf("%+v", step)
	}
}

func TestAWeakNameIsFollowedAndMarked(t *testing.T) {
	step := sentenceOf(t, "Odd", "", nil, func(k *kit) []graph.Evidence {
		key, _ := graph.NewKey(graph.KindDevice, graph.KeyMdeDeviceID, "m1")
		host, _ := graph.NewKey(graph.KindDevice, graph.KeyHostName, "pc7")
		k.entities = append(k.entities, graph.EntityObservation{Keys: []graph.Key{key, host}})
		weak := k.see(graph.KindDevice, graph.KeyHostName, "pc7", "")
		return with{ev("deviceEvidence", weak, obj{"hostName": "PC7"})}
	})
	strong, _ := graph.NewKey(graph.KindDevice, graph.KeyMdeDeviceID, "m1")
	if !step.Inferred || step.Target == nil || step.Target.ID != strong.ID() || step.Sentence != "Odd on pc7" {
		t.Errorf("%+v %+v", step, step.Target)
	}
}

func TestTheProcessThatOnlyStartedAnotherIsNotBlamed(t *testing.T) {
	for category, want := range map[string]string{
		"Discovery": "whoami.exe gathered information on PC7 as ann", "Execution": "cmd.exe started whoami.exe on PC7 as ann",
	} {
		step := sentenceOf(t, "Odd", category, []string{"T1059"}, func(k *kit) []graph.Evidence {
			shell, who := prc("cmd.exe", "explorer.exe", "ann"), prc("whoami.exe", "cmd.exe", "ann")
			shell.Entity, who.Entity = k.proc("m-PC7", "1"), k.proc("m-PC7", "2")
			who.Mentions = []graph.ID{shell.Entity}
			return with{dev("PC7"), shell, who}
		})
		if step.Sentence != want {
			t.Errorf("%s: %q, want %q", category, step.Sentence, want)
		}
	}
}

func TestACompositeKeyIsNeverShownAsAName(t *testing.T) {
	step := sentenceOf(t, "Odd", "Execution", nil, func(k *kit) []graph.Evidence {
		return with{ev("processEvidence", k.proc("m1", "7"), nil), dev("PC7")}
	})
	if step.Sentence != "an unnamed process ran on PC7" || step.Actor == nil || step.Actor.Name != "unnamed process" {
		t.Errorf("%+v %+v", step, step.Actor)
	}
}

func TestStatusAndVerdictFollowTheEvidence(t *testing.T) {
	for _, c := range []struct{ name, evidence, status, verdict string }{
		{"nothing said", "unknown/none", "unknown", "unknown"},
		{"cleared", "noThreatsFound/none", "unknown", "noThreatsFound"},
		{"prevented with context", "malicious/prevented unknown/none", "prevented", "malicious"},
		{"blocked counts as prevented", "malicious/blocked", "prevented", "malicious"},
		{"remediated", "suspicious/remediated", "remediated", "suspicious"},
		{"remediated and prevented", "malicious/remediated malicious/prevented", "remediated", "malicious"},
		{"one still active", "malicious/remediated suspicious/active", "active", "malicious"},
		{"waiting for approval", "malicious/pendingApproval", "active", "malicious"},
		{"malicious and nothing said of it", "malicious/prevented malicious/none", "unknown", "malicious"},
		{"in any case", "Malicious/Prevented", "prevented", "malicious"},
		{"values of the future", "dreadful/vanished", "unknown", "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			step := sentenceOf(t, "Odd", "", nil, func(*kit) []graph.Evidence {
				var out with
				for i, e := range fields(c.evidence) {
					out = append(out, ev("fileEvidence", graph.ID{}, obj{"verdict": e[0], "remediationStatus": e[1], "fileDetails": obj{"fileName": fmt.Sprint(i)}}))
				}
				return out
			})
			if step.Status != c.status || step.Verdict != c.verdict {
				t.Errorf("got %s, %s", step.Status, step.Verdict)
			}
		})
	}
}

func TestEntryIsNotGuessed(t *testing.T) {
	entryOf := func(categories []string, status string) *Entry {
		k := &kit{}
		for i, category := range categories {
			k.alert(fmt.Sprint(i), i, graph.ServiceDefenderEndpoint, category, category, nil,
				ev("fileEvidence", graph.ID{}, obj{"verdict": "malicious", "remediationStatus": status}))
		}
		return k.story(t).Entry
	}
	if e := entryOf([]string{"Execution", "InitialAccess"}, "active"); e == nil || e.Step != 2 {
		t.Errorf("entry is %+v, want step 2", e)
	}
	if e := entryOf([]string{"Execution", "Impact"}, "active"); e != nil {
		t.Errorf("entry is %+v without any Initial Access", e)
	}
	if e := entryOf([]string{"InitialAccess"}, "prevented"); e != nil {
		t.Errorf("entry is %+v though it was prevented", e)
	}
}

func TestAnErrorOfTheStoreIsPassedOn(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Build(ctx, phishing().store(t), view, 1, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("err is %v", err)
	}
}

func TestEvidenceOfWrongFormSaysLess(t *testing.T) {
	e := graph.Evidence{Type: "deviceEvidence", Body: json.RawMessage(`{"roles":"source","deviceDnsName":"PC7","mdeDeviceId":5,"verdict":{}}`)}
	if got := sceneOf("Odd", "", "", with{e}).tell().sentence; got != "Odd on PC7" {
		t.Errorf("got %q", got)
	}
}
