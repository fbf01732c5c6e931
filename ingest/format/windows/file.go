package windows

import (
	"strings"

	"github.com/clew-security/clew/graph"
)

// file are Sysmon's events 11, 15, 23 and 26: a file was written or deleted. Where its hash is told it was there. That it
// was deleted ends nothing: the same content may lie elsewhere on the device.
func (s *says) file() error {
	path := s.text("TargetFilename")
	if f, ok := s.hashed(path); ok {
		s.relate(graph.EdgePresentOn, f, s.device, strings.ToLower(path))
	}
	return nil
}

// hashed is the file of an event that tells its hashes; ok is false where there are none, and for the empty file, which is
// the same everywhere.
func (s *says) hashed(path string) (f graph.EntityObservation, ok bool) {
	k := keys{kind: graph.KindFile}
	for _, pair := range strings.Split(s.hashes(), ",") {
		name, value, _ := strings.Cut(pair, "=")
		value = strings.ToLower(strings.TrimSpace(value))
		if typ := hashTypes[strings.ToUpper(strings.TrimSpace(name))]; typ != "" && !emptyFile[value] {
			k.add(typ, value)
		}
	}
	if len(k.list) == 0 {
		return f, false
	}
	folder, name := splitPath(path)
	if name != "" && folder != "" {
		k.add(graph.KeyDevicePath, graph.Scoped(s.host, path))
	}
	k.add(graph.KeyFileName, name)
	return with(s.thing(k.list), map[string]any{"fileName": name, "filePath": folder}), true
}

// hashes: event 15 names the field otherwise.
func (s *says) hashes() string {
	if h := s.text("Hashes"); h != "" {
		return h
	}
	return s.text("Hash")
}

var hashTypes = map[string]graph.KeyType{"SHA256": graph.KeySHA256, "SHA1": graph.KeySHA1, "MD5": graph.KeyMD5}

// emptyFile are the hashes of nothing.
var emptyFile = map[string]bool{
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": true,
	"da39a3ee5e6b4b0d3255bfef95601890afd80709":                         true,
	"d41d8cd98f00b204e9800998ecf8427e":                                 true,
}
