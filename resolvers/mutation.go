package resolvers

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/resolvers/internal/model"
)

// HeaderRevision tells, in the answer to a change, the revision that has it.
const HeaderRevision = "Clew-Revision"

// errReadOnly: the handler was given nothing to write to.
var errReadOnly = errors.New("this replica is read-only: ask one that writes")

// mutation answers the fields of Mutation, one after the other.
type mutation struct {
	query
	writer graph.Writer
}

// SetAssetCriticality resolves Mutation.setAssetCriticality.
func (m mutation) SetAssetCriticality(ctx context.Context, input model.SetAssetCriticalityInput) (*model.SetAssetCriticalityPayload, error) {
	w, err := m.writing(ctx)
	if err != nil {
		return nil, err
	}
	return w.SetAssetCriticality(ctx, input)
}

// writing is a session that sees what the operation has written so far.
func (m mutation) writing(ctx context.Context) (model.Writing, error) {
	if m.writer == nil {
		return model.Writing{}, errReadOnly
	}
	c := changeOf(ctx)
	s := m.session(ctx)
	s.View.AtLeast = max(s.View.AtLeast, c.revision)
	return model.Writing{Session: s, Writer: m.writer, Actor: c.actor, Now: time.Now, Wrote: c.wrote}, nil
}

// change is what an operation changes: who does it, and the last revision that it wrote.
type change struct {
	actor    string
	revision graph.Revision
}

func (c *change) wrote(r graph.Revision) { c.revision = max(c.revision, r) }

// header tells what was written, if anything was: also where the answer to it failed.
func (c *change) header(h http.Header) {
	if c.revision != 0 {
		h.Set(HeaderRevision, strconv.FormatUint(uint64(c.revision), 10))
	}
}

// changeKey keys the change in an operation's context.
type changeKey struct{}

func withChange(ctx context.Context, c *change) context.Context {
	return context.WithValue(ctx, changeKey{}, c)
}

func changeOf(ctx context.Context) *change {
	if c, ok := ctx.Value(changeKey{}).(*change); ok {
		return c
	}
	return &change{}
}
