package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"time"

	"github.com/clew-security/clew/graph"
)

// A file begins with this line; what follows are blocks. The first holds the head as JSON, the others the ids that are
// loose, the detours, and the graph.
const magic = "clew topology\n"

// fileFormat is the version of the rest, and of what a topology makes of what stores tell: whoever changes either
// counts it up.
const fileFormat = 1

// head says of which graph a file is.
type head struct {
	// Format is fileFormat, Compact compact.Format.
	Format  int `json:"format"`
	Compact int `json:"compact"`
	// Edges is a digest of the table of edge kinds.
	Edges string `json:"edgeKinds"`
	// Grading is Options.Grading.
	Grading string         `json:"grading"`
	Tenant  graph.TenantID `json:"tenant"`
	// History is Options.History.
	History bool `json:"history"`
	// Revision and At are of the commit that the graph is as of.
	Revision graph.Revision `json:"revision"`
	At       time.Time      `json:"at"`
	// Confirmed is Snapshot.Confirmed.
	Confirmed time.Time `json:"confirmed"`
}

// edgeKinds is head.Edges: what is read, and kept by number, follows from the table.
var edgeKinds = func() string {
	var text []byte
	for _, r := range graph.EdgeKinds() {
		text = fmt.Appendf(text, "%d %s %d\n", uint8(r.Kind), r.Name, r.Tense)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}()

// FileIn names a tenant's file in a directory of such files.
func FileIn(dir string, tenant graph.TenantID) string {
	name := sha256.Sum256([]byte(tenant)) // which may be anything
	return filepath.Join(dir, hex.EncodeToString(name[:])+".graph")
}

// partial is where a file is written until it is whole.
func partial(name string) string { return name + ".partial" }
