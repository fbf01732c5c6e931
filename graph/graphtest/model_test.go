package graphtest_test

import (
	"testing"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
)

type modelSubject struct{ m *graphtest.Model }

func (s *modelSubject) Open(_ graphtest.TB, clock func() time.Time) graph.Store {
	if s.m == nil {
		s.m = graphtest.NewModel(clock)
	} else {
		s.m = s.m.Reopen(clock)
	}
	return s.m
}

// Crash loses nothing: all that the model holds survives a Reopen.
func (s *modelSubject) Crash() {}

func TestModel(t *testing.T) {
	graphtest.Run(t, func(graphtest.TB) graphtest.Subject { return &modelSubject{} })
}
