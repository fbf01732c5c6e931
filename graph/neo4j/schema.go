package neo4j

import (
	"context"
	"errors"
	"fmt"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
)

// What the database holds. Every record has a unique key that begins with its tenant.
//
//	(:Entity:Device {key, facts, seen, revision, members, alone})
//	    one for each home id, labelled with its kind once it was observed; seen is when it was
//	    first and last; revision, members and alone where it is a node, that is canonical
//	(:Entity)-[:SAME_AS]->(:Entity)       a home id and the node that it belongs to, where that is another
//	(:Entity)-[:CLAIMS]->(:Entity)        a home id and another strong key that it bears
//	(:Entity)-[:BEARS {rank}]->(:WeakKey {key})
//	(:Entity)-[:LOGGED_ON {observation, firstSeen, lastSeen, endedAt, source, inferred}]->(:Entity)
//	    one for each sighting; the type is the edge kind's, observation an alert's id, or another
//	    observation's without the word before it
//	(:Entity)-[:EVIDENCE_OF]->(:Alert {key, tenant, id, created, updated, revision, incident, first, last, severity, status, source, record})
//	(:Alert)-[:IN_INCIDENT]->(:Incident {key, tenant, number, created, updated, revision, redirect, severity, status, sources, first, last, record})
//	(:Incident)-[:REDIRECTS_TO]->(:Incident)
//	(:Document {key, tenant, collection, name, revision, value})
//	(:Change {key, tenant, revision, blob}), (:BatchKey {key, tenant, name, revision})
//	(:Tenant {key, revision, clock, alerts, entities, edges, incidents, next, trimmed, loading, importer, seq, wrote, lock})
//	    seq grows by one with every write, wrote is the token of the last that did more than move the clock; lock is set to 0 by whoever takes the node's lock
//	(:Gate {key, lock})                   what a commit shuts while it is applied; see settle.go
//	(:Commit {key, seq, token, receipt})  the newest commits, to tell what became of one whose answer was lost
//	(:Schema {key: 'clew', version})
//
// Instants are microseconds since 1970, facts and record are JSON, revisions and ticks numbers.

// schemaVersion is the version that this program reads and writes: the number of the last step.
const schemaVersion = 2

// step is what leads from one version of the schema to the next. Each statement can be run again.
type step []string

// steps lead from nothing to schemaVersion, by what they lead to. They are never changed, only added to.
var steps = []step{
	{
		`CREATE CONSTRAINT clew_schema IF NOT EXISTS FOR (n:Schema) REQUIRE n.key IS UNIQUE`,
		`CREATE CONSTRAINT clew_tenant IF NOT EXISTS FOR (n:Tenant) REQUIRE n.key IS UNIQUE`,
		`CREATE CONSTRAINT clew_commit IF NOT EXISTS FOR (n:Commit) REQUIRE n.key IS UNIQUE`,
		`CREATE CONSTRAINT clew_batch_key IF NOT EXISTS FOR (n:BatchKey) REQUIRE n.key IS UNIQUE`,
		`CREATE CONSTRAINT clew_change IF NOT EXISTS FOR (n:Change) REQUIRE n.key IS UNIQUE`,
		`CREATE CONSTRAINT clew_document IF NOT EXISTS FOR (n:Document) REQUIRE n.key IS UNIQUE`,
		`CREATE CONSTRAINT clew_entity IF NOT EXISTS FOR (n:Entity) REQUIRE n.key IS UNIQUE`,
		`CREATE CONSTRAINT clew_weak_key IF NOT EXISTS FOR (n:WeakKey) REQUIRE n.key IS UNIQUE`,
		`CREATE CONSTRAINT clew_alert IF NOT EXISTS FOR (n:Alert) REQUIRE n.key IS UNIQUE`,
		`CREATE CONSTRAINT clew_incident IF NOT EXISTS FOR (n:Incident) REQUIRE n.key IS UNIQUE`,
		`CREATE INDEX clew_alert_created IF NOT EXISTS FOR (n:Alert) ON (n.tenant, n.created)`,
		`CREATE INDEX clew_alert_updated IF NOT EXISTS FOR (n:Alert) ON (n.tenant, n.updated)`,
		`CREATE INDEX clew_alert_last IF NOT EXISTS FOR (n:Alert) ON (n.tenant, n.last)`,
		`CREATE INDEX clew_incident_created IF NOT EXISTS FOR (n:Incident) ON (n.tenant, n.created)`,
		`CREATE INDEX clew_incident_updated IF NOT EXISTS FOR (n:Incident) ON (n.tenant, n.updated)`,
		`CREATE INDEX clew_change_revision IF NOT EXISTS FOR (n:Change) ON (n.tenant, n.revision)`,
		`CALL db.awaitIndexes(300)`,
	},
	{
		`CREATE CONSTRAINT clew_gate IF NOT EXISTS FOR (n:Gate) REQUIRE n.key IS UNIQUE`,
		`MATCH (t:Tenant) MERGE (g:Gate {key: t.key}) SET g.lock = 0`,
	},
}

