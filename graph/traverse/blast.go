package traverse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/clew-security/clew/graph"
)

// Limits and defaults of a question.
const (
	// DefaultHops is the depth of a question that names none.
	DefaultHops = 3
	// MaxHops is the greatest depth.
	MaxHops = 6
	// DefaultHubDegree: what more than this many share says nothing about any two of them.
	DefaultHubDegree = 100
	// DefaultCredentialLife is how long a logon leaves usable credentials. A Kerberos ticket lives 10 hours
	// (Windows' default "Maximum lifetime for user ticket"), a hash in memory until the logoff or restart,
	// which is taken to come within a day.
	DefaultCredentialLife = 24 * time.Hour
	// DefaultNodes and DefaultEdges are the budget of a question to a store that sets none: tens of megabytes.
	DefaultNodes = 50_000
	DefaultEdges = 250_000
	// DefaultHeldNodes and DefaultHeldEdges are the budget in memory, where there is nothing to fetch: well under a
	// second.
	DefaultHeldNodes = 10_000_000
	DefaultHeldEdges = 50_000_000
)

// Question asks what an attacker who holds the sources could reach.
type Question struct {
	// Sources the attacker holds, at least one; earlier ids resolve.
	Sources []graph.ID
	// Start is the instant since when; zero is before everything.
	Start time.Time
	// AsOf answers as of an earlier instant; zero is now.
	AsOf time.Time
	// MaxHops is 1 to MaxHops; 0 means DefaultHops.
	MaxHops int
	// TargetKinds are what counts; nil means DefaultTargetKinds.
	TargetKinds []graph.Kind
	// Least is the least criticality of what counts; unknown means any.
	Least graph.Criticality
	// EdgeKinds limits the walk; nil means all that are walked. possiblySameAs is identity and always followed.
	EdgeKinds []graph.EdgeKind
	// ThroughHubs walks through hubs as through anything else.
	ThroughHubs bool
	// HubDegree is the greatest number of neighbours by shared moves with which a node is no hub; 0 means
	// DefaultHubDegree. It is judged over all times and all kinds, whatever EdgeKinds says.
	HubDegree int
	// Timeless ignores when edges were seen and may be used: what is connected at any time.
	Timeless bool
	// EveryEdge walks every edge both ways instead of by WalkTable, so that nothing is a hub: what is connected
	// in any way, whether or not an attacker gets along there.
	EveryEdge bool
	// CredentialLife is how long credentials outlive a logon; 0 means DefaultCredentialLife.
	CredentialLife time.Duration
	// Budget bounds the work; the deadline is ctx's.
	Budget Budget
}

// Budget bounds the work of one question.
type Budget struct {
	// Nodes reached, sources included; 0 means DefaultNodes, in memory DefaultHeldNodes.
	Nodes int
	// Edges read, each counted at every node it was read for; 0 means DefaultEdges, in memory DefaultHeldEdges.
	Edges int
}

// BlastRadius finds everything that the sources lead to in at most MaxHops hops, in time (graph.Edge.Arrive)
// and by WalkTable. Score and weighted score are those of Microsoft's graph_blast_radius_fl (Kusto functions
// library). The answer is a function of graph and question, unless the deadline cut it.
//
// A met budget or a passed deadline is no error: the answer is then incomplete and says why; what it holds
// is reachable, but there may be more, sooner. The last tenth of the time to ctx's deadline is kept for
// what the targets are worth. Errors: graph.ErrInvalid, graph.ErrNotFound for a source, ctx's when it was
// cancelled, and the store's own.
func BlastRadius(ctx context.Context, on Ground, q Question) (*Answer, error) {
	a, err := ask(on, q)
	if err != nil {
		return nil, err
	}
	return a.answer(ctx, nil)
}

// asking is one question on its ground, for which several searches may be made: the source is theirs together, so they
// are made one after the other.
type asking struct {
	mu   sync.Mutex
	q    Question
	ways *ways
	src  source
}

