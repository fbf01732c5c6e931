package scenario

import "fmt"

// The company's names. Everything stands under names and addresses reserved for documentation (RFC 2606,
// RFC 5737, RFC 3849).
const (
	mailDomain  = "example.com"
	adDomain    = "corp.example.com"
	netbiosName = "CORP"
	proxyIP     = "192.0.2.10" // the way out for everybody
	vpnIP       = "192.0.2.11" // the VPN concentrator's public address
)

func givenNames() []string {
	return []string{
		"ada", "alan", "alice", "amir", "ana", "andre", "anna", "anton", "aria", "asha", "bela", "ben", "bianca",
		"bo", "boris", "bruno", "carla", "chen", "clara", "dalia", "dana", "daniel", "david", "diego", "dora",
		"elena", "eli", "emil", "emma", "erik", "eva", "fatima", "felix", "fiona", "frank", "gita", "goran",
		"greta", "hana", "hanna", "hugo", "ida", "igor", "ines", "ivan", "jan", "jana", "javier", "jin", "joan",
		"jonas", "julia", "kai", "karin", "kenji", "kira", "lara", "lea", "leo", "lena", "lin", "luca", "lucia",
		"maja", "marco", "maria", "marta", "max", "mei", "mila", "mira", "nadia", "nils", "nina", "noah", "nora",
		"olga", "oliver", "omar", "oskar", "otto", "paula", "pavel", "petra", "priya", "rafael", "ravi", "rita",
		"rosa", "sam", "sara", "sofia", "stefan", "sven", "tara", "tom", "uma", "vera", "victor", "yara", "yuki",
		"zoe",
	}
}

// givenName is the i-th account name: a given name, numbered from the second round on.
func givenName(i int) string {
	names := givenNames()
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s%d", names[i%len(names)], i/len(names)+1)
}

func serviceAccounts() []string {
	return []string{"svc-deploy", "svc-backup", "svc-scan", "svc-sql", "svc-build", "svc-monitor", "svc-web", "svc-sync"}
}

func departments() []string {
	return []string{"Finance", "Sales", "Engineering", "Human Resources", "Legal", "Operations", "Marketing", "Support"}
}

// serverNames are the servers that have a part of their own; the others are APP-01 and so on.
func serverNames() []string {
	return []string{"DC-01", "DC-02", "FS-01", "BLD-01", "SQL-01", "SCAN-01", "BKP-01", "PRX-01", "JMP-01"}
}

// place is where an address seems to be.
type place struct{ country, name, state, city string }

func places() []place {
	return []place{
		{"NL", "Netherlands", "Noord-Holland", "Amsterdam"}, {"BR", "Brazil", "Sao Paulo", "Sao Paulo"},
		{"SG", "Singapore", "", "Singapore"}, {"RO", "Romania", "Bucuresti", "Bucharest"},
		{"ZA", "South Africa", "Gauteng", "Johannesburg"}, {"CA", "Canada", "Quebec", "Montreal"},
		{"SE", "Sweden", "Stockholms Lan", "Stockholm"}, {"TR", "Turkiye", "Istanbul", "Istanbul"},
	}
}

func home() place { return place{"DE", "Germany", "Hessen", "Frankfurt Am Main"} }

// internetIP is the i-th public address that is not the company's: documentation addresses of version 4 while
// they last, then of version 6.
func internetIP(i int) string {
	if i < 240 {
		return fmt.Sprintf("203.0.113.%d", 10+i)
	}
	return fmt.Sprintf("2001:db8:%x::%x", 0x100+i/250, 0x10+i%250)
}

// bystanderIP is the i-th public address of people with no part in an attack.
func bystanderIP(i int) string {
	if i < 240 {
		return fmt.Sprintf("198.51.100.%d", 10+i)
	}
	return fmt.Sprintf("2001:db8:f%x::%x", i/250, 0x10+i%250)
}
