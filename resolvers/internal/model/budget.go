package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
)

// ErrCostly: the answer grew over what one operation may have.
var ErrCostly = errors.New("the answer is too large")

// Budget is what one operation may still read and answer; whoever goes over it stops the whole operation. A cost
// reckoned from the document cannot know how long the lists are that a source wrote. Safe for concurrent use.
type Budget struct {
	fields, rows, text atomic.Int64
	mostFields         int64
	mostText           int64
	stop               func(error)
}

// NewBudget allows so many fields and items of lists, as many rows read for them, and so many bytes of text and
// JSON. stop is called with the error, which wraps ErrCostly, of each charge that is too much.
func NewBudget(fields int, text int64, stop func(error)) *Budget {
	return &Budget{mostFields: int64(fields), mostText: text, stop: stop}
}

type budgetKey struct{}

// WithBudget carries the budget to all that works on the operation.
func WithBudget(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, budgetKey{}, b)
}

// charged takes rows that are about to be held, or ends with the cause of ctx or ErrCostly. Whoever makes many
// rows out of memory asks here, where the store's look at ctx is missing.
func charged(ctx context.Context, rows int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b, ok := ctx.Value(budgetKey{}).(*Budget); ok {
		return b.take(&b.rows, rows, b.mostFields, "rows read")
	}
	return nil
}

// ChargeFields takes fields about to be answered. Errors: the cause of ctx, ErrCostly.
func ChargeFields(ctx context.Context, n int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b, ok := ctx.Value(budgetKey{}).(*Budget); ok {
		return b.take(&b.fields, n, b.mostFields, "fields")
	}
	return nil
}

// ChargeValue takes what a field is answered with, before its items are. The error is ErrCostly.
func ChargeValue(ctx context.Context, v any) error {
	b, ok := ctx.Value(budgetKey{}).(*Budget)
	if !ok {
		return nil
	}
	switch v := v.(type) {
	case string:
		return b.take(&b.text, len(v), b.mostText, "bytes of text")
	case Word:
		return b.take(&b.text, len(v), b.mostText, "bytes of text")
	case json.RawMessage:
		return b.take(&b.text, len(v), b.mostText, "bytes of text")
	case []string, []Word:
		return errors.Join(b.take(&b.fields, reflect.ValueOf(v).Len(), b.mostFields, "fields"), b.texts(v))
	}
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice {
		return b.take(&b.fields, list.Len(), b.mostFields, "fields")
	}
	return nil
}

func (b *Budget) texts(list any) error {
	n := 0
	switch list := list.(type) {
	case []string:
		for _, s := range list {
			n += len(s)
		}
	case []Word:
		for _, s := range list {
			n += len(s)
		}
	}
	return b.take(&b.text, n, b.mostText, "bytes of text")
}

func (b *Budget) take(from *atomic.Int64, n int, most int64, what string) error {
	if from.Add(int64(n)) <= most {
		return nil
	}
	err := fmt.Errorf("%w: over %d %s; ask for smaller pages", ErrCostly, most, what)
	b.stop(err)
	return err
}