// ask opens the ground for a question that names these entities besides its sources.
func ask(on Ground, q Question, named ...graph.ID) (*asking, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	on = on.knowing(q, named)
	q = q.normal(on.budget())
	a := &asking{q: q, ways: newWays(q)}
	var err error
	a.src, err = on.open(q, a.ways)
	return a, err
}

// search makes one search where this is cut; its memory must be released.
func (a *asking) search(ctx context.Context, cut *cuts) *search {
	s := newSearch(ctx, a.src, a.q, a.ways)
	s.cut = cut
	return s
}

// answer is the answer where this is cut.
func (a *asking) answer(ctx context.Context, cut *cuts) (*Answer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	searching, cancel := Reserve(ctx, 10)
	defer cancel()
	s := a.search(searching, cut)
	limit, err := limitOf(s.run())
	if err != nil {
		s.release()
		return nil, err
	}
	return s.answer(ctx, a, limit)
}

// Reserve ends before ctx: it keeps one of so many parts of the time that is left for what comes after.
func Reserve(ctx context.Context, parts int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-time.Until(end)/time.Duration(parts)))
}

// normal fills the question's defaults.
func (q Question) normal(usual Budget) Question {
	q.Start, q.AsOf = graph.Micro(q.Start), graph.Micro(q.AsOf)
	q.ThroughHubs = q.ThroughHubs || q.EveryEdge
	setDefault(&q.MaxHops, DefaultHops)
	setDefault(&q.HubDegree, DefaultHubDegree)
	setDefault(&q.CredentialLife, DefaultCredentialLife)
	setDefault(&q.Budget.Nodes, usual.Nodes)
	setDefault(&q.Budget.Edges, usual.Edges)
	if q.TargetKinds == nil {
		q.TargetKinds = DefaultTargetKinds()
	}
	return q
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

func (q Question) check() error {
	switch {
	case len(q.Sources) == 0:
		return fmt.Errorf("%w: blast radius without sources", graph.ErrInvalid)
	case slices.ContainsFunc(q.Sources, graph.ID.IsZero):
		return fmt.Errorf("%w: blast radius from a zero id", graph.ErrInvalid)
	case q.MaxHops < 0 || q.MaxHops > MaxHops:
		return fmt.Errorf("%w: %d hops, 1 to %d are possible", graph.ErrInvalid, q.MaxHops, MaxHops)
	case q.HubDegree < 0 || q.CredentialLife < 0 || q.Budget.Nodes < 0 || q.Budget.Edges < 0:
		return fmt.Errorf("%w: hub degree, credential life and budget must not be negative", graph.ErrInvalid)
	}
	for _, k := range q.TargetKinds {
		if !k.Entity() {
			return fmt.Errorf("%w: %s is not a kind of entity", graph.ErrInvalid, k)
		}
	}
	for _, k := range q.EdgeKinds {
		if !Walked(k) && !q.EveryEdge {
			return fmt.Errorf("%w: edges of kind %s are not walked", graph.ErrInvalid, k)
		}
	}
	return nil
}

// Limit is what kept an answer from being complete.
type Limit string

// The limits; a complete answer has none. The depth and the hubs are part of the question, not limits.
const (
	LimitNone     Limit = ""
	LimitNodes    Limit = "nodes"
	LimitEdges    Limit = "edges"
	LimitDeadline Limit = "deadline"
	// LimitSources: not all that the question starts from was read.
	LimitSources Limit = "sources"
	// LimitNoSources: there was nothing to start from; see ErrNoAssets.
	LimitNoSources Limit = "noSources"
)

// limitMet ends a search that met a limit, as an error would.
type limitMet Limit

func (l limitMet) Error() string { return "limit met: " + string(l) }

// limitOf splits how a search ended into a limit and a true error.
func limitOf(err error) (Limit, error) {
	var met limitMet
	if errors.As(err, &met) {
		return Limit(met), nil
	}
	return LimitNone, err
}
