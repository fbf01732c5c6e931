package windows

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

// sysmonProcess is event 1: a process was created.
func (s *says) sysmonProcess() error {
	created, err := format.Instant(s.fields["UtcTime"])
	if err != nil {
		return format.Invalid("UtcTime: %s", format.Reword(err))
	}
	if created.IsZero() {
		created = s.at
	}
	started := started(s.text("ProcessGuid"))
	if started.IsZero() {
		started = created
	}
	pid, ok := s.pid("ProcessId")
	if !ok {
		return format.Invalid("ProcessId is no process's id")
	}
	p := s.created(pid, started, created, "Image", s.user())
	s.image(p, s.text("Image"))
	s.parent(p)
	return nil
}

// securityProcess is event 4688. It tells the parent's id, but not when it was created, so the parent is not known.
func (s *says) securityProcess() error {
	pid, ok := s.pid("NewProcessId")
	if !ok {
		return format.Invalid("NewProcessId is no process's id")
	}
	as := s.account("Target")
	if as.name == "" {
		as = s.account("Subject")
	}
	s.created(pid, s.at, s.at, "NewProcessName", as)
	return nil
}

// created notes a process that was created, where and as whom it ran.
func (s *says) created(pid int64, started, created time.Time, image string, as account) graph.EntityObservation {
	p := s.process(pid, started)
	folder, file := splitPath(s.text(image))
	user := as.name
	if as.domain != "" && user != "" {
		user = as.domain + `\` + user
	}
	s.relate(graph.EdgeRan, with(p, map[string]any{
		"processId": pid, "processCommandLine": s.text("CommandLine"), "fileName": file, "filePath": folder,
		"processCreationDateTime": format.DateTime(created), "accountName": user,
	}), s.device, once)
	who := s.thing(as.keys())
	s.relate(graph.EdgeRan, who, p, once)
	if e := s.relate(graph.EdgeLoggedOn, who, s.device, s.sessionOr(as)); e != nil {
		e.Inferred = true
	}
	return p
}

// parent notes the process that created another. What it is said to be has no date: its own creation tells better.
func (s *says) parent(child graph.EntityObservation) {
	p, ok := s.guided("ParentProcessId", "ParentProcessGuid")
	if !ok {
		return
	}
	pid, _ := s.pid("ParentProcessId")
	folder, file := splitPath(s.text("ParentImage"))
	told := with(p, map[string]any{"processId": pid, "processCommandLine": s.text("ParentCommandLine"),
		"fileName": file, "filePath": folder})
	told.ObservedAt = time.Time{}
	s.relate(graph.EdgeSpawned, told, child, once)
	s.relate(graph.EdgeRan, p, s.device, once)
}

// image notes the file that a process runs.
func (s *says) image(p graph.EntityObservation, path string) {
	if f, ok := s.hashed(path); ok {
		s.relate(graph.EdgeImageOf, f, p, once)
		s.relate(graph.EdgePresentOn, s.thing(f.Keys), s.device, strings.ToLower(path))
	}
}

// process names a process by device, id and the second in which it started: only a GUID tells when a parent did, and
// that has seconds. A process of two sources is one where both have it start in the same second.
func (s *says) process(pid int64, started time.Time) graph.EntityObservation {
	k := keys{kind: graph.KindProcess}
	k.add(graph.KeyProcessTime, graph.Scoped(strconv.FormatInt(pid, 10), started.UTC().Format("2006-01-02T15:04:05"), s.host))
	return s.thing(k.list)
}

// guided is the process that two fields of Sysmon name.
func (s *says) guided(pidField, guidField string) (graph.EntityObservation, bool) {
	pid, ok := s.pid(pidField)
	at := started(s.text(guidField))
	if !ok || at.IsZero() {
		return graph.EntityObservation{}, false
	}
	return s.process(pid, at), true
}

// pid is a field's process id. Zero is the idle process, which is none.
func (s *says) pid(name string) (int64, bool) {
	n, ok := s.fields.Integer(name)
	return n, ok && n > 0 && n < 1<<32
}

var guid = regexp.MustCompile(`^\{?[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4})-([0-9A-Fa-f]{4})-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\}?$`)

// started reads from one of Sysmon's GUIDs of processes when the process started: behind the machine's part stand
// the low and the high half of the seconds since 1970. Zero for a GUID of zeros, which says that it is not known.
func started(text string) time.Time {
	m := guid.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}
	}
	n, err := strconv.ParseInt(m[2]+m[1], 16, 64)
	if err != nil || n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// splitPath cuts a path of Windows or Linux before the file's name.
func splitPath(path string) (folder, name string) {
	i := strings.LastIndexAny(path, `\/`)
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
