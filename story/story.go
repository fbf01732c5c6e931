package story

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
)

// Limits of one story.
const (
	// DefaultSteps is how many steps a story has at most where Options does not say.
	DefaultSteps = 200
	// maxAlerts bounds what is read of one incident.
	maxAlerts = 5 * graph.MaxPage
	// foldWithin is how soon after the end of one alert the same thing again counts as a repeat of it.
	foldWithin = 30 * time.Minute
)

// Options of a story.
type Options struct {
	// MaxSteps bounds the steps told; 0 or less means DefaultSteps.
	MaxSteps int
}

// Story is an incident told in order.
type Story struct {
	// Incident that is told; where a redirected one was asked for, the one it points to.
	Incident graph.Incident
	// Steps by time, then the order of the ATT&CK kill chain, then the id of the first alert. Those without a
	// known time come last.
	Steps []Step
	// Entry says how the attacker came in; nil where no alert shows it.
	Entry *Entry
	// Truncated is set where later steps were left out, or the incident has more alerts than are read; then
	// Steps are the first of those that were.
	Truncated bool
}

// Step is one alert, or several repeats of the same thing within a short time.
type Step struct {
	// Number counts from 1.
	Number int
	// Time is when it began, Until when it was last seen; both zero where no source says.
	Time, Until time.Time
	// Tactic is ATT&CK's name of it, "" where neither category nor techniques tell.
	Tactic string
	// Techniques are ATT&CK ids as the sources gave them, in order, each once.
	Techniques []string
	// Actor did it to Target, as far as the evidence says; either may be nil. Verb stands between them
	// ("reached"); "" where only the title is known.
	Actor, Target *Party
	Verb          string
	// Sentence tells the step in English. What attackers could choose in it is cleaned and cut.
	Sentence string
	// Alerts that tell it, in order of time.
	Alerts []graph.ID
	// Severity is the highest of the alerts'.
	Severity graph.Severity
	// Verdict is the worst of the evidence's: malicious, suspicious, unknown or noThreatsFound.
	Verdict string
	// Status is what became of it: active, remediated, prevented, or unknown where the evidence does not say
	// it of everything malicious.
	Status string
	// Inferred is set where a name that only suggests (a host name, a UPN) was followed to the one thing that
	// bears it.
	Inferred bool
}

// Party is someone or something in a step.
type Party struct {
	ID   graph.ID
	Kind graph.Kind
	// Name is for people: cleaned, at most 120 characters.
	Name string
}

// Entry is how the attacker came in.
type Entry struct {
	// Step is its number.
	Step int
	// Why says in a sentence why that step is taken for it.
	Why string
}

// Build tells the story of an incident. graph.ErrNotFound where it is unknown; a redirected one gives the
// story of the one it points to. It is a function of what the store holds: the same alerts give the same
// text, in whatever order they came. It costs one read of incidents (one more for each redirect), one of
// each 1,000 alerts and one of entities.
func Build(ctx context.Context, r graph.Reader, v graph.View, id graph.IncidentID, o Options) (Story, error) {
	incident, err := liveIncident(ctx, r, v, id)
	if err != nil {
		return Story{}, err
	}
	alerts, more, err := readAlerts(ctx, r, v, incident.ID)
	if err != nil {
		return Story{}, err
	}
	known, err := readNodes(ctx, r, v, alerts)
	if err != nil {
		return Story{}, err
	}
	steps := finish(fold(tellAll(alerts, known)))
	if o.MaxSteps <= 0 {
		o.MaxSteps = DefaultSteps
	}
	s := Story{Incident: incident, Steps: steps, Truncated: more}
	if len(steps) > o.MaxSteps {
		s.Steps, s.Truncated = steps[:o.MaxSteps:o.MaxSteps], true
	}
	s.Entry = entry(s.Steps)
	return s, nil
}

func liveIncident(ctx context.Context, r graph.Reader, v graph.View, id graph.IncidentID) (graph.Incident, error) {
	for seen := map[graph.IncidentID]bool{}; !seen[id]; {
		seen[id] = true
		page, err := r.Incidents(ctx, v, graph.IncidentQuery{IDs: []graph.IncidentID{id}})
		if err != nil {
			return graph.Incident{}, err
		}
		if len(page.Items) == 0 {
			break
		}
		if page.Items[0].RedirectTo == 0 {
			return page.Items[0], nil
		}
		id = page.Items[0].RedirectTo
	}
	return graph.Incident{}, fmt.Errorf("%w: incident %s", graph.ErrNotFound, id)
}

func readAlerts(ctx context.Context, r graph.Reader, v graph.View, id graph.IncidentID) (alerts []graph.Alert, more bool, err error) {
	q := graph.AlertQuery{Incidents: []graph.IncidentID{id}, Paging: graph.Paging{Order: graph.OldestCreated}}
	for {
		page, err := r.Alerts(ctx, v, q)
		if err != nil {
			return nil, false, err
		}
		alerts = append(alerts, page.Items...)
		if !page.More || len(page.Items) == 0 || len(alerts) >= maxAlerts {
			return alerts, page.More, nil
		}
		q.After = alerts[len(alerts)-1].Created
	}
}

func readNodes(ctx context.Context, r graph.Reader, v graph.View, alerts []graph.Alert) (nodes, error) {
	var ids []graph.ID
	for _, a := range alerts {
		ids = append(ids, a.Entities()...)
	}
	slices.SortFunc(ids, graph.ID.Compare)
	ids = slices.Compact(ids)
	if len(ids) == 0 { // without ids the query would be a scan
		return nil, nil
	}
	entities, err := r.Entities(ctx, v, graph.EntityQuery{IDs: ids})
	if err != nil {
		return nil, err
	}
	known := make(nodes, len(ids))
	for i, e := range entities {
		known[ids[i]] = e
	}
	return known, nil
}

