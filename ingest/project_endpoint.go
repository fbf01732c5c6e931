package ingest

import (
	"strconv"
	"strings"
	"time"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/ingest/format"
)

func (p *projector) file(o format.Object) graph.ID {
	d, inferred := p.deviceOf(o)
	id := p.fileOn(o.Object("fileDetails"), d, inferred)
	if d == nil && len(p.messages) == 1 {
		p.edge(graph.EdgeAttached, id, p.messages[0], true)
	}
	return id
}

// fileOn notes a file by its fileDetails, and that it lies on the device.
func (p *projector) fileOn(details format.Object, d *device, inferred bool) graph.ID {
	k := keys{kind: graph.KindFile}
	k.add(graph.KeySHA256, details.Text("sha256"))
	k.add(graph.KeySHA1, details.Text("sha1"))
	k.add(graph.KeyMD5, details.Text("md5"))
	if path := fullPath(details.Text("filePath"), details.Text("fileName")); d != nil {
		k.scoped(graph.KeyDevicePath, d.home, path)
	}
	k.add(graph.KeyFileName, details.Text("fileName"))
	id := p.entity(k.list, scalars(details))
	if d != nil {
		p.edge(graph.EdgePresentOn, id, d.id, inferred)
	}
	return id
}

// fullPath joins folder and name; some products put the name into filePath too. Empty without a folder.
func fullPath(folder, name string) string {
	separator := `\`
	if strings.Contains(folder, "/") && !strings.Contains(folder, `\`) {
		separator = "/"
	}
	switch {
	case folder == "" || name == "" || strings.HasSuffix(strings.ToLower(folder), separator+strings.ToLower(name)):
		return folder
	}
	return strings.TrimSuffix(folder, separator) + separator + name
}

func (p *projector) fileHash(o format.Object) graph.ID {
	k := keys{kind: graph.KindFile}
	k.add(graph.KeyType(strings.ToLower(o.Text("algorithm"))), o.Text("value"))
	if len(k.list) > 0 && k.list[0].Strength() != graph.Strong {
		return graph.ID{} // an "algorithm" that is another of a file's keys
	}
	return p.entity(k.list, nil)
}

func processKeys(d *device, pid int64, hasPID bool, created time.Time) []graph.Key {
	if !hasPID || created.IsZero() {
		return nil
	}
	k := keys{kind: graph.KindProcess}
	id, at := strconv.FormatInt(pid, 10), created.UTC().Format("2006-01-02T15:04:05.0000000Z")
	k.onDevice(graph.KeyMdeProcess, graph.KeyAadProcess, d, id, at)
	k.scoped(graph.KeyProcessTime, id, at)
	return k.list
}

func (p *projector) process(o format.Object) graph.ID {
	d, inferred := p.deviceOf(o)
	pid, ok := o.Integer("processId")
	properties := scalars(o, "mdeDeviceId", "parentProcessId", "parentProcessCreationDateTime")
	for _, name := range []string{"fileName", "filePath"} {
		if v, ok := scalars(o.Object("imageFile"))[name]; ok {
			properties[name] = v
		}
	}
	id := p.entity(processKeys(d, pid, ok, o.Time("processCreationDateTime")), properties)
	p.edge(graph.EdgeImageOf, p.fileOn(o.Object("imageFile"), d, inferred), id, false)
	account := p.account(o.Object("userAccount"), d)
	p.edge(graph.EdgeRan, account, id, false)
	if d != nil {
		p.edge(graph.EdgeRan, id, d.id, inferred)
		p.edge(graph.EdgeLoggedOn, account, d.id, true)
	}
	p.parent(o, d, inferred, id)
	return id
}

// parent notes the parent process that the child's evidence describes.
func (p *projector) parent(o format.Object, d *device, inferred bool, child graph.ID) {
	pid, ok := o.Integer("parentProcessId")
	image := o.Object("parentProcessImageFile")
	properties := scalars(image, "fileSize", "filePublisher", "issuer", "signer", "md5", "sha1", "sha256", "sha256Ac")
	if ok {
		properties["processId"], _ = graph.EncodeJSON(pid)
	}
	id := p.entity(processKeys(d, pid, ok, o.Time("parentProcessCreationDateTime")), properties)
	p.edge(graph.EdgeImageOf, p.fileOn(image, d, inferred), id, false)
	p.edge(graph.EdgeSpawned, id, child, false)
	if d != nil {
		p.edge(graph.EdgeRan, id, d.id, inferred)
	}
}

// hives are the short names of the registry's roots.
var hives = map[string]string{"hklm": "HKEY_LOCAL_MACHINE", "hkcu": "HKEY_CURRENT_USER", "hku": "HKEY_USERS",
	"hkcr": "HKEY_CLASSES_ROOT", "hkcc": "HKEY_CURRENT_CONFIG"}

func registryPath(o format.Object) string {
	hive, key := o.Text("registryHive"), o.Text("registryKey")
	if long, ok := hives[strings.ToLower(hive)]; ok {
		hive = long
	}
	if hive == "" || key == "" {
		return key
	}
	return hive + `\` + key
}

func (p *projector) registryKey(o format.Object) graph.ID {
	return p.registry(graph.KindRegistryKey, registryPath(o), o)
}

func (p *projector) registryValue(o format.Object) graph.ID {
	path := registryPath(o)
	if name := o.Text("registryValueName"); name != "" && path != "" {
		path += `\` + name
	}
	return p.registry(graph.KindRegistryValue, path, o)
}

func (p *projector) registry(kind graph.Kind, path string, o format.Object) graph.ID {
	if path == "" {
		return graph.ID{}
	}
	d, inferred := p.deviceOf(o)
	k := keys{kind: kind}
	k.onDevice(graph.KeyMdeRegistry, graph.KeyAadRegistry, d, path)
	k.add(graph.KeyRegistryPath, path)
	id := p.entity(k.list, scalars(o, "mdeDeviceId"))
	if d != nil {
		p.edge(graph.EdgePresentOn, id, d.id, inferred)
	}
	return id
}

func (p *projector) malware(o format.Object) graph.ID {
	k := keys{kind: graph.KindMalware}
	k.add(graph.KeyName, o.Text("name"))
	for _, f := range o.Objects("files") {
		d, inferred := p.deviceOf(f)
		p.fileOn(f.Object("fileDetails"), d, inferred)
	}
	for _, proc := range o.Objects("processes") {
		p.process(proc)
	}
	return p.entity(k.list, scalars(o))
}

// span is when a session was there: its own start and end, else the alert's activity.
func (p *projector) span(o format.Object) (first, last time.Time) {
	first, last = o.Time("startUtcDateTime"), o.Time("endUtcDateTime")
	if first.IsZero() {
		first = p.alert.FirstActivity
	}
	if last.IsZero() {
		last = graph.Later(first, p.alert.LastActivity)
	}
	return first, graph.Later(first, last)
}
