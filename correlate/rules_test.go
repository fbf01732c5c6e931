package correlate

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

// said is evidence of a thing and what its body says.
type said struct {
	typ  string
	keys []graph.Key
	body string
}

func dev(id string) said {
	return said{"deviceEvidence", []graph.Key{mustKey(graph.KindDevice, graph.KeyMdeDeviceID, id)}, ""}
}

func user(id string) said {
	return said{"userEvidence", []graph.Key{mustKey(graph.KindIdentity, graph.KeyAzureADUserID, id)}, ""}
}

func hashed(folder string) said {
	k := mustKey(graph.KindFile, graph.KeyMD5, "0123456789abcdef0123456789abcdef")
	body, _ := json.Marshal(map[string]any{"fileDetails": map[string]string{"filePath": folder}})
	return said{"fileEvidence", []graph.Key{k}, string(body)}
}

func ip(address, body string) said {
	var keys []graph.Key
	for _, t := range []graph.KeyType{graph.KeyIPAddress, graph.KeyPrivateIPAddress} {
		if k, ok := graph.NewKey(graph.KindIPAddress, t, address); ok {
			keys = append(keys, k)
		}
	}
	return said{"ipEvidence", keys, body}
}

func proc(image string, before time.Duration) said {
	body, _ := json.Marshal(map[string]any{"imageFile": map[string]string{"filePath": image},
		"processCreationDateTime": graphtest.Epoch.Add(-before)})
	return said{"processEvidence", []graph.Key{mustKey(graph.KindProcess, graph.KeyMdeProcess, "m1\x1f7")}, string(body)}
}

func weak(typ graph.KeyType, value string) said {
	return said{"userEvidence", []graph.Key{mustKey(graph.KindIdentity, typ, value)}, ""}
}

// crowdOf are n things of a sort, and others beside them.
func crowdOf(n int, of func(string) said, beside ...said) []said {
	for i := range n {
		beside = append(beside, of(fmt.Sprint("member", i)))
	}
	return beside
}

// alertAt adds an alert to a batch.
func alertAt(b *graph.Batch, name string, at time.Duration, about ...said) graph.ID {
	start := graphtest.Epoch.Add(at)
	a := graph.AlertContent{ProviderAlertID: name, Product: "p", DetectorID: name, Title: name, FirstActivity: start, LastActivity: start}
	for _, s := range about {
		o := graph.EntityObservation{Keys: s.keys}
		b.Entities = append(b.Entities, o)
		body := s.body
		if body == "" {
			body = "{}"
		}
		a.Evidence = append(a.Evidence, graph.Evidence{Type: s.typ, Entity: o.ID(), Body: json.RawMessage(body)})
	}
	b.Alerts = append(b.Alerts, a)
	return a.ID()
}

func apply(t *testing.T, m graph.Store, b graph.Batch) {
	t.Helper()
	b.Decide = New(DefaultSettings())
	if _, err := m.Apply(context.Background(), graphtest.Tenant, b); err != nil {
		t.Fatal(err)
	}
}

func incidentOf(t *testing.T, m graph.Store, id graph.ID) graph.IncidentID {
	t.Helper()
	page, err := m.Alerts(context.Background(), view, graph.AlertQuery{IDs: []graph.ID{id}})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("alert %s: %v", id, err)
	}
	return page.Items[0].Incident
}

