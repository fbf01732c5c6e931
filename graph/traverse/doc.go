// Package traverse answers how far an attacker can get: pure algorithms over a small Adjacency that a
// graph.Reader or an in-memory topology satisfies.
package traverse
