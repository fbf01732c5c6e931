// Package model is the Go side of the GraphQL types: each answers its fields from what was read, or reads for
// all its siblings at once.
package model

import (
	"context"
	"errors"
	"sync"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/traverse"
)

// Session is what the answers of one question are read through.
type Session struct {
	Reader  graph.Reader
	View    graph.View
	Cursors Cursors
	// Grade says how critical an entity is.
	Grade graph.Criticalities
	// Ground is where questions of reach as of now are asked; the Reader where nil.
	Ground func(context.Context, graph.View) traverse.Ground
}

// siblings are rows that were read together. Whatever one of them is asked for is read for all of them at
// once and kept, so that the number of store calls does not grow with the number of rows; what is read for
// them are siblings again. It holds over all lists of one field of a query: the alerts of all incidents of a
// page are siblings.
type siblings[T any] struct {
	*Session
	rows  []T
	mu    sync.Mutex
	asked map[string]*asked
}

type asked struct {
	once   sync.Once
	answer any
	err    error
}

// errPanicked is what the siblings get of a question that panicked in another's hands.
var errPanicked = errors.New("the question failed for a sibling")

func newSiblings[T any](s *Session, rows []T) *siblings[T] {
	return &siblings[T]{Session: s, rows: rows, asked: map[string]*asked{}}
}

// together asks a question once for all siblings; the others wait for its answer. The text must tell the
// question from others, arguments included.
func together[R, T any](s *siblings[T], question string, ask func() (R, error)) (R, error) {
	s.mu.Lock()
	a, ok := s.asked[question]
	if !ok {
		a = &asked{err: errPanicked}
		s.asked[question] = a
	}
	s.mu.Unlock()
	a.once.Do(func() { a.answer, a.err = ask() })
	answer, _ := a.answer.(R)
	return answer, a.err
}
