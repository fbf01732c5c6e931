package neo4j

import (
	"github.com/clew-security/clew/graph"
)

const readChanges = `
MATCH (c:Change)
USING INDEX c:Change(tenant, revision)
WHERE c.tenant = $tenant AND c.revision > $after AND c.revision <= $upTo
WITH c
ORDER BY c.tenant, c.revision
LIMIT $limit
RETURN c.revision, c.blob
ORDER BY c.tenant, c.revision`

// changePage is the number of changes that one statement reads.
const changePage = 200

// changes yields those behind since up to where the tenant stands. Every revision has its change, so one that is
// not there was trimmed, if need be while this runs.
func (r *reader) changes(since graph.Revision, yield func(graph.Change, error) bool) error {
	if since < r.at.row.Trimmed && since < r.at.row.Revision {
		return graph.ErrTooOld
	}
	for since < r.at.row.Revision {
		found, err := r.run.query(r.ctx, readChanges, map[string]any{
			"tenant": tenantText(r.tenant), "after": int64(since), "upTo": int64(r.at.row.Revision), "limit": changePage,
		})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return graph.ErrTooOld
		}
		for _, rec := range found {
			if since++; graph.Revision(number(rec.Values[0])) != since {
				return graph.ErrTooOld
			}
			c, err := decodeChange(since, octets(rec.Values[1]))
			if err != nil || !yield(c, nil) {
				return err
			}
		}
	}
	return nil
}
