package estate

import (
	"time"

	"github.com/clew-security/clew/graph"
)

// Numbers for each device, and of what all share.
const (
	imagesOf      = 100 // of the common files, those that processes run
	hubAdmins     = 12  // accounts that administer everything
	hubServices   = 40  // accounts that run jobs everywhere
	hubs          = hubAdmins + hubServices
	processSpace  = 128 // numbers for the processes of one device
	rareFileSpace = 64  // numbers for the files first seen on one device
)

// Sizes of the pools that all devices draw from.
func (o Options) software() int    { return max(20, int(0.12*float64(o.Devices))) }
func (o Options) commonFiles() int { return max(imagesOf*2, int(0.3*float64(o.Devices))) }
func (o Options) groups() int      { return max(8, o.Devices*2/25) }
func (o Options) addresses() int   { return o.Devices * 2 }

// report is all that is said with one device.
type report struct {
	Options
	dice
	device, owner node
	at            time.Time
	emit          func(from, to node, e graph.EdgeObservation)
}

func newReport(o Options, d int, emit func(from, to node, e graph.EdgeObservation)) report {
	return report{
		Options: o, dice: newDice(o.Seed, d), emit: emit,
		device: node{graph.KindDevice, d}, owner: person(d * 7 / 5),
		at: firstDay.Add(month / time.Duration(o.Devices) * time.Duration(d)),
	}
}

// person is an identity that is no hub; there are seven for five devices.
func person(i int) node { return node{graph.KindIdentity, hubs + i} }

func (r report) all() {
	r.people()
	r.directory()
	r.weaknesses()
	r.names()
	r.access()
	r.inventory()
	r.activity()
}

func (r report) edge(kind graph.EdgeKind, from, to node) { r.emit(from, to, r.seen(kind, r.at)) }

// share is the part of n things that goes with this device: from included, to excluded.
func (r report) share(n int) (from, to int) {
	return r.device.n * n / r.Devices, (r.device.n + 1) * n / r.Devices
}

// people: their groups, their mailbox, where they sign in from.
func (r report) people() {
	from, to := r.share(r.Devices * 7 / 5)
	for i := from; i < to; i++ {
		for _, g := range several(1+r.IntN(4), func() int { return r.ranked(r.groups()) }) {
			r.edge(graph.EdgeMemberOf, person(i), node{graph.KindSecurityGroup, g})
		}
		if i%7 < 4 {
			r.edge(graph.EdgeOwns, person(i), node{graph.KindMailbox, i})
		}
		for range 2 {
			r.edge(graph.EdgeSignedInFrom, person(i), node{graph.KindIPAddress, r.skewed(r.addresses())})
		}
	}
}

// directory: groups lie in groups, eight in each.
func (r report) directory() {
	from, to := r.share(r.groups())
	for g := max(from, 1); g < to; g++ {
		r.edge(graph.EdgeMemberOf, node{graph.KindSecurityGroup, g}, node{graph.KindSecurityGroup, (g - 1) / 8})
	}
}

// weaknesses: a vulnerability affects some software.
func (r report) weaknesses() {
	from, to := r.share(r.Devices * 4 / 25)
	for v := from; v < to; v++ {
		for _, s := range several(r.pareto(2), func() int { return r.ranked(r.software()) }) {
			r.edge(graph.EdgeAffects, node{graph.KindVulnerability, v}, node{graph.KindSoftware, s})
		}
	}
}

// names: a domain resolves to an address or two.
func (r report) names() {
	from, to := r.share(r.Devices * 6 / 5)
	for d := from; d < to; d++ {
		r.edge(graph.EdgeResolvesTo, node{graph.KindDomain, d}, node{graph.KindIPAddress, r.IntN(r.addresses())})
		if r.chance(50) {
			r.edge(graph.EdgeResolvesTo, node{graph.KindDomain, d}, node{graph.KindIPAddress, r.skewed(r.addresses())})
		}
	}
}

// access: who owns, administers and uses the device.
func (r report) access() {
	r.edge(graph.EdgeOwns, r.owner, r.device)
	r.edge(graph.EdgeAdminOf, node{graph.KindIdentity, r.ranked(hubAdmins)}, r.device)
	r.edge(graph.EdgeAdminOf, node{graph.KindSecurityGroup, r.ranked(r.groups())}, r.device)
	for range r.pareto(1) {
		r.edge(graph.EdgeLoggedOn, r.owner, r.device) // the same relation, seen again
	}
	if r.chance(60) {
		r.edge(graph.EdgeLoggedOn, person(r.IntN(r.Devices*7/5)), r.device)
	}
	if r.chance(30) {
		r.edge(graph.EdgeLoggedOn, r.service(), r.device)
	}
}

func (r report) service() node {
	return node{graph.KindIdentity, hubAdmins + r.ranked(hubServices)}
}

// inventory: the software and the files on the device; most are common, some are its own.
func (r report) inventory() {
	for _, s := range several(r.pareto(13), func() int { return r.ranked(r.software()) }) {
		r.edge(graph.EdgeHasSoftware, r.device, node{graph.KindSoftware, s})
	}
	for _, f := range several(r.pareto(7), func() int { return r.ranked(r.commonFiles()) }) {
		r.edge(graph.EdgePresentOn, node{graph.KindFile, f}, r.device)
	}
	for i := range r.pareto(2) {
		r.edge(graph.EdgePresentOn, r.rareFile(r.device.n, i), r.device)
	}
	if near := r.device.n - 1 - r.IntN(50); near >= 0 {
		r.edge(graph.EdgePresentOn, r.rareFile(near, 0), r.device)
	}
}

// rareFile was first seen on a device.
func (r report) rareFile(device, i int) node {
	return node{graph.KindFile, r.commonFiles() + device*rareFileSpace + i}
}

// activity: a tree of processes, what they run, as whom, and where they connect to.
func (r report) activity() {
	count := min(r.pareto(4), processSpace)
	process := func(i int) node { return node{graph.KindProcess, r.device.n*processSpace + i} }
	for i := range count {
		as := r.owner
		if r.chance(10) {
			as = r.service()
		}
		r.edge(graph.EdgeRan, process(i), r.device)
		r.edge(graph.EdgeRan, as, process(i))
		r.edge(graph.EdgeImageOf, r.image(), process(i))
		if i > 0 {
			r.edge(graph.EdgeSpawned, process(r.IntN(i)), process(i))
		}
	}
	for range r.pareto(4) {
		r.edge(graph.EdgeConnectedTo, process(r.IntN(count)), node{graph.KindIPAddress, r.skewed(r.addresses())})
	}
}

// image is one of the less common of the common files, or rarely a file of the device's own.
func (r report) image() node {
	if r.chance(15) {
		return r.rareFile(r.device.n, 0)
	}
	n := r.commonFiles() - imagesOf
	return node{graph.KindFile, imagesOf + r.ranked(n)}
}