// draft is a step with what is needed to order and fold it.
type draft struct {
	Step
	title   string
	tactic  tactics
	badness int
	outcome outcome
}

func tellAll(alerts []graph.Alert, known nodes) []draft {
	out := make([]draft, len(alerts))
	for i, a := range alerts {
		out[i] = tellOne(a, known)
	}
	slices.SortFunc(out, compareDrafts)
	return out
}

func tellOne(a graph.Alert, known nodes) draft {
	s := newScene(a, known)
	t := s.tell()
	d := draft{title: a.Title, tactic: s.tactic, badness: -1, Step: Step{
		Tactic: s.tactic.String(), Techniques: sortedOnce(a.MitreTechniques), Actor: t.actor, Verb: t.verb, Target: t.target,
		Sentence: t.sentence, Alerts: []graph.ID{a.ID}, Severity: a.Severity, Inferred: t.inferred,
	}}
	d.Time, d.Until = span(a)
	for _, e := range s.things {
		d.badness = max(d.badness, e.badness())
		d.outcome = d.outcome.merge(outcomeOf(e.body))
	}
	return d
}

// span is the time of an alert's activity, else of its making by the source.
func span(a graph.Alert) (from, until time.Time) {
	from, until = a.FirstActivity, graph.Later(a.FirstActivity, a.LastActivity)
	if from.IsZero() {
		from = until
	}
	if from.IsZero() {
		return a.SourceCreated, a.SourceCreated
	}
	return from, until
}

func sortedOnce(s []string) []string {
	s = slices.Sorted(slices.Values(s))
	return slices.Compact(s)
}

// compareDrafts orders by time with the unknown last, then kill chain, then id.
func compareDrafts(a, b draft) int {
	if a.Time.IsZero() != b.Time.IsZero() {
		return -a.Time.Compare(b.Time)
	}
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.tactic.order(), b.tactic.order()),
		-compareBool(brings(a.Step), brings(b.Step)), a.Alerts[0].Compare(b.Alerts[0]))
}

// bringing are the techniques by which an attacker's own means come in. At one instant they stand before
// what is done with what they bring, such as a sign-in with the password that the mail asked for.
var bringing = []string{"T1566", "T1189", "T1190", "T1195", "T1091", "T1200"}

func brings(s Step) bool {
	return slices.ContainsFunc(s.Techniques, func(id string) bool {
		parent, _, _ := strings.Cut(id, ".")
		return slices.Contains(bringing, parent)
	})
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// sameness is what repeats share.
type sameness struct {
	title, sentence string
	tactic          tactics
	actor, target   graph.ID
}

func (d draft) sameness() sameness {
	k := sameness{title: d.title, sentence: d.Sentence, tactic: d.tactic}
	if d.Actor != nil {
		k.actor = d.Actor.ID
	}
	if d.Target != nil {
		k.target = d.Target.ID
	}
	return k
}

// fold joins each alert with an earlier one that says the same and ended shortly before; drafts are in order.
func fold(drafts []draft) []draft {
	var out []draft
	last := map[sameness]int{}
	for _, d := range drafts {
		k := d.sameness()
		if i, ok := last[k]; ok && out[i].Time.IsZero() == d.Time.IsZero() && d.Time.Sub(out[i].Until) <= foldWithin {
			out[i].absorb(d)
			continue
		}
		last[k] = len(out)
		out = append(out, d)
	}
	return out
}

func (d *draft) absorb(e draft) {
	d.Alerts = append(d.Alerts, e.Alerts...)
	d.Until = graph.Later(d.Until, e.Until)
	d.Techniques = sortedOnce(slices.Concat(d.Techniques, e.Techniques))
	if e.Severity.Level() > d.Severity.Level() {
		d.Severity = e.Severity
	}
	d.badness, d.outcome = max(d.badness, e.badness), d.outcome.merge(e.outcome)
	d.Inferred = d.Inferred || e.Inferred
}

// finish numbers the steps and says what follows from all alerts of each.
func finish(drafts []draft) []Step {
	out := make([]Step, len(drafts))
	for i, d := range drafts {
		d.Number, d.Status, d.Verdict = i+1, d.outcome.status(), "unknown"
		if d.badness >= 0 {
			d.Verdict = verdicts[d.badness]
		}
		d.Sentence += aside(d.Status, len(d.Alerts))
		out[i] = d.Step
	}
	return out
}

// aside keeps a sentence honest about what did not succeed or came more than once.
func aside(status string, alerts int) string {
	switch {
	case status == "prevented" && alerts > 1:
		return fmt.Sprintf(" (prevented; %d alerts)", alerts)
	case status == "prevented":
		return " (prevented)"
	case alerts > 1:
		return fmt.Sprintf(" (%d alerts)", alerts)
	}
	return ""
}

// entry is the first step of Initial Access that was not prevented. Where there is none, how the attacker
// came in is not known, and the earliest step is not taken for it.
func entry(steps []Step) *Entry {
	for _, s := range steps {
		if s.Tactic == init_.String() && s.Status != "prevented" {
			return &Entry{Step: s.Number, Why: "It is the earliest step of the tactic Initial Access that was not prevented."}
		}
	}
	return nil
}
