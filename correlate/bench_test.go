package correlate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/clew-security/clew/correlate"
	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/ingest"
)

// simulated are alerts of a company over four weeks: a few hundred people on their machines, servers that
// everybody uses, and a tool that is common.
func simulated(n int, from int) []ingest.Projection {
	random := rand.New(rand.NewPCG(uint64(from), 7))
	var out []ingest.Projection
	for i := range n {
		user := random.IntN(800)
		device := fmt.Sprintf("pc%d", user)
		if random.IntN(5) == 0 {
			device = fmt.Sprintf("server%d", random.IntN(10))
		}
		at := graphtest.Epoch.Add(time.Duration(random.IntN(28*24*3600)) * time.Second)
		a := graph.AlertContent{
			ProviderAlertID: fmt.Sprint(from + i), Product: string(graph.ServiceDefenderEndpoint), ServiceSource: graph.ServiceDefenderEndpoint,
			Title: "simulated", DetectorID: fmt.Sprint(random.IntN(60)), Category: "Execution", FirstActivity: at, LastActivity: at, SourceUpdated: at,
		}
		for typ, body := range map[string]string{
			"deviceEvidence":  fmt.Sprintf(`{"mdeDeviceId":"%s","deviceDnsName":"%s.contoso.com"}`, device, device),
			"userEvidence":    fmt.Sprintf(`{"userAccount":{"azureAdUserId":"u%d","userPrincipalName":"u%d@contoso.com"}}`, user, user),
			"processEvidence": fmt.Sprintf(`{"processId":%d,"processCreationDateTime":"%s","imageFile":{"fileName":"tool.exe","filePath":"C:\\Tools","md5":"%032x"}}`, i+from, at.Format(time.RFC3339), random.IntN(20)+1),
		} {
			a.Evidence = append(a.Evidence, graph.Evidence{Type: typ, Body: json.RawMessage(body)})
		}
		out = append(out, ingest.Project(a))
	}
	return out
}

// BenchmarkCommit is a batch of 500 alerts into a tenant of 5,000, with and without correlation.
func BenchmarkCommit(b *testing.B) {
	for name, decide := range map[string]graph.Decider{"correlated": correlate.New(correlate.DefaultSettings()), "undecided": nil} {
		b.Run(name, func(b *testing.B) {
			s, err := embedded.Open(b.TempDir(), embedded.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for at := 0; at < 5000; at += 500 {
				commit(b, s, simulated(500, at), 500)
			}
			for at := 5000; b.Loop(); at += 500 {
				batch := graph.Batch{Decide: decide}
				for _, p := range simulated(500, at) {
					batch.Alerts, batch.Entities, batch.Edges = append(batch.Alerts, p.Alert), append(batch.Entities, p.Entities...), append(batch.Edges, p.Edges...)
				}
				if _, err := s.Apply(context.Background(), graphtest.Tenant, batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
