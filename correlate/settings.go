package correlate

import "time"

// Settings are the constants of the rules. They say what counts as close, not who is who: nothing in them
// names a thing. They were chosen on labelled incidents and simulated attacks; each has a reason of its own.
type Settings struct {
	// AssetGap is the longest pause between two alerts about one device or person: hands-on-keyboard work
	// with breaks. Longer, and a busy colleague's unrelated alerts come in.
	AssetGap time.Duration
	// ArtifactGap is the longest pause where the evidence is specific to one attacker: an intruder waits over
	// a weekend before going on.
	ArtifactGap time.Duration
	// Strangers are how many a key may have and still be ordinary: a machine has its owner and an administrator
	// now and then.
	Strangers int
	// HubGap, divided by the number of strangers, is the allowed gap on a crowded key: the busier a thing, the
	// shorter the gap in which coincidence is unlikely.
	HubGap time.Duration
	// Window is how many days before and after count for strangers: a month shows who normally uses a thing.
	Window int
	// Burst is how many days next to an alert's own do not count for strangers: a mass mail or ransomware
	// shows a thing to many within a day without making it a shared one.
	Burst int
	// SplitGap is the longest time between the two halves of one observation that a detector reports twice.
	SplitGap time.Duration
	// SplitSpan and SplitMost bound the same rule: a detector that fires more than SplitMost times within
	// SplitSpan before or after proves nothing by firing twice.
	SplitSpan time.Duration
	SplitMost int
	// AncestorAge is how long before the alert a system process may have started and still be part of what
	// happened; older ones (service hosts, shells, logon) are the parents of everything.
	AncestorAge time.Duration
	// MostParties is how many devices, identities or mailboxes (each counted by itself, as the alert names them)
	// an alert may name and still say who belongs together. One that names more of any is about a crowd: it bears no
	// device, person or sender key, is no counterpart's witness, and splitDetection does not hold for it. Without
	// this bound one alert, which whoever may send alerts can write, would join a whole company's incidents, and
	// the cost of a commit would grow with the square of the evidence.
	MostParties int
	// MostArtifacts is how many things of each other kind an alert may bear as keys: those with the smallest ids,
	// which are hashes, so that neither order nor what else is known decides. It bounds the same cost.
	MostArtifacts int
}

// DefaultSettings are the ones the figures of the evaluation hold for.
func DefaultSettings() Settings {
	return Settings{
		AssetGap: 4 * time.Hour, ArtifactGap: 72 * time.Hour,
		Strangers: 2, HubGap: time.Hour, Window: 28, Burst: 1,
		SplitGap: 5 * time.Second, SplitSpan: time.Hour, SplitMost: 10,
		AncestorAge: time.Hour,
		MostParties: 50, MostArtifacts: 100,
	}
}

// reach is how far from an instant the alerts lie that count for its strangers.
func (s Settings) reach() time.Duration { return time.Duration(s.Window+1) * 24 * time.Hour }
