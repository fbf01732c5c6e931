package model

import (
	"github.com/99designs/gqlgen/graphql"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// MarshalEntityKind writes an EntityKind; a kind that this version does not know is other.
func MarshalEntityKind(k graph.Kind) graphql.Marshaler {
	if !k.Entity() {
		k = graph.KindOther
	}
	return graphql.MarshalString(k.String())
}

// UnmarshalEntityKind reads an EntityKind.
func UnmarshalEntityKind(v any) (graph.Kind, error) { return parsed(v, graph.ParseKind) }

// MarshalEdgeKind writes an EdgeKind.
func MarshalEdgeKind(k graph.EdgeKind) graphql.Marshaler {
	if k.Tense() == 0 {
		return graphql.MarshalString(future)
	}
	return graphql.MarshalString(k.String())
}

// UnmarshalEdgeKind reads an EdgeKind.
func UnmarshalEdgeKind(v any) (graph.EdgeKind, error) { return parsed(v, graph.ParseEdgeKind) }

var directions = map[graph.Direction]string{graph.Out: "out", graph.In: "in", graph.Both: "both"}

// MarshalDirection writes a Direction.
func MarshalDirection(d graph.Direction) graphql.Marshaler { return MarshalString(directions[d]) }

// UnmarshalDirection reads a Direction.
func UnmarshalDirection(v any) (graph.Direction, error) { return parsed(v, keyIn(directions)) }

var orders = map[graph.TickOrder]string{
	graph.NewestCreated: "newestCreated", graph.OldestCreated: "oldestCreated",
	graph.NewestUpdated: "newestUpdated", graph.OldestUpdated: "oldestUpdated",
}

// MarshalListOrder writes a ListOrder.
func MarshalListOrder(o graph.TickOrder) graphql.Marshaler { return MarshalString(orders[o]) }

// UnmarshalListOrder reads a ListOrder.
func UnmarshalListOrder(v any) (graph.TickOrder, error) { return parsed(v, keyIn(orders)) }

var strengths = map[graph.Strength]string{graph.Weak: "weak", graph.Strong: "strong"}

// MarshalKeyStrength writes a KeyStrength.
func MarshalKeyStrength(s graph.Strength) graphql.Marshaler { return MarshalString(strengths[s]) }

// UnmarshalKeyStrength is needed by the generator and never called.
func UnmarshalKeyStrength(any) (graph.Strength, error) { return 0, errOutput }

// MarshalCriticality writes a Criticality.
func MarshalCriticality(c graph.Criticality) graphql.Marshaler { return MarshalString(c.String()) }

// UnmarshalCriticality reads a Criticality.
func UnmarshalCriticality(v any) (graph.Criticality, error) { return parsed(v, graph.ParseCriticality) }

// MarshalCriticalitySource writes a CriticalitySource.
func MarshalCriticalitySource(s graph.CriticalitySource) graphql.Marshaler {
	return MarshalString(string(s))
}

// UnmarshalCriticalitySource is needed by the generator and never called.
func UnmarshalCriticalitySource(any) (graph.CriticalitySource, error) { return "", errOutput }

// MarshalBlastRadiusLimit writes a BlastRadiusLimit, null for none.
func MarshalBlastRadiusLimit(l traverse.Limit) graphql.Marshaler { return MarshalString(string(l)) }

// UnmarshalBlastRadiusLimit is needed by the generator and never called.
func UnmarshalBlastRadiusLimit(any) (traverse.Limit, error) { return "", errOutput }

// keyIn finds the key of a name.
func keyIn[K comparable](names map[K]string) func(string) (K, bool) {
	return func(s string) (K, bool) {
		for k, n := range names {
			if n == s {
				return k, true
			}
		}
		var none K
		return none, false
	}
}
