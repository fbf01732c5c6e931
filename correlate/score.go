package correlate

// Evaluation compares incidents with labelled ones, over pairs of alerts.
type Evaluation struct {
	// Alerts are those that both name; Incidents the number of incidents that hold them.
	Alerts    int `json:"alerts"`
	Incidents int `json:"incidents"`
	// PairPrecision is the share of pairs of alerts in one incident that belong together; 1 where there is no
	// such pair.
	PairPrecision float64 `json:"pairPrecision"`
	// PairRecall is the share of pairs that belong together which are in one incident; 1 where there is none.
	PairRecall float64 `json:"pairRecall"`
	// AdjustedRand is the Rand index corrected for chance: 1 for equal partitions, about 0 for a random one; 1 where
	// both are all one, or both all single, and chance leaves no other.
	AdjustedRand float64 `json:"adjustedRand"`
}

// Score compares got with truth, both from an alert to its incident. The adjusted Rand index is equation 5 of
// Hubert and Arabie, "Comparing partitions", Journal of Classification 2 (1985); precision and recall are over
// the pairs of its contingency table.
func Score(truth, got map[string]string) Evaluation {
	type cell struct{ truth, got string }
	both, rows, columns := map[cell]int{}, map[string]int{}, map[string]int{}
	n := 0
	for alert, t := range truth {
		g, ok := got[alert]
		if !ok {
			continue
		}
		both[cell{t, g}]++
		rows[t]++
		columns[g]++
		n++
	}
	hit, wanted, made := pairs(both), pairs(rows), pairs(columns)
	return Evaluation{Alerts: n, Incidents: len(columns), PairPrecision: ratio(hit, made), PairRecall: ratio(hit, wanted),
		AdjustedRand: adjustedRand(hit, wanted, made, float64(n)*float64(n-1)/2)}
}

// pairs is the sum of n choose 2.
func pairs[K comparable](sizes map[K]int) float64 {
	sum := 0.0
	for _, n := range sizes {
		sum += float64(n) * float64(n-1) / 2
	}
	return sum
}

func ratio(part, whole float64) float64 {
	if whole == 0 {
		return 1
	}
	return part / whole
}

func adjustedRand(hit, wanted, made, all float64) float64 {
	if all == 0 {
		return 1
	}
	expected, most := wanted*made/all, (wanted+made)/2
	if most == expected {
		return 1
	}
	return (hit - expected) / (most - expected)
}
