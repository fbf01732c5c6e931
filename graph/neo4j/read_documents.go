package neo4j

import (
	"strings"
	"unicode/utf8"

	"github.com/clew-security/clew/graph"
)

// scanDocuments reads a range of keys.
const scanDocuments = `
MATCH (d:Document)
WHERE d.key >= $from AND d.key < $end
WITH d
ORDER BY d.key
LIMIT $limit
RETURN d.name, d.revision, d.value
ORDER BY d.key`

// documents implements graph.Reader's Documents. Keys are UTF-8, but prefix and After may be cut anywhere: the
// server then gives more than is wanted, and is asked again from the last it gave.
func (r *reader) documents(q graph.DocumentQuery) (out []graph.Document, err error) {
	key := func(name string) string {
		return documentKey(r.tenant, graph.DocumentKey{Collection: q.Collection, Key: whole(name)})
	}
	limit, end, after := graph.PageLimit(q.Limit), behind(key(q.Prefix)), q.After
	for from := max(key(q.Prefix), key(after)); ; {
		found, err := r.run.query(r.ctx, scanDocuments, map[string]any{"from": from, "end": end, "limit": limit + 1})
		if err != nil {
			return nil, err
		}
		for _, rec := range found {
			d := documentOf(q.Collection, rec.Values)
			if d.Key <= after || !strings.HasPrefix(d.Key, q.Prefix) {
				continue
			}
			if out, after = append(out, d), d.Key; len(out) == limit {
				return out, nil
			}
		}
		if len(found) <= limit {
			return out, nil
		}
		from = key(text(found[limit].Values[0]))
	}
}

func documentOf(collection string, v []any) graph.Document {
	k := graph.DocumentKey{Collection: collection, Key: text(v[0])}
	return graph.Document{DocumentKey: k, Revision: graph.Revision(number(v[1])), Value: octets(v[2])}
}

// whole is the text up to where it is no UTF-8.
func whole(s string) string {
	for i, c := range s {
		if c == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return s[:i]
		}
	}
	return s
}

// behind is the least key behind all that begin with the prefix, which is one of documentKey.
func behind(prefix string) string {
	last, size := utf8.DecodeLastRuneInString(prefix)
	return prefix[:len(prefix)-size] + string(last+1)
}
