package graph_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clew-security/clew/graph"
)

func key(t testing.TB, kind graph.Kind, typ graph.KeyType, v string) graph.Key {
	t.Helper()
	k, ok := graph.NewKey(kind, typ, v)
	if !ok {
		t.Fatalf("%s %q is no key", typ, v)
	}
	return k
}

// claimSet gathers claims the way a store does.
type claimSet map[graph.ID][]graph.ID

func (c claimSet) add(keys ...graph.Key) {
	home, claimed, _ := graph.HomeAndClaims(keys)
	for _, k := range claimed {
		if !slices.Contains(c[k.ID()], home.ID()) {
			c[k.ID()] = append(c[k.ID()], home.ID())
		}
	}
}

func (c claimSet) root(t testing.TB, k graph.Key) graph.ID {
	t.Helper()
	id, err := graph.Resolve(k.ID(), func(id graph.ID) ([]graph.ID, error) { return c[id], nil })
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestASharedStrongKeyJoins(t *testing.T) {
	mde := key(t, graph.KindDevice, graph.KeyMdeDeviceID, "M1")
	aad := key(t, graph.KindDevice, graph.KeyAzureADDeviceID, "{11111111-2222-3333-4444-555555555555}")
	c := claimSet{}
	c.add(mde, aad)
	if got := c.root(t, aad); got != mde.ID() {
		t.Errorf("the directory id resolves to %s, want the device of the endpoint id", got)
	}
}

func TestAReimagedDeviceStaysApart(t *testing.T) {
	one, two := key(t, graph.KindDevice, graph.KeyMdeDeviceID, "m1"), key(t, graph.KindDevice, graph.KeyMdeDeviceID, "m2")
	aad := key(t, graph.KindDevice, graph.KeyAzureADDeviceID, "a1")
	c := claimSet{}
	c.add(one, aad)
	c.add(two, aad)
	if c.root(t, one) == c.root(t, two) {
		t.Error("two endpoint ids under one directory id became one device")
	}
	if got := c.root(t, aad); got != aad.ID() {
		t.Errorf("the contested id resolves to %s, want to itself", got)
	}
}

func TestDifferingWeakerKeysUnderAStrongerOneJoin(t *testing.T) {
	user := key(t, graph.KindIdentity, graph.KeyAzureADUserID, "u1")
	cloud := key(t, graph.KindIdentity, graph.KeySID, "S-1-12-1-1-2-3-4")
	local := key(t, graph.KindIdentity, graph.KeySID, "S-1-5-21-1-2-3-1001")
	c := claimSet{}
	c.add(user, cloud)
	c.add(user, local)
	if c.root(t, cloud) != user.ID() || c.root(t, local) != user.ID() {
		t.Error("both SIDs of one directory account must be that account")
	}
}

func TestJoinsAreTransitive(t *testing.T) {
	a := key(t, graph.KindFile, graph.KeySHA256, fmt.Sprintf("%064x", 1))
	b := key(t, graph.KindFile, graph.KeySHA1, fmt.Sprintf("%040x", 1))
	d := key(t, graph.KindFile, graph.KeyMD5, fmt.Sprintf("%032x", 1))
	c := claimSet{}
	c.add(b, d)
	c.add(a, b)
	if c.root(t, d) != a.ID() {
		t.Error("sha256 → sha1 → md5 must be one file")
	}
}

func TestAWeakKeyNeverClaims(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, kind := range allKinds() {
			for _, row := range graph.KeyTable(kind) {
				keys := []graph.Key{{Kind: kind, Type: row.Type, Value: "x"}}
				for _, other := range graph.KeyTable(kind) {
					keys = append(keys, graph.Key{Kind: kind, Type: other.Type, Value: rapid.SampledFrom([]string{"y", "z"}).Draw(t, "v")})
				}
				_, claimed, _ := graph.HomeAndClaims(keys)
				for _, k := range claimed {
					if k.Strength() != graph.Strong {
						t.Fatalf("%s is claimed", k)
					}
				}
			}
		}
	})
}

// The ids that Resolve gives are a function of the claims as a set, whatever the order they came in.
func TestResolveDoesNotDependOnOrder(t *testing.T) {
	types := []graph.KeyType{graph.KeySHA256, graph.KeySHA1, graph.KeyMD5}
	rapid.Check(t, func(t *rapid.T) {
		observations := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) []graph.Key {
			var keys []graph.Key
			for _, typ := range types {
				if v := rapid.IntRange(0, 3).Draw(t, string(typ)); v > 0 {
					keys = append(keys, graph.Key{Kind: graph.KindFile, Type: typ, Value: fmt.Sprint(v)})
				}
			}
			return keys
		}), 1, 10).Draw(t, "observations")
		roots := func(in [][]graph.Key) map[graph.ID]graph.ID {
			c, out := claimSet{}, map[graph.ID]graph.ID{}
			for _, keys := range in {
				c.add(keys...)
			}
			for _, keys := range in {
				for _, k := range keys {
					id, _ := graph.Resolve(k.ID(), func(id graph.ID) ([]graph.ID, error) { return c[id], nil })
					out[k.ID()] = id
				}
			}
			return out
		}
		one, two := roots(observations), roots(rapid.Permutation(observations).Draw(t, "order"))
		for id, r := range one {
			if two[id] != r {
				t.Fatalf("%s resolves to %s or %s", id, r, two[id])
			}
			if one[r] != r && !r.IsZero() && one[r] != (graph.ID{}) {
				t.Fatalf("%s is canonical but resolves to %s", r, one[r])
			}
		}
	})
}

func TestSameAsFollowsExactlyOneStrongerBearer(t *testing.T) {
	a, b := graph.NewID(graph.KindDevice, "a"), graph.NewID(graph.KindDevice, "b")
	self := func(b graph.Bearer) (graph.ID, error) { return b.Node, nil }
	for name, c := range map[string]struct {
		bearers []graph.Bearer
		want    graph.ID
	}{
		"nobody":                  {nil, graph.ID{}},
		"one":                     {[]graph.Bearer{{Node: a, Rank: 0}}, a},
		"one, by two keys":        {[]graph.Bearer{{Node: a, Rank: 0}, {Node: a, Rank: 1}}, a},
		"two":                     {[]graph.Bearer{{Node: a, Rank: 0}, {Node: b, Rank: 0}}, graph.ID{}},
		"an equally weak one":     {[]graph.Bearer{{Node: a, Rank: 2}}, graph.ID{}},
		"one among equally weak":  {[]graph.Bearer{{Node: a, Rank: 2}, {Node: b, Rank: 1}}, b},
		"a weaker one never does": {[]graph.Bearer{{Node: a, Rank: 3}}, graph.ID{}},
	} {
		if _, got, _ := graph.SameAs(2, c.bearers, self); got != c.want {
			t.Errorf("%s: follows %s, want %s", name, got, c.want)
		}
	}
}

func allKinds() []graph.Kind {
	var out []graph.Kind
	for k := graph.Kind(1); k < graph.KindAlert; k++ {
		if k.Known() {
			out = append(out, k)
		}
	}
	return out
}
