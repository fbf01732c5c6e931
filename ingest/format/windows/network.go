package windows

import (
	"strings"

	"github.com/clew-security/clew/graph"
)

// connection is Sysmon's event 3: a process spoke to an address, or the device where the process is not known.
func (s *says) connection() error {
	other := "DestinationIp"
	if strings.EqualFold(s.text("Initiated"), "false") {
		other = "SourceIp"
	}
	to := s.address(s.text(other))
	if len(to.Keys) == 0 {
		return nil
	}
	p, ok := s.guided("ProcessId", "ProcessGuid")
	if !ok {
		s.relate(graph.EdgeConnectedTo, s.device, to, s.moment())
		return nil
	}
	pid, _ := s.pid("ProcessId")
	folder, file := splitPath(s.text("Image"))
	s.relate(graph.EdgeRan, with(p, map[string]any{"processId": pid, "fileName": file, "filePath": folder}), s.device, once)
	s.relate(graph.EdgeConnectedTo, p, to, s.moment())
	return nil
}

// maxAnswers bounds what is read of an answer: so many addresses fit into the 64 KiB that one of DNS may have.
const maxAnswers = 4096

// answer is Sysmon's event 22: a name was looked up. A name without a dot is one of the local network, not of DNS.
func (s *says) answer() error {
	name := s.text("QueryName")
	if status := s.text("QueryStatus"); !strings.Contains(name, ".") || status != "" && status != "0" {
		return nil
	}
	k := keys{kind: graph.KindDomain}
	k.add(graph.KeyDomainName, name)
	domain := s.thing(k.list)
	for _, result := range strings.SplitN(s.text("QueryResults"), ";", maxAnswers) {
		s.relate(graph.EdgeResolvesTo, domain, s.address(strings.TrimSpace(result)), s.moment())
	}
	return nil
}
