package model

import (
	"context"
	"strings"

	"github.com/clew-security/clew/graph"
)

// Node is the interface of that name.
type Node interface{ IsNode() }

// Node is whatever has the id, nil where there is none. The error wraps graph.ErrInvalid where it is no id.
func (s *Session) Node(ctx context.Context, id string) (Node, error) {
	if !strings.Contains(id, "_") {
		n, err := graph.ParseIncidentID(id)
		if err != nil {
			return nil, err
		}
		return orNil(s.Incident(ctx, n))
	}
	v, err := graph.ParseID(id)
	if err != nil {
		return nil, err
	}
	if v.Kind() == graph.KindAlert {
		return orNil(s.Alert(ctx, v))
	}
	e, err := s.Entity(ctx, v)
	if e == nil {
		return nil, err
	}
	return e, err
}

// orNil keeps a nil pointer from becoming a Node that is not nil.
func orNil[T any, P interface {
	*T
	Node
}](v P, err error) (Node, error) {
	if v == nil {
		return nil, err
	}
	return v, err
}
