// Package graph is the domain of Clew: entities, edges, alerts, evidence, incidents, the batch that commits
// them, and the Store that keeps them.
//
// Everything is tenant-scoped. Names follow Microsoft Graph Security where it has one, MITRE ATT&CK for
// techniques. The package holds the rules that ids, formats and stores are built on (identity, merging,
// ticks, when an edge can be used) as pure functions, so that every store gives the same answers; it knows
// no database, no wire format and no transport.
package graph
