package resolvers

import (
	"cmp"
	"runtime"
	"time"
)

// Limits bound what one request may cost. What is over one is refused before anything is read, but for Time, Resolved
// and Text, which end the work: no list's length is known before it is read.
type Limits struct {
	// Body bounds the request's body, and the query string of a GET, in bytes.
	Body int64
	// Tokens bounds the tokens of the document.
	Tokens int
	// Depth bounds how deep fields are nested; introspection does not count, it has a limit of its own.
	Depth int
	// Fields, Aliases, Spreads and Directives bound the fields, aliased fields, fragment spreads and
	// directives that are written in the document.
	Fields, Aliases, Spreads, Directives int
	// Cost bounds the fields of the greatest answer the document can have, and what stands for the work
	// behind some of them; see cost.go.
	Cost int
	// Resolved bounds the fields and items of lists of one answer, and the rows that are read for it.
	Resolved int
	// Text bounds the text and JSON of one answer, in bytes.
	Text int64
	// Errors bounds the errors of one answer; how many more there are is said in the last.
	Errors int
	// Time bounds the work on one request; it is the deadline of the context that the store gets.
	Time time.Duration
	// Reading bounds how long the body may take to come, and Writing how long after Time the answer may take to go.
	Reading, Writing time.Duration
	// Concurrent bounds the operations that are worked on at the same time, and Waiting how long others wait for their
	// turn before they are refused.
	Concurrent int
	Waiting    time.Duration
}

// DefaultLimits are generous for people and dashboards, and let a request cost megabytes and seconds at most.
func DefaultLimits() Limits {
	return Limits{
		Body: 1 << 20, Tokens: 10_000, Depth: 15, Fields: 1_000, Aliases: 50, Spreads: 100, Directives: 100,
		Cost: 100_000, Resolved: 200_000, Text: 32 << 20, Errors: 10, Time: 10 * time.Second,
		Reading: 10 * time.Second, Writing: 30 * time.Second, Concurrent: 4 * runtime.GOMAXPROCS(0), Waiting: time.Second,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	return Limits{
		Body: cmp.Or(l.Body, d.Body), Tokens: cmp.Or(l.Tokens, d.Tokens), Depth: cmp.Or(l.Depth, d.Depth),
		Fields: cmp.Or(l.Fields, d.Fields), Aliases: cmp.Or(l.Aliases, d.Aliases), Spreads: cmp.Or(l.Spreads, d.Spreads),
		Directives: cmp.Or(l.Directives, d.Directives), Cost: cmp.Or(l.Cost, d.Cost), Errors: cmp.Or(l.Errors, d.Errors),
		Time: cmp.Or(l.Time, d.Time), Resolved: cmp.Or(l.Resolved, d.Resolved), Text: cmp.Or(l.Text, d.Text),
		Reading: cmp.Or(l.Reading, d.Reading), Writing: cmp.Or(l.Writing, d.Writing),
		Concurrent: cmp.Or(l.Concurrent, d.Concurrent), Waiting: cmp.Or(l.Waiting, d.Waiting),
	}
}
