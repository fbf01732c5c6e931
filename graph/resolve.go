package graph

import "slices"

// Identity is a function of the set of observations, computed in two steps.
//
// An observation's *home* is the id of its strongest key; what was observed is kept under that id for ever
// and never moves. The home *claims* the observation's weaker strong keys. Resolve says which node an id
// belongs to: a key claimed by exactly one node belongs to it; a key that several nodes claim (two devices
// with their own mdeDeviceId under one azureAdDeviceId: a re-imaged machine) proves nothing and stands for
// itself. Because claims only accumulate and Resolve looks at nothing else, the order of arrival cannot
// matter, and joining or parting two nodes of any size changes one pointer.

// Claims lists the ids that claim id, in any order. A claimant is always of a stronger key type, so
// following claims ends.
type Claims func(id ID) ([]ID, error)

// Resolve returns the canonical id of the node that id belongs to: id itself where nothing claims it or
// where claimants disagree. It does not write; results are only valid for the claims they were read from.
func Resolve(id ID, claims Claims) (ID, error) {
	claimants, err := claims(id)
	if err != nil {
		return ID{}, err
	}
	var root ID
	for _, c := range claimants {
		r, err := Resolve(c, claims)
		if err != nil {
			return ID{}, err
		}
		if !root.IsZero() && r != root {
			return id, nil
		}
		root = r
	}
	if root.IsZero() {
		return id, nil
	}
	return root, nil
}

// HomeAndClaims orders an observation's keys: the home (strongest; of several equal in type the smallest
// value), and the ids of the other strong keys, which the home claims. Of one strong type an observation
// can prove only one value, so further ones are left out. ok is false where no key is left.
func HomeAndClaims(keys []Key) (home Key, claimed []Key, ok bool) {
	if len(keys) == 1 {
		return keys[0], nil, true
	}
	sorted := SortKeys(keys)
	if len(sorted) == 0 {
		return Key{}, nil, false
	}
	home = sorted[0]
	last := home.Type
	for _, k := range sorted[1:] {
		if k.Strength() == Strong && home.Strength() == Strong && k.Type != last {
			claimed, last = append(claimed, k), k.Type
		}
	}
	return home, claimed, true
}

// SortKeys returns the keys strongest first, each once; strong types keep only their smallest value.
func SortKeys(keys []Key) []Key {
	s := slices.Clone(keys)
	if len(s) < 2 {
		return s
	}
	slices.SortFunc(s, CompareKeys)
	s = slices.Compact(s)
	out := s[:0]
	for _, k := range s {
		if n := len(out); n > 0 && k.Strength() == Strong && out[n-1].Type == k.Type {
			continue
		}
		out = append(out, k)
	}
	return out
}

// Bearer is a node that bears some weak key.
type Bearer struct {
	// Node is the bearer's canonical id.
	Node ID
	// Rank is the rank of the strongest key of the observation that bears the key.
	Rank int
}

// SameAs picks, among the bearers of a weak-only node's weak keys, those it may be the same thing as: the
// ones with a stronger home. sole is set where they all lead to one node: correlation, story and traversal
// then follow it as the same thing, marked inferred. follow maps a bearer to what it is itself the same as
// (itself for a node with a strong key); it is called only for stronger bearers, so the recursion ends.
func SameAs(homeRank int, bearers []Bearer, follow func(Bearer) (ID, error)) (candidates []ID, sole ID, err error) {
	ends := map[ID]bool{}
	for _, b := range bearers {
		if b.Rank >= homeRank {
			continue
		}
		end, err := follow(b)
		if err != nil {
			return nil, ID{}, err
		}
		candidates = append(candidates, b.Node)
		ends[end] = true
	}
	slices.SortFunc(candidates, ID.Compare)
	candidates = slices.Compact(candidates)
	if len(ends) == 1 {
		for end := range ends {
			sole = end
		}
	}
	return candidates, sole, nil
}
