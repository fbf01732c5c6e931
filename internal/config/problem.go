package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong, or looks it. It never holds a secret.
type Problem struct {
	// Source is where it stands: FILE:LINE, a variable's or a flag's name, a file, or "default".
	Source string `json:"source"`
	// Key of the setting; empty where it is not one.
	Key string `json:"key,omitempty"`
	// Value as it may be shown, quoted; empty where it may not, or there is none.
	Value string `json:"value,omitempty"`
	// What is wrong, and what to Do.
	What string `json:"problem"`
	Do   string `json:"do,omitempty"`
}

// String is the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	for _, s := range []string{p.Source, p.Key} {
		if s != "" {
			b.WriteString(s + ": ")
		}
	}
	if p.Value != "" {
		b.WriteString(p.Value + " ")
	}
	b.WriteString(p.What)
	if p.Do != "" {
		b.WriteString(": " + p.Do)
	}
	return b.String()
}

// Problems are all that is wrong with a configuration, as an error.
type Problems []Problem

// Error has one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sort orders problems by source, so that those of a file read from top to bottom.
func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		fileA, lineA := splitLine(a.Source)
		fileB, lineB := splitLine(b.Source)
		return cmp.Or(cmp.Compare(fileA, fileB), cmp.Compare(lineA, lineB))
	})
}

func splitLine(source string) (file string, line int) {
	i := strings.LastIndexByte(source, ':')
	n, err := strconv.Atoi(source[i+1:])
	if i < 0 || err != nil {
		return source, 0
	}
	return source[:i], n
}

// fault is what is wrong with a value and what to do; the zero fault means nothing is. It never quotes the value.
type fault struct{ what, do string }

func faultf(do, format string, args ...any) fault { return fault{fmt.Sprintf(format, args...), do} }

func (f fault) none() bool { return f.what == "" }
