package correlate

import (
	"strings"
	"testing"
)

// labels gives each letter its word: "aab" puts alerts 0 and 1 into a and alert 2 into b.
func labels(s string) map[string]string {
	out := map[string]string{}
	for i, c := range strings.Split(s, "") {
		if c != "-" {
			out[string(rune('0'+i))] = c
		}
	}
	return out
}

func TestScoreByHand(t *testing.T) {
	for _, c := range []struct {
		name, truth, got string
		want             Evaluation
	}{
		{"equal partitions are perfect whatever their names", "aabb", "yyxx", Evaluation{4, 2, 1, 1, 1}},
		{"one incident for everything has every pair and little precision", "aabb", "xxxx", Evaluation{4, 1, 1.0 / 3, 1, 0}},
		{"all single: no pair is wrong, none is found", "aabb", "wxyz", Evaluation{4, 4, 1, 0, 0}},
		{"both one incident", "aaa", "xxx", Evaluation{3, 1, 1, 1, 1}},
		{"both all single", "abc", "xyz", Evaluation{3, 3, 1, 1, 1}},
		// Pairs: wanted 3+1=4, made 1+3=4, hit 1+1=2, of 10; expected 1.6; (2-1.6)/(4-1.6).
		{"one alert in the wrong place", "aaabb", "xxyyy", Evaluation{5, 2, 0.5, 0.5, 1.0 / 6}},
		{"alerts that only one side names do not count", "aa-b", "xxy-", Evaluation{2, 1, 1, 1, 1}},
		{"one alert", "a", "x", Evaluation{1, 1, 1, 1, 1}},
		{"nothing", "-", "-", Evaluation{0, 0, 1, 1, 1}},
	} {
		got := Score(labels(c.truth), labels(c.got))
		if d := got.AdjustedRand - c.want.AdjustedRand; d < 1e-12 && d > -1e-12 {
			got.AdjustedRand = c.want.AdjustedRand
		}
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}
