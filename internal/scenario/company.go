package scenario

import (
	"fmt"
	"strings"
	"time"
)

type device struct {
	name, role, criticality string
	mdeID, aadID, ip        string
	platform, version       string
	build                   int64
	boot                    time.Time
	owner                   *identity
}

func (d *device) fqdn() string { return strings.ToLower(d.name) + "." + adDomain }
func (d *device) server() bool { return strings.HasPrefix(d.platform, "WindowsServer") }

type identity struct {
	account, display, role, criticality string
	sid, entraID                        string
	department                          string
	device                              *device
}

func (u *identity) upn() string { return u.account + "@" + mailDomain }

// mailbox reports whether the account receives mail: administrators and services do not.
func (u *identity) mailbox() bool { return u.role == "user" || u.role == "executive" }

type group struct {
	name, sid, id string
	members       []*identity
	adminOf       []*device
}

type company struct {
	tenant                                        string
	devices, servers, workstations, domainControl []*device
	laptops, kiosks, targets                      []*device
	identities, executives, admins, services      []*identity
	users                                         []*identity
	groups                                        []*group
	byName                                        map[string]*device
	byAccount                                     map[string]*identity
}

func newCompany(o Options) *company {
	d := newDice(o.Seed, "company")
	c := &company{tenant: d.guid(), byName: map[string]*device{}, byAccount: map[string]*identity{}}
	c.addDevices(d, o)
	c.addIdentities(d, o)
	c.giveDevices()
	c.addGroups(d)
	return c
}

func (c *company) addDevices(d dice, o Options) {
	servers := min(16+o.Attacks, o.Devices/3)
	for i := range o.Devices {
		v := &device{mdeID: d.hex(40), aadID: d.guid(), ip: fmt.Sprintf("10.%d.%d.%d", 20+i/50000, i/200%250, 10+i%200)}
		v.boot = o.Start.Add(-d.between(24*time.Hour, 20*24*time.Hour))
		switch {
		case i < servers:
			c.addServer(v, i)
		case i < servers+5:
			name(v, fmt.Sprintf("LT-EXEC-%02d", i-servers+1), "executiveLaptop", "high")
			c.laptops = append(c.laptops, v)
		case i < servers+7:
			name(v, fmt.Sprintf("KIOSK-%02d", i-servers-4), "kiosk", "low")
			c.kiosks = append(c.kiosks, v)
		default:
			name(v, fmt.Sprintf("WS-%04d", i-servers-6), "workstation", "low")
			c.workstations = append(c.workstations, v)
		}
		c.devices = append(c.devices, v)
		c.byName[v.name] = v
	}
}

func name(v *device, name, role, criticality string) {
	v.name, v.role, v.criticality = name, role, criticality
	v.platform, v.version, v.build = "Windows11", "24H2", 26100
}

func (c *company) addServer(v *device, i int) {
	names := serverNames()
	label := fmt.Sprintf("APP-%02d", i-len(names)+1)
	if i < len(names) {
		label = names[i]
	}
	role, criticality := serverRole(label)
	name(v, label, role, criticality)
	v.platform, v.version, v.build = "WindowsServer2022", "21H2", 20348
	c.servers = append(c.servers, v)
	switch role {
	case "domainController":
		c.domainControl = append(c.domainControl, v)
	case "fileServer", "buildServer", "databaseServer", "applicationServer":
		c.targets = append(c.targets, v)
	}
}

func serverRole(name string) (role, criticality string) {
	switch name[:3] {
	case "DC-":
		return "domainController", "veryHigh"
	case "FS-":
		return "fileServer", "high"
	case "BLD":
		return "buildServer", "high"
	case "SQL":
		return "databaseServer", "high"
	case "SCA":
		return "vulnerabilityScanner", "medium"
	case "BKP":
		return "backupServer", "high"
	case "PRX":
		return "proxy", "medium"
	case "JMP":
		return "jumpServer", "high"
	}
	return "applicationServer", "medium"
}

func (c *company) addIdentities(d dice, o Options) {
	domain := fmt.Sprintf("S-1-5-21-%d-%d-%d", d.Uint32N(1<<31), d.Uint32N(1<<31), d.Uint32N(1<<31))
	admins := min(8+o.Attacks, o.Identities/4)
	for i := range o.Identities {
		u := &identity{sid: fmt.Sprintf("%s-%d", domain, 1103+i), entraID: d.guid(), department: pick(d, departments())}
		switch n := i - 5 - len(serviceAccounts()); {
		case i < 5:
			person(u, givenName(i), "executive", "high")
			c.executives = append(c.executives, u)
		case n < 0:
			person(u, serviceAccounts()[i-5], "service", "medium")
			c.services = append(c.services, u)
		case n < admins:
			person(u, "adm-"+givenName(n+5), "administrator", "high")
			c.admins = append(c.admins, u)
		default:
			person(u, givenName(n-admins+5), "user", "low")
			c.users = append(c.users, u)
		}
		c.identities = append(c.identities, u)
		c.byAccount[u.account] = u
	}
	c.groups = append(c.groups, &group{name: "Domain Admins", sid: domain + "-512", id: d.guid()})
}

func person(u *identity, account, role, criticality string) {
	u.account, u.role, u.criticality = account, role, criticality
	u.display = strings.ToUpper(account[:1]) + account[1:]
	if role == "user" || role == "executive" {
		u.display += " (" + u.department + ")"
	}
}

// giveDevices makes every laptop and workstation somebody's, as far as there are people.
func (c *company) giveDevices() {
	give := func(devices []*device, people []*identity) {
		for i, v := range devices {
			if i < len(people) {
				v.owner, people[i].device = people[i], v
			}
		}
	}
	give(c.laptops, c.executives)
	give(c.workstations, c.users)
}

func (c *company) addGroups(d dice) {
	domain := strings.TrimSuffix(c.groups[0].sid, "-512")
	add := func(name string, members []*identity, adminOf []*device) {
		sid := fmt.Sprintf("%s-%d", domain, 90000+len(c.groups))
		c.groups = append(c.groups, &group{name, sid, d.guid(), members, adminOf})
	}
	c.groups[0].members, c.groups[0].adminOf = c.admins[:2], c.domainControl
	add("Server Operators T1", c.admins, c.servers[2:])
	c.addSupport(add)
	add("Software Deployment", []*identity{c.services[0], c.services[2]}, c.devices[2:])
	for _, dep := range departments() {
		add(dep, c.membersOf(dep), nil)
	}
	add("VPN Users", c.users[:len(c.users)/2], nil)
	add("Executive Team", c.executives, nil)
}

// addSupport gives each site's workstations to some of the administrators.
func (c *company) addSupport(add func(string, []*identity, []*device)) {
	const sites = 6
	support := c.admins[len(c.admins)/2:]
	for site := range sites {
		var members []*identity
		var devices []*device
		for i := site; i < len(support); i += sites {
			members = append(members, support[i])
		}
		for i := site; i < len(c.workstations); i += sites {
			devices = append(devices, c.workstations[i])
		}
		add(fmt.Sprintf("Workstation Support Site %d", site+1), members, devices)
	}
	add("Kiosk Support", support[:1], c.kiosks)
}

func (c *company) membersOf(department string) []*identity {
	var in []*identity
	for _, u := range c.identities {
		if u.mailbox() && u.department == department {
			in = append(in, u)
		}
	}
	return in
}

// owned are the workstations that have an owner: what a user's alert happens on.
func (c *company) owned() []*device {
	return c.workstations[:min(len(c.workstations), len(c.users))]
}
