package config

import (
	"slices"
	"strings"
)

// didYouMean is the end of a sentence that suggests a name; empty where there is none.
func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + name + "?"
}

// nearest returns the known name that a wrong one most likely meant, empty where none is near: one that has the same
// last part, or that takes few changes. Of equals it takes the first.
func nearest(wrong string, known []string) string {
	best, least := "", 1+len(wrong)/3
	for _, k := range known {
		if d := distance(fold(wrong), fold(k)); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return best
	}
	for _, k := range known {
		if samePart(wrong, k) {
			return k
		}
	}
	return ""
}

func fold(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }

// samePart reports whether known ends as wrong does, in whole words: neo4j.uri and store.neo4j.uri.
func samePart(wrong, known string) bool {
	wrong, known = strings.ToLower(wrong), strings.ToLower(known)
	tail := strings.TrimPrefix(wrong, strings.ToLower(Prefix))
	return strings.HasSuffix(known, "."+tail) || strings.HasSuffix(known, "_"+tail)
}

// maxName bounds names that are compared; the work is the product of two lengths.
const maxName = 100

// distance is Levenshtein's: how many letters must be changed, added or left away.
func distance(a, b string) int {
	if len(a) > maxName || len(b) > maxName {
		return maxName
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = slices.Min([]int{cost, row[j] + 1, row[j+1] + 1})
		}
	}
	return row[len(b)]
}
