package scenario

import (
	"errors"
	"fmt"
	"time"
)

// ErrOptions is what every error about unusable Options wraps.
var ErrOptions = errors.New("scenario: unusable options")

// Options say how large the scenario is. The same options give the same bytes on every machine.
type Options struct {
	// Seed of everything random.
	Seed uint64
	// Start is the midnight (UTC) that the window begins with; Default has a Monday in 2026.
	Start time.Time
	// Days the window lasts, at least MinDays.
	Days int
	// Devices of the company, at least MinDevices: servers (16 and one for each attack, at most a third),
	// five executive laptops, two kiosks, and workstations.
	Devices int
	// Identities of the company, at least MinIdentities: five executives, eight service accounts,
	// administrators (8 and one for each attack, at most a quarter), and users.
	Identities int
	// Attacks is how many times the multi-stage attack is played, each time with another cast. The first is
	// always complete; a later one may leave steps out. They overlap in time where there are several.
	Attacks int
	// Outbreaks is how many times commodity malware spreads from one device to another.
	Outbreaks int
	// Noise is the number of alerts that belong to nothing.
	Noise int
	// Truth makes Write add truth.csv, the labels for evaluation. It is not for import.
	Truth bool
}

// The least a scenario can be made of.
const (
	MinDays       = 7
	MinDevices    = 60
	MinIdentities = 60
)

// Default is the bundled demonstration: one attack, one outbreak, 420 unrelated alerts in 14 days; less than
// 3 MB.
func Default() Options {
	return Options{
		Seed: 1, Start: time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC), Days: 14,
		Devices: 120, Identities: 150, Attacks: 1, Outbreaks: 1, Noise: 420,
	}
}

// Scale is for evaluation: n incidents that overlap in time, three quarters of them multi-stage attacks, in a
// company and noise that grow with n. Victims are then distinct, so the labels are beyond doubt; relays,
// tools, proxies, service accounts and domain controllers are shared on purpose.
func Scale(n int) Options {
	o := Default()
	o.Outbreaks = n / 4
	o.Attacks = n - o.Outbreaks
	o.Devices += 4 * n
	o.Identities += 5 * n
	o.Noise = 20 * n
	o.Truth = true
	return o
}

// End is the first instant after the window.
func (o Options) End() time.Time { return o.Start.AddDate(0, 0, o.Days) }

func (o Options) check() error {
	switch {
	case o.Start.IsZero() || !o.Start.Equal(o.Start.UTC().Truncate(24*time.Hour)):
		return fmt.Errorf("%w: start %v is not midnight UTC", ErrOptions, o.Start)
	case o.Days < MinDays:
		return fmt.Errorf("%w: %d days, the least is %d", ErrOptions, o.Days, MinDays)
	case o.Devices < MinDevices:
		return fmt.Errorf("%w: %d devices, the least is %d", ErrOptions, o.Devices, MinDevices)
	case o.Identities < MinIdentities:
		return fmt.Errorf("%w: %d identities, the least is %d", ErrOptions, o.Identities, MinIdentities)
	case o.Attacks < 0 || o.Outbreaks < 0 || o.Noise < 0:
		return fmt.Errorf("%w: a negative count", ErrOptions)
	}
	return nil
}
