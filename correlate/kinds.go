package correlate

import (
	"time"

	"github.com/clew-security/clew/graph"
)

// kind is what a key is to the rules.
type kind uint8

const (
	device  kind = iota + 1
	person       // an identity, or the mailbox of one that is not known
	sender       // an outside mail sender
	message      // by networkMessageId: all copies of one mail
	link         // a URL, whatever its scheme
	file         // by hash
	address      // an attacker's IP address
	session
	application // OAuth
	process
)

// row is what a kind proves.
type row struct {
	asset   bool
	reasons []string
	// strength is the score of a link with no gap.
	strength int64
}

// rows: reasons are Microsoft Graph Security's correlationReason values. Strengths are in thousandths: a
// process or message is one event; a hash or session can be met by others; an asset is used for other
// things too; a sender may be a service.
var rows = map[kind]row{
	device:      {true, []string{"sameAsset"}, 700},
	person:      {true, []string{"sameActor"}, 700},
	sender:      {true, []string{"sameCampaign"}, 600},
	message:     {false, []string{"sameCampaign"}, 950},
	link:        {false, []string{"sharedIndicators"}, 850},
	file:        {false, []string{"similarArtifacts"}, 850},
	address:     {false, []string{"sameThreatSource", "sharedIndicators"}, 800},
	session:     {false, []string{"eventSequence", "sameActor"}, 900},
	application: {false, []string{"similarArtifacts"}, 850},
	process:     {false, []string{"eventSequence"}, 950},
}

// The names of the rules, as Link.Rule shows them.
const (
	ruleAsset    = "sharedAsset"
	ruleArtifact = "sharedArtifact"
	rulePair     = "sameUserOnDevice"
	ruleSplit    = "splitDetection"
)

const (
	strengthPair  = 900
	strengthSplit = 500
	// inferredShare, in tenths, is what is left of a score that rests on a weak key.
	inferredShare = 9
)

func (k kind) rule() string {
	if rows[k].asset {
		return ruleAsset
	}
	return ruleArtifact
}

// base is the longest gap on an ordinary key of the kind.
func (s Settings) base(k kind) time.Duration {
	if rows[k].asset {
		return s.AssetGap
	}
	return s.ArtifactGap
}

// key is one thing that ties alerts together. node is canonical, or the id of the key value itself where
// several nodes stand for one thing (copies of a message, a URL with either scheme).
type key struct {
	kind kind
	node graph.ID
}

func (k key) compare(o key) int {
	if k.kind != o.kind {
		return int(k.kind) - int(o.kind)
	}
	return k.node.Compare(o.node)
}
