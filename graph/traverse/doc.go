// Package traverse answers how far an attacker can get, by which ways, and what would stop him: over a tenant's graph in
// memory, or over what a graph.Reader gives, with the same answers.
package traverse
