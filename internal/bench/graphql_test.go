package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/resolvers"
)

// reachQuery asks for what a reachAnswer has.
const reachQuery = `query($from: [ID!], $hops: Int, $kinds: [EntityKind!]) {
	blastRadius(from: $from, maxHops: $hops, everyEdge: true, timeless: true, targetKinds: $kinds) {
		hops {hop counts {kind count}} completeness {complete}
		targets(first: 100) {nodes {id hop previous}}
	}
}`

// overHTTP is the product's engine asked in GraphQL over HTTP. What is asked for needs no store.
type overHTTP struct {
	url    string
	client *http.Client
}

func newOverHTTP(t testing.TB, held *compact.Graph) overHTTP {
	server := httptest.NewServer(resolvers.Handler(resolvers.Config{
		Store:  graphtest.NewModel(graphtest.NewClock().Now),
		View:   func(*http.Request) graph.View { return graph.View{Tenant: measuredTenant} },
		Ground: func(context.Context, graph.View) traverse.Ground { return traverse.Held(held) },
	}))
	t.Cleanup(server.Close)
	return overHTTP{server.URL, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: manyClients}}}
}

func (overHTTP) name() string    { return "clew, GraphQL over HTTP" }
func (overHTTP) witnesses() bool { return true }

func (o overHTTP) reach(ctx context.Context, seed graph.ID, hops int) (reachAnswer, error) {
	body, err := json.Marshal(map[string]any{"query": reachQuery, "variables": map[string]any{
		"from": []graph.ID{seed}, "hops": hops, "kinds": entityKinds,
	}})
	if err != nil {
		return reachAnswer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return reachAnswer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := o.client.Do(r)
	if err != nil {
		return reachAnswer{}, err
	}
	defer resp.Body.Close()
	var got struct {
		Errors json.RawMessage
		Data   struct {
			BlastRadius struct {
				Hops []struct {
					Hop    int
					Counts []struct {
						Kind  graph.Kind
						Count int
					}
				}
				Completeness struct{ Complete bool }
				Targets      struct {
					Nodes []struct {
						ID, Previous graph.ID
						Hop          int
					}
				}
			}
		}
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if err != nil {
		return reachAnswer{}, err
	}
	b := got.Data.BlastRadius
	if got.Errors != nil || !b.Completeness.Complete {
		return reachAnswer{}, fmt.Errorf("not all was answered: %s", got.Errors)
	}
	a := reachAnswer{counts: map[graph.Kind]int{}}
	for _, h := range b.Hops[1:] {
		for _, c := range h.Counts {
			a.counts[c.Kind] += c.Count
		}
	}
	for _, n := range b.Targets.Nodes {
		a.first = append(a.first, reachedNode{id: n.ID, hops: n.Hop, prev: n.Previous})
	}
	return a, nil
}
