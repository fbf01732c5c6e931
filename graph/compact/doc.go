// Package compact holds the graph of one tenant in few bytes and few cache lines: nodes and edges are numbers, a node's
// moves lie side by side, and what few edges have lies apart.
//
// A Graph never changes and may be read by any number of goroutines. A Builder makes the next one from it, sharing all
// that is the same: pages that change are copied, lists that only grow are grown behind what earlier graphs read. So
// making a graph visible costs what changed, and readers never wait.
package compact
