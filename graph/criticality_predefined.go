package graph

import "slices"

// predefinedRules are what makes an asset critical without anybody saying so, the gravest first. Names follow the
// predefined classifications of Microsoft Security Exposure Management. A guess by name is narrow: what is
// critical is spared by containment.
var predefinedRules = []CriticalityRule{
	{Name: "Domain Controller", Criticality: CriticalityVeryHigh, Kinds: []Kind{KindDevice},
		Roles: []string{"domainController", "domain controller", "domain_controller", "lanmanNT"}},
	{Name: "Domain Controller (tag)", Criticality: CriticalityVeryHigh, Kinds: []Kind{KindDevice},
		Tags: []string{"domainController", "domain controller", "domain controllers", "domain-controller"}},
	{Name: "Domain Controller (name)", Criticality: CriticalityVeryHigh, Kinds: []Kind{KindDevice},
		Platforms: []string{"WindowsServer*", "Windows Server*"},
		Names:     []string{"dc", "dc?", "dc??", "dc-*", "*-dc", "*-dc?", "*-dc??", "*-dc-*"}},
	{Name: "Tier 0", Criticality: CriticalityVeryHigh, Tags: []string{"tier 0", "tier0", "tier-0", "t0"}},
	{Name: "Privileged directory role", Criticality: CriticalityVeryHigh, Kinds: []Kind{KindIdentity, KindServicePrincipal},
		Roles: []string{"global administrator", "company administrator", "privileged role administrator",
			"privileged authentication administrator", "domain administrator", "domainAdministrator"}},
	{Name: "Privileged group member", Criticality: CriticalityVeryHigh, Kinds: []Kind{KindIdentity},
		Groups: []string{"domain admins", `*\domain admins`, "enterprise admins", `*\enterprise admins`, "schema admins", `*\schema admins`}},
	{Name: "Privileged group", Criticality: CriticalityVeryHigh, Kinds: []Kind{KindSecurityGroup},
		// domain admins, domain controllers, schema admins, enterprise admins, built-in administrators: whatever
		// the language calls them (Microsoft, "Security identifiers in Windows")
		SIDs: []string{"S-1-5-21-*-512", "S-1-5-21-*-516", "S-1-5-21-*-518", "S-1-5-21-*-519", "S-1-5-32-544"}},
	{Name: "Ticket granting account", Criticality: CriticalityVeryHigh, Kinds: []Kind{KindIdentity},
		Names: []string{"krbtgt", `*\krbtgt`}},
	{Name: "Administrative directory role", Criticality: CriticalityHigh, Kinds: []Kind{KindIdentity, KindServicePrincipal},
		Roles: []string{"security administrator", "exchange administrator", "user administrator", "helpdesk administrator",
			"authentication administrator", "application administrator", "cloud application administrator",
			"conditional access administrator", "hybrid identity administrator", "intune administrator", "sharepoint administrator"}},
	{Name: "Executive", Criticality: CriticalityHigh, Kinds: []Kind{KindIdentity, KindMailbox},
		JobTitles: []string{"chief * officer", "ceo", "cfo", "cio", "ciso", "coo", "cto", "president", "managing director"}},
	{Name: "Executive (role)", Criticality: CriticalityHigh, Kinds: []Kind{KindIdentity, KindMailbox}, Roles: []string{"executive"}},
	{Name: "Priority account", Criticality: CriticalityHigh, Kinds: []Kind{KindIdentity, KindMailbox},
		Tags: []string{"priority account", "priorityAccount", "vip"}},
	{Name: "Sensitive", Criticality: CriticalityHigh, Kinds: []Kind{KindIdentity, KindDevice, KindSecurityGroup}, Tags: []string{"sensitive"}},
	{Name: "High value asset", Criticality: CriticalityHigh,
		Tags: []string{"critical", "critical asset", "crown jewel", "crown jewels", "crown-jewel", "high value", "high value asset", "high-value-asset", "hva"}},
}

var predefined = func() []compiledRule {
	rules, err := compileRules(predefinedRules)
	if err != nil {
		panic(err) // TestPredefinedRules would not pass
	}
	return rules
}()

// PredefinedCriticalityRules lists the predefined rules in their order. The caller must not change the patterns.
func PredefinedCriticalityRules() []CriticalityRule { return slices.Clone(predefinedRules) }
