package rules

import "iter"

// Stream turns a walk into an iterator whose last item is the walk's error. A walk must not yield after the
// caller has had enough, not even an error.
func Stream[T any](walk func(yield func(T, error) bool) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		enough := false
		err := walk(func(item T, err error) bool {
			enough = !yield(item, err)
			return !enough
		})
		if err != nil && !enough {
			var none T
			yield(none, err)
		}
	}
}
