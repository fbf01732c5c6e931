// Package rules is what every store does alike: how a commit is worked out from a batch, and what weak-only
// nodes may be the same as. A store brings its records; the protocol is here, once.
package rules
