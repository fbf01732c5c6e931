package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/compact"
	"github.com/clew-security/clew/graph/topology"
)

type statsOptions struct {
	target
	tenant, output string
}

func statsCommand(s streams) *cobra.Command {
	var o statsOptions
	c := &cobra.Command{
		Use:   "stats {--data DIR | --config FILE}",
		Short: "Build a tenant's graph in memory, as a service does, and tell how large it is",
		Long: "Read a tenant's entities and edges, build its graph in memory as a service does, and tell how many nodes and\n" +
			"edges of which kinds it has, and what memory it takes. Nothing is written to the store.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runStats(c.Context(), s, o) },
	}
	o.flags(c)
	c.Flags().Lookup("data").Usage = "directory of the embedded store"
	c.Flags().StringVar(&o.tenant, "tenant", string(devTenant), "the tenant")
	c.Flags().StringVarP(&o.output, "output", "o", "text", "how to tell: text or json")
	return c
}

// stats is what is told of a tenant's graph.
type stats struct {
	Tenant   graph.TenantID `json:"tenant"`
	Revision graph.Revision `json:"revision"`
	Nodes    int            `json:"nodes"`
	// Edges are the observed ones.
	Edges  int        `json:"edges"`
	Kinds  []kindStat `json:"kinds"`
	Memory graphBytes `json:"memory"`
}

// kindStat counts the edges of a kind; possiblySameAs is not observed.
type kindStat struct {
	Kind  graph.EdgeKind `json:"kind"`
	Edges int            `json:"edges"`
}

// graphBytes is what the graph takes, in bytes.
type graphBytes struct {
	compact.Memory
	Total int `json:"total"`
	// PerEdge is zero where there is no edge.
	PerEdge float64 `json:"perEdge"`
}

func runStats(ctx context.Context, s streams, o statsOptions) (err error) {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	store, err := o.openExisting(ctx, s, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	built, err := topology.Build(ctx, store, graph.TenantID(o.tenant), topology.Options{History: true})
	if err != nil {
		return err
	}
	told := statsOf(graph.TenantID(o.tenant), built)
	if o.output == "json" {
		return encodeJSON(s.out, told)
	}
	return told.print(s.out)
}

func statsOf(tenant graph.TenantID, s *topology.Snapshot) stats {
	out := stats{Tenant: tenant, Revision: s.Revision, Kinds: kindsOf(s.Graph())}
	out.Nodes, out.Edges = s.Size()
	m := s.Graph().Memory()
	out.Memory = graphBytes{Memory: m, Total: m.Total()}
	if out.Edges > 0 {
		out.Memory.PerEdge = float64(out.Memory.Total) / float64(out.Edges)
	}
	return out
}

// kindsOf counts edges, the most first.
func kindsOf(g *compact.Graph) []kindStat {
	var count [256]int
	for n := range compact.Node(g.Numbers()) {
		for _, a := range g.Arcs(n) {
			if !a.Backward() {
				count[a.Kind()]++
			}
		}
	}
	out := []kindStat{}
	for k, n := range count {
		if n > 0 {
			out = append(out, kindStat{graph.EdgeKind(k), n})
		}
	}
	slices.SortStableFunc(out, func(a, b kindStat) int { return -cmp.Compare(a.Edges, b.Edges) })
	return out
}

func (t stats) print(w io.Writer) error {
	fmt.Fprintf(w, "tenant %s at revision %d: %s, %s\n\n", plain(string(t.Tenant)), t.Revision, counted(t.Nodes, "node"), counted(t.Edges, "observed edge"))
	for _, k := range t.Kinds {
		fmt.Fprintf(w, "%12d  %s\n", k.Edges, k.Kind)
	}
	fmt.Fprintln(w, "\n       bytes")
	m := t.Memory
	for _, part := range []struct {
		bytes int
		name  string
	}{
		{m.IDs, "ids"}, {m.Nodes, "nodes"}, {m.Arcs, "edges at their two ends"}, {m.Records, "times of edges"},
		{m.Rest, "counts, sources and alerts of edges"},
		{m.History, "how edges were at earlier instants"}, {m.Builder, "to take in changes"},
	} {
		fmt.Fprintf(w, "%12d  %s\n", part.bytes, part.name)
	}
	_, err := fmt.Fprintf(w, "%12d  in all, %.1f an edge\n", m.Total, m.PerEdge)
	return err
}
