// Package deploy_test tests what can be tested of the files here without a container engine.
package deploy_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clew-security/clew/internal/config"
)

// compose is what the tests look at in compose.yaml.
type compose struct {
	Services map[string]service
	Secrets  map[string]struct{ File string }
	Volumes  map[string]any
}

type service struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Command     []string
	NetworkMode string `yaml:"network_mode"`
	ReadOnly    bool   `yaml:"read_only"`
	Environment map[string]string
	Secrets     []string
	Ports       []string
	Volumes     []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Restart     string
	Healthcheck struct {
		Test    []string
		Disable bool
	}
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal(read(t, "compose.yaml"), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryVariableNamedHereIsKnown(t *testing.T) {
	files, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range append(files, "Dockerfile.dockerignore") {
		if info, err := os.Stat(f); err != nil || info.IsDir() || strings.HasSuffix(f, ".go") {
			continue
		}
		for _, name := range regexp.MustCompile(`CLEW_[A-Z0-9_]+`).FindAllString(string(read(t, f)), -1) {
			if seen++; !config.Known(name) {
				t.Errorf("%s: %s is no setting", f, name)
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d variables found", seen)
	}
}

// ours is the image that is built here.
const ours = "clew"

// replicas are the services that serve.
func replicas(c compose) []string {
	var out []string
	for name, s := range c.Services {
		if s.Image == ours && s.Command[0] == "serve" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// configuration is what a replica reads, with secrets of the test's.
func configuration(t *testing.T, s service) config.Config {
	t.Helper()
	dir := t.TempDir()
	for _, name := range s.Secrets {
		writeFile(t, filepath.Join(dir, name), strings.Repeat("secret", 8))
	}
	file, found := mounted(s, s.Environment["CLEW_CONFIG"])
	if !found {
		t.Fatalf("CLEW_CONFIG %s is not mounted", s.Environment["CLEW_CONFIG"])
	}
	text := strings.ReplaceAll(string(read(t, file)), "/run/secrets/", dir+"/")
	copied := filepath.Join(dir, "clew.yaml")
	writeFile(t, copied, text)
	environ := []string{imageEnv(t)}
	for name, value := range s.Environment {
		environ = append(environ, name+"="+value)
	}
	loaded, err := config.Load(config.Options{File: copied, Environ: environ})
	if err != nil || len(loaded.Warnings) > 0 {
		t.Fatalf("%v\n%v", err, loaded.Warnings)
	}
	return loaded.Config
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mounted returns what of this directory a service sees under a path.
func mounted(s service, path string) (string, bool) {
	for _, v := range s.Volumes {
		if part := strings.Split(v, ":"); len(part) > 1 && part[1] == path {
			return part[0], true
		}
	}
	return "", false
}

// imageEnv is the variable that the image sets.
func imageEnv(t *testing.T) string {
	t.Helper()
	part := regexp.MustCompile(`(?m)^ENV (\S+=\S+)$`).FindSubmatch(read(t, "Dockerfile"))
	if part == nil {
		t.Fatal("the image sets no variable")
	}
	return string(part[1])
}

func TestEachReplicaHasAValidConfigurationOfItsOwn(t *testing.T) {
	c := readCompose(t)
	taken := map[string]string{}
	for _, name := range replicas(c) {
		s := c.Services[name]
		got := configuration(t, s)
		for _, address := range []string{got.Listen, got.Metrics.Listen} {
			host, _, err := net.SplitHostPort(address)
			if err != nil || !net.ParseIP(host).IsLoopback() {
				t.Errorf("%s listens on %s, which is no loopback address", name, address)
			}
			if other := taken[address]; other != "" {
				t.Errorf("%s and %s both listen on %s", name, other, address)
			}
			taken[address] = name
		}
		if s.NetworkMode != "host" || len(s.Ports) != 0 {
			t.Errorf("%s: a loopback address is reached in the host's network only", name)
		}
		if _, kept := mounted(s, got.DataDir); !kept || !s.ReadOnly {
			t.Errorf("%s: %s must be a volume, and the root read-only", name, got.DataDir)
		}
		wantPublished(t, c, "neo4j", got.Store.Neo4j.URI)
		wantPublished(t, c, "redis", got.Redis.URL.Reveal())
	}
	if taken["127.0.0.1:8080"] != "clew-1" || taken["127.0.0.1:8081"] != "clew-2" {
		t.Errorf("%v", taken)
	}
}

// wantPublished wants a service on the address that a URL names.
func wantPublished(t *testing.T, c compose, name, url string) {
	t.Helper()
	_, address, _ := strings.Cut(url, "://")
	address, _, _ = strings.Cut(address, "/")
	_, port, _ := net.SplitHostPort(address)
	if want := address + ":" + port; !slices.Contains(c.Services[name].Ports, want) {
		t.Errorf("%s publishes %v, want %s", name, c.Services[name].Ports, want)
	}
}

func TestTheMigrationReadsTheSameStore(t *testing.T) {
	c := readCompose(t)
	if got, want := configuration(t, c.Services["migrate"]).Store, configuration(t, c.Services["clew-1"]).Store; got.Neo4j.URI != want.Neo4j.URI || got.Kind != want.Kind {
		t.Errorf("%+v, %+v", got, want)
	}
}

func TestComposeNamesNothingThatIsNotThere(t *testing.T) {
	c := readCompose(t)
	if len(replicas(c)) != 2 || c.Services["migrate"].Image != ours || c.Services["migrate"].Build.Dockerfile == "" {
		t.Errorf("replicas %v, migration %+v", replicas(c), c.Services["migrate"])
	}
	for name, s := range c.Services {
		for other, on := range s.DependsOn {
			if dep, there := c.Services[other]; !there || !comes(dep, on.Condition) {
				t.Errorf("%s waits for %s (%s), which never comes", name, other, on.Condition)
			}
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret].File != "./secrets/"+secret {
				t.Errorf("%s: secret %s has no file", name, secret)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, declared := c.Volumes[from]; !declared && !exists(from) {
				t.Errorf("%s: no volume or file %s", name, from)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s is published to everybody: %s", name, p)
			}
		}
		if d := s.Build.Dockerfile; d != "" && !exists(filepath.Join(s.Build.Context, d)) {
			t.Errorf("%s: no %s", name, d)
		}
	}
}

// comes reports whether a service can reach what others wait for.
func comes(s service, condition string) bool {
	switch condition {
	case "service_healthy":
		return len(s.Healthcheck.Test) > 0
	case "service_completed_successfully":
		return s.Restart == "no" && s.Healthcheck.Disable
	}
	return false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestTheReadmeNamesServicesAndPortsThatThereAre(t *testing.T) {
	c, text := readCompose(t), string(read(t, "README.md"))
	for _, name := range regexp.MustCompile(`clew-[0-9]+`).FindAllString(text, -1) {
		if _, there := c.Services[name]; !there {
			t.Errorf("no service %s", name)
		}
	}
	for _, name := range replicas(c) {
		if listen := c.Services[name].Environment["CLEW_LISTEN"]; !strings.Contains(text, "http://"+listen+"/readyz") {
			t.Errorf("%s is not mentioned", listen)
		}
	}
}

func TestSecretsAreMadeOnceAndFitEachOther(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "make-secrets"), read(t, "make-secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	secrets := func() map[string]string {
		if out, err := exec.Command(filepath.Join(dir, "make-secrets")).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		got := map[string]string{}
		for name := range readCompose(t).Secrets {
			got[name] = string(read(t, filepath.Join(dir, "secrets", name)))
		}
		return got
	}
	first, again := secrets(), secrets()
	for name, text := range first {
		if len(text) < 32 || again[name] != text {
			t.Errorf("%s: %d characters, the same again: %v", name, len(text), again[name] == text)
		}
	}
	if first["neo4j_auth"] != "neo4j/"+first["neo4j_password"] || first["redis_password"] == first["neo4j_password"] {
		t.Error("the passwords do not fit each other")
	}
	if info, err := os.Stat(filepath.Join(dir, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v (%v)", info.Mode(), err)
	}
}
