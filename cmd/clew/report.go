package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
	"github.com/clew-security/clew/story"
)

// report prints what a store holds, for a person at a terminal.
type report struct {
	streams
	store graph.Store
	view  graph.View
	all   bool
}

// Bounds of what is printed without --all.
const (
	maxListed  = 12
	maxTargets = 12
)

// print tells each incident, the worst last, where the reader's eye is: those of one alert in a line each, those
// of several in full.
func (r report) print(ctx context.Context) error {
	incidents, err := r.incidents(ctx)
	if err != nil {
		return err
	}
	if !r.all {
		r.list(incidents)
	}
	for _, i := range incidents {
		if i.AlertCount > 1 || r.all {
			if err := r.incident(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// incidents returns all, the worst last.
func (r report) incidents(ctx context.Context) ([]graph.Incident, error) {
	var all []graph.Incident
	q := graph.IncidentQuery{Paging: graph.Paging{Order: graph.OldestCreated}}
	for more := true; more; {
		page, err := r.store.Incidents(ctx, r.view, q)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			all, q.After = append(all, i), i.Created
		}
		more = page.More
	}
	slices.SortFunc(all, func(a, b graph.Incident) int {
		return cmp.Or(cmp.Compare(a.Severity.Level(), b.Severity.Level()), cmp.Compare(a.AlertCount, b.AlertCount), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

func (r report) incident(ctx context.Context, i graph.Incident) error {
	fmt.Fprintf(r.out, "\n%s\n", strings.Repeat("─", terminalWidth(r.out)))
	told, err := story.Build(ctx, r.store, r.view, i.ID, story.Options{})
	if err != nil {
		return err
	}
	if err := story.Text(told, r.out, story.TextOptions{Color: useColor(r.out), Width: terminalWidth(r.out)}); err != nil {
		return err
	}
	return r.blastRadius(ctx, i)
}

func (r report) blastRadius(ctx context.Context, i graph.Incident) error {
	answer, err := traverse.IncidentBlastRadius(ctx, r.store, r.view, i.ID, traverse.Stored(r.store, r.view, graph.Criticalities{}), traverse.Question{Start: i.FirstActivity})
	if errors.Is(err, traverse.ErrNoAssets) {
		_, err = fmt.Fprintln(r.out, "\nBlast radius: none, no device, identity or mailbox is known to be affected.")
		return err
	}
	if err != nil {
		return err
	}
	defer answer.Release()
	fmt.Fprintf(r.out, "\nBlast radius within %s: %s, weighted %d%s\n\n", counted(traverse.DefaultHops, "hop"),
		counted(answer.Score, "asset"), answer.WeightedScore, completeness(answer.Completeness))
	return r.radiusTable(ctx, answer)
}

func completeness(c traverse.Completeness) string {
	if c.Complete {
		return ""
	}
	return fmt.Sprintf(" (incomplete: %s limit met after %s and %s)", c.Reason, counted(c.Nodes, "node"), counted(c.Edges, "edge"))
}

// radiusTable prints counts by hop, then the heaviest targets.
func (r report) radiusTable(ctx context.Context, a *traverse.Answer) error {
	t := tabwriter.NewWriter(r.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "  hop\treached\tby kind")
	for _, h := range a.Hops {
		var kinds []string
		for _, k := range slices.Sorted(maps.Keys(h.ByKind)) {
			kinds = append(kinds, fmt.Sprintf("%s %d", k, h.ByKind[k]))
		}
		fmt.Fprintf(t, "  %d\t%d\t%s\n", h.Hops, h.Total, strings.Join(kinds, ", "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return r.targets(ctx, a)
}

func (r report) targets(ctx context.Context, a *traverse.Answer) error {
	targets := slices.DeleteFunc(a.List(nil, a.Targets), func(t traverse.Target) bool { return !t.SameAs.IsZero() })
	slices.SortStableFunc(targets, func(x, y traverse.Target) int { return -cmp.Compare(x.Weight, y.Weight) })
	if len(targets) == 0 {
		return nil
	}
	shown := targets[:min(len(targets), maxTargets)]
	names, err := r.names(ctx, shown)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(r.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\n  target\tkind\tweight\thop\tarrival\tlast step")
	for i, x := range shown {
		last := ""
		if steps := a.Nearest(x).Steps; len(steps) > 0 {
			last = steps[len(steps)-1].Kind.String()
		}
		fmt.Fprintf(t, "  %s\t%s\t%d\t%d\t%s\t%s\n", plain(names[i]), x.ID.Kind(), x.Weight, x.Hops, x.Arrival.Format("01-02 15:04"), last)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := len(targets) - maxTargets; more > 0 {
		fmt.Fprintf(r.out, "  … and %d more\n", more)
	}
	return ctx.Err()
}

// names of targets, in order.
func (r report) names(ctx context.Context, targets []traverse.Target) ([]string, error) {
	ids := make([]graph.ID, len(targets))
	for i, t := range targets {
		ids[i] = t.ID
	}
	found, err := r.store.Entities(ctx, r.view, graph.EntityQuery{IDs: ids})
	names := make([]string, len(found))
	for i, e := range found {
		names[i] = e.DisplayName()
	}
	return names, err
}

// list names the incidents of one alert, the gravest of them.
func (r report) list(incidents []graph.Incident) {
	single := slices.DeleteFunc(slices.Clone(incidents), func(i graph.Incident) bool { return i.AlertCount != 1 })
	fmt.Fprintf(r.out, "\n%s\n", r.bold(counted(len(single), "incident")+" of one alert each"))
	if more := len(single) - maxListed; more > 0 {
		fmt.Fprintf(r.out, "  … %d of less weight ('clew demo --once --all' prints every one in full)\n", more)
		single = single[more:]
	}
	for _, i := range single {
		fmt.Fprintf(r.out, "  %-4s %-13s %s  %s\n", i.ID, i.Severity, i.FirstActivity.Format("2006-01-02 15:04"), plain(i.DisplayName))
	}
}

func (r report) bold(text string) string {
	if !useColor(r.out) {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// plain keeps text that an attacker may have chosen from moving the cursor or hiding itself.
func plain(text string) string { return story.Clean(text) }

// counted is a number with its noun: "1 asset", "2 assets".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