func TestWhatTiesTwoAlerts(t *testing.T) {
	for _, c := range []struct {
		name   string
		gap    time.Duration
		a, b   []said
		linked bool
	}{
		{"one device within hours", 3 * time.Hour, []said{dev("x")}, []said{dev("x")}, true},
		{"one device a day apart", 24 * time.Hour, []said{dev("x")}, []said{dev("x")}, false},
		{"one person on one device a day apart", 24 * time.Hour, []said{dev("x"), user("u")}, []said{dev("x"), user("u")}, true},
		{"one hash a day apart", 24 * time.Hour, []said{dev("x"), hashed(`C:\Temp`)}, []said{dev("y"), hashed(`D:\`)}, true},
		{"a hash that lies in a system folder", time.Minute, []said{dev("x"), hashed(`C:\Windows\System32`)}, []said{dev("y"), hashed(`D:\`)}, false},
		{"a hash in the folder where Windows lets everybody write", time.Minute, []said{dev("x"), hashed(`C:\Windows\Temp`)}, []said{dev("y"), hashed(`D:\`)}, true},
		{"an attacker's address", time.Hour, []said{dev("x"), ip("203.0.113.7", `{"roles":["attacker"]}`)}, []said{user("v"), ip("203.0.113.7", `{}`)}, true},
		{"a victim's own egress address", time.Minute, []said{dev("x"), ip("203.0.113.7", `{}`)}, []said{user("v"), ip("203.0.113.7", `{}`)}, false},
		{"a private address, even an attacker's", time.Minute, []said{ip("10.0.0.7", `{"roles":["attacker"]}`)}, []said{ip("10.0.0.7", `{"roles":["attacker"]}`)}, false},
		{"SYSTEM", time.Minute, []said{weak(graph.KeyBuiltInSID, "S-1-5-18")}, []said{weak(graph.KeyBuiltInSID, "S-1-5-18")}, false},
		{"SYSTEM of one device, named from two", time.Minute, []said{weak(graph.KeyMdeAccount, "m1\x1fS-1-5-18")}, []said{weak(graph.KeyMdeAccount, "m1\x1fS-1-5-18")}, false},
		{"Administrator by name", time.Minute, []said{weak(graph.KeyAccountName, `contoso\Administrator`)}, []said{weak(graph.KeyAccountName, `contoso\Administrator`)}, false},
		{"an account by name", time.Minute, []said{weak(graph.KeyAccountName, `contoso\ann`)}, []said{weak(graph.KeyAccountName, `contoso\ann`)}, true},
		{"a process of the attacker's", 5 * time.Minute, []said{dev("x"), proc(`C:\Temp`, 5*time.Hour)}, []said{user("v"), proc(`C:\Temp`, 5*time.Hour)}, true},
		{"a system process that had long been running", 5 * time.Minute, []said{dev("x"), proc(`C:\Windows`, 5*time.Hour)}, []said{user("v"), proc(`C:\Windows`, 5*time.Hour)}, false},
		{"a system process just started", 5 * time.Minute, []said{dev("x"), proc(`C:\Windows`, time.Minute)}, []said{user("v"), proc(`C:\Windows`, time.Minute)}, true},
		{"a cloud application", time.Minute, []said{{"cloudApplicationEvidence", []graph.Key{mustKey(graph.KindCloudApplication, graph.KeyAppInstance, "1\x1f0")}, ""}},
			[]said{{"cloudApplicationEvidence", []graph.Key{mustKey(graph.KindCloudApplication, graph.KeyAppInstance, "1\x1f0")}, ""}}, false},
		{"a URL with either scheme", time.Hour, []said{url("http://evil.example/a")}, []said{url("https://evil.example/a")}, true},
		{"one device among fifty", time.Hour, crowdOf(49, dev, dev("x")), []said{dev("x")}, true},
		{"one device among fifty-one", time.Hour, crowdOf(50, dev, dev("x")), []said{dev("x")}, false},
		{"one person where fifty-one devices are named", time.Hour, crowdOf(51, dev, user("u")), []said{user("u")}, false},
		{"one person among fifty-one", time.Hour, crowdOf(50, user, user("u")), []said{user("u")}, false},
		{"one hash in an alert about a crowd", 24 * time.Hour, crowdOf(51, dev, hashed(`D:\`)), []said{dev("x"), hashed(`D:\`)}, true},
		{"only the host of a URL", time.Minute, []said{url("http://evil.example/a")}, []said{url("http://evil.example/b")}, false},
	} {
		m, b := graphtest.NewModel(graphtest.NewClock().Now), graph.Batch{}
		x, y := alertAt(&b, "a", 0, c.a...), alertAt(&b, "b", c.gap, c.b...)
		apply(t, m, b)
		if got := incidentOf(t, m, x) == incidentOf(t, m, y); got != c.linked {
			t.Errorf("%s: linked is %v, want %v", c.name, got, c.linked)
		}
	}
}

func url(s string) said {
	return said{"urlEvidence", []graph.Key{mustKey(graph.KindURL, graph.KeyURL, s)}, ""}
}

func TestADeviceThatBecomesAHubLetsItsIncidentPart(t *testing.T) {
	m := graphtest.NewModel(graphtest.NewClock().Now)
	var first, crowd graph.Batch
	x := alertAt(&first, "x", 0, dev("dc"), user("ann"))
	y := alertAt(&first, "y", 2*time.Hour, dev("dc"), user("bob"))
	apply(t, m, first)
	before := incidentOf(t, m, x)
	if incidentOf(t, m, y) != before {
		t.Fatal("two alerts of one device within hours are apart")
	}
	for i := range 3 {
		alertAt(&crowd, fmt.Sprint(i), time.Duration(i+5)*24*time.Hour, dev("dc"), user(fmt.Sprint("stranger", i)))
	}
	apply(t, m, crowd)
	if incidentOf(t, m, x) != before || incidentOf(t, m, y) == before {
		t.Errorf("incidents are %s and %s; the earliest alert's part should keep %s", incidentOf(t, m, x), incidentOf(t, m, y), before)
	}
}

func TestAnIncidentSaysWhy(t *testing.T) {
	m, b := graphtest.NewModel(graphtest.NewClock().Now), graph.Batch{}
	x := alertAt(&b, "x", 0, dev("pc"), user("ann"))
	y := alertAt(&b, "y", 2*time.Hour, dev("pc"), user("ann"))
	b.Alerts[0].Category, b.Alerts[1].Category = "InitialAccess", "LateralMovement"
	b.Alerts[0].Severity, b.Alerts[1].Severity = graph.SeverityHigh, graph.SeverityLow
	b.Alerts[1].MitreTechniques = []string{"T1021", "T1566"}
	apply(t, m, b)
	page, err := m.Incidents(context.Background(), view, graph.IncidentQuery{})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("%d incidents, error %v", len(page.Items), err)
	}
	link := graph.NewLink(x, y, graph.Link{
		Rule: "sameUserOnDevice", Reasons: []string{"sameActor", "sameAsset"}, Score: 0.887, // 0.9·(1 − 2h/144h)
		Entities: []graph.ID{b.Entities[0].ID(), b.Entities[1].ID()},
	})
	want := graph.IncidentFacts{
		DisplayName: "Multi-stage incident involving Initial access & Lateral movement on one device", Severity: graph.SeverityHigh,
		FirstActivity: graphtest.Epoch, LastActivity: graphtest.Epoch.Add(2 * time.Hour),
		MitreTechniques: []string{"T1021", "T1566"}, Links: []graph.Link{link},
	}
	if d := cmp.Diff(want, page.Items[0].IncidentFacts); d != "" {
		t.Errorf("facts (-want +got):\n%s", d)
	}
}

// pages answers a query for alerts with three of them, one a page.
type pages struct{ graph.Reader }

func (pages) Alerts(_ context.Context, _ graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	next := q.After + 1
	a := graph.Alert{ID: graph.NewID(graph.KindAlert, fmt.Sprint(next)), Created: next}
	return graph.AlertPage{Items: []graph.Alert{a}, PageInfo: graph.PageInfo{More: next < 3}}, nil
}

func (pages) Entities(context.Context, graph.View, graph.EntityQuery) ([]graph.Entity, error) {
	return nil, nil
}

func TestPagesAreReadToTheEndWhateverIsDoneWithThem(t *testing.T) {
	a, n := newArchive(newNodes(context.Background(), pages{}, view), DefaultSettings()), 0
	err := a.each(graph.AlertQuery{}, func(page []graph.Alert) error {
		if n += len(page); n > 3 {
			return fmt.Errorf("read again: %d alerts", n)
		}
		clear(page)
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("read %d alerts of 3, error %v", n, err)
	}
}
