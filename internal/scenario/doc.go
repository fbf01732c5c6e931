// Package scenario writes the bundled demonstration: an invented company, attacks among noise, as the bytes that
// the products would send, so that it is read like everything else.
package scenario