const readVersion = `OPTIONAL MATCH (s:Schema {key: 'clew'}) RETURN s.version`

// version reads the schema's version; 0 where there is none.
func (s *Store) version(ctx context.Context) (int, error) {
	found, err := s.reads().query(ctx, readVersion, nil)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return int(number(found[0].Values[0])), nil
}

// checkSchema refuses a database with another schema.
func (s *Store) checkSchema(ctx context.Context) error {
	have, err := s.version(ctx)
	switch {
	case err != nil:
		return err
	case have == 0:
		return fmt.Errorf("%w: the database has no schema of clew yet: run clew migrate", graph.ErrVersion)
	case have < schemaVersion:
		return fmt.Errorf("%w: the database's schema is version %d, this clew needs %d: run clew migrate", graph.ErrVersion, have, schemaVersion)
	case have > schemaVersion:
		return newer(have)
	}
	return nil
}

func newer(have int) error {
	return fmt.Errorf("%w: this database was migrated by a newer clew (%d, this one knows %d): upgrade clew", graph.ErrVersion, have, schemaVersion)
}

// Migrate brings the schema of the database to the version of this program, and makes it where there is none.
// It says from which version to which; both are the same where there was nothing to do. It can be run again
// after it was interrupted, and by several processes at once. Stores of this version that are open go
// on meanwhile; those of an older one must be closed before: they would not write what the new one needs. Errors are
// those of Open, without those of an older schema.
func Migrate(ctx context.Context, o Options) (from, to int, err error) {
	s, err := connect(o)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = s.Close() }()
	if from, err = s.version(ctx); err != nil {
		return 0, 0, err
	}
	if from > schemaVersion {
		return from, from, newer(from)
	}
	for to = from; to < len(steps); to++ {
		if err := s.take(ctx, to+1, steps[to]); err != nil {
			return from, to, fmt.Errorf("migrating the schema to version %d: %w", to+1, err)
		}
	}
	return from, to, nil
}

const writeVersion = `
MERGE (s:Schema {key: 'clew'})
SET s.version = CASE WHEN coalesce(s.version, 0) < $version THEN $version ELSE s.version END`

// take runs one step and records it.
func (s *Store) take(ctx context.Context, version int, all step) error {
	for _, statement := range all {
		if err := s.write(ctx, statement, nil); err != nil {
			return err
		}
	}
	return s.write(ctx, writeVersion, map[string]any{"version": int64(version)})
}

func (s *Store) write(ctx context.Context, cypher string, params map[string]any) error {
	return s.retry(ctx, func(ctx context.Context) error {
		_, err := s.once(ctx, driver.AccessModeWrite, cypher, params)
		var refused *driver.Neo4jError
		if errors.As(err, &refused) && refused.Code == "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists" {
			return nil // another process was quicker
		}
		return err
	})
}
