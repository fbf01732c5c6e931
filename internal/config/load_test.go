package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// in writes a configuration file and makes its directory the working one, so that errors have short names.
func in(t testing.TB, yaml string) Options {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "clew.yaml", yaml)
	return Options{File: "clew.yaml", Environ: []string{}}
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t testing.TB, o Options) Loaded {
	t.Helper()
	l, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// problemsOf loads what must not load.
func problemsOf(t testing.TB, o Options) []string {
	t.Helper()
	_, err := Load(o)
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("error %v, want Problems", err)
	}
	return strings.Split(ps.Error(), "\n")
}

func TestWithoutAnythingTheDefaultsHold(t *testing.T) {
	c := mustLoad(t, Options{Environ: []string{}}).Config
	if c.Listen != "127.0.0.1:8080" || c.Store.Kind != StoreEmbedded || c.Cache.Kind != CacheMemory || c.Metrics.Listen != "" ||
		c.Store.Embedded.CacheBytes != 256<<20 || c.Retention.Incidents != 0 || c.Retention.Interval != time.Hour {
		t.Errorf("%+v", c)
	}
	if got := c.EmbeddedDir(); got != filepath.Join("clew-data", "graph") {
		t.Errorf("embedded directory %s", got)
	}
}

func TestWhatIsSaidLaterWins(t *testing.T) {
	o := in(t, "log: {level: warn, format: json}\nlisten: 127.0.0.1:1\ncache:\n  ttl: 2m\n")
	o.Environ = []string{"CLEW_LOG_LEVEL=error", "CLEW_LISTEN=127.0.0.1:2", "CLEW_CACHE_TTL=", "OTHER_LISTEN=x"}
	o.Overrides = []Override{{"listen", "127.0.0.1:3", "--listen"}}
	l := mustLoad(t, o)
	for key, want := range map[string]string{
		"listen": "--listen", "log.level": "CLEW_LOG_LEVEL", "log.format": "clew.yaml:1", "cache.ttl": "clew.yaml:4", "cache.kind": "default",
	} {
		if got := l.Source(key); got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
	if l.Config.Listen != "127.0.0.1:3" || l.Config.Log.Format != LogJSON || l.Config.Cache.TTL != 2*time.Minute {
		t.Errorf("%+v", l.Config)
	}
}

func TestTheFileIsNamedByVariableOrOption(t *testing.T) {
	o := in(t, "listen: :1\n")
	write(t, "other.yaml", "listen: :2\n")
	o.Environ = []string{"CLEW_CONFIG=other.yaml"}
	if got := mustLoad(t, o).Config.Listen; got != ":1" {
		t.Errorf("with both: %s", got)
	}
	o.File = ""
	if got := mustLoad(t, o).Config.Listen; got != ":2" {
		t.Errorf("with the variable: %s", got)
	}
}

func TestSecretsAreReadFromFilesWhereTheLaterSourceWins(t *testing.T) {
	neo4j := "store: {kind: neo4j, neo4j: {uri: 'bolt://db:7687', passwordFile: ./secret}}\n"
	o := in(t, neo4j)
	write(t, "secret", "from file\r\n")
	write(t, "other", " 0123 ")
	for _, c := range []struct {
		name, want, source string
		environ            []string
	}{
		{"the file's setting alone", "from file", "clew.yaml:1", nil},
		{"a variable over a file's setting", "plain", "CLEW_STORE_NEO4J_PASSWORD", []string{"CLEW_STORE_NEO4J_PASSWORD=plain"}},
		{"a variable that names a file", " 0123 ", "CLEW_STORE_NEO4J_PASSWORD_FILE", []string{"CLEW_STORE_NEO4J_PASSWORD_FILE=./other"}},
	} {
		o.Environ = append([]string{"X=y"}, c.environ...)
		l := mustLoad(t, o)
		if got := l.Config.Store.Neo4j.Password.Reveal(); got != c.want || l.Source("store.neo4j.password") != c.source {
			t.Errorf("%s: %q from %s", c.name, got, l.Source("store.neo4j.password"))
		}
	}
}

func TestAPasswordKeepsItsTextWhateverYAMLWouldMakeOfIt(t *testing.T) {
	for _, text := range []string{"0123", "1e3", "yes", "2026-01-02", "0x1F", "1_000", "~x", "'null'", "12:30:45"} {
		l := mustLoad(t, in(t, "store: {kind: neo4j, neo4j: {uri: 'bolt://db:7687', password: "+text+"}}"))
		if got := l.Config.Store.Neo4j.Password.Reveal(); got != strings.Trim(text, "'") {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	mustLoad(t, Options{Environ: []string{
		"CLEW_TEST_DATA=/x", "CLEW_BENCH_SIZE=3", "CLEWS=1", "clew_listen=1", "CLEW_UNKNOWN=", "CLEW_LISTEN", "CLEW_PORT=tcp://192.0.2.1:8080",
		"CLEW_SERVICE_HOST=192.0.2.1", "CLEW_SERVICE_PORT=8080", "CLEW_SERVICE_PORT_HTTP=8080", "CLEW_API_SERVICE_HOST=192.0.2.1",
		"CLEW_PORT_8080_TCP=tcp://192.0.2.1:8080", "CLEW_PORT_8080_TCP_PROTO=tcp", "CLEW_API_PORT_53_UDP_ADDR=192.0.2.1",
	}})
	for _, f := range Fields() {
		for _, name := range []string{f.Env(), envName(fileKey(f.Key))} {
			if ignored(name, "x") {
				t.Errorf("%s is never read", name)
			}
		}
	}
}

func TestAllProblemsAreToldAtOnceInTheOrderOfTheirSources(t *testing.T) {
	o := in(t, "listen: 8080\nlog:\n  levle: info\ncache:\n  kind: disk\nretention: {incidents: 90}\nstore: {kind: neo4j}\n")
	o.Environ = []string{"CLEW_REDIS_TIMEOUT=1h", "CLEW_LOGLEVEL=debug"}
	got := problemsOf(t, o)
	want := []string{"CLEW_LOGLEVEL", "CLEW_REDIS_TIMEOUT", "clew.yaml:1", "clew.yaml:3", "clew.yaml:5", "clew.yaml:6", "clew.yaml:7: store.neo4j.uri", "clew.yaml:7: store.neo4j.password"}
	if len(got) != len(want) {
		t.Fatalf("%d problems, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]+": ") {
			t.Errorf("%d. is %s, want %s", i+1, got[i], want[i])
		}
	}
}

func TestSettingsOfWhatIsNotInUse(t *testing.T) {
	const uri = "store: {neo4j: {uri: 'neo4j://db.example.com'}}"
	forgotten := problemsOf(t, in(t, uri))
	if len(forgotten) != 1 || !strings.Contains(forgotten[0], "has no effect, as store.kind is embedded") {
		t.Errorf("where the kind was not set: %s", forgotten)
	}
	o := in(t, uri)
	o.Environ = []string{"CLEW_STORE_KIND=embedded"}
	if l := mustLoad(t, o); len(l.Warnings) != 1 || l.Warnings[0].Key != "store.neo4j.uri" {
		t.Errorf("where it was set: %v", l.Warnings)
	}
	if l := mustLoad(t, in(t, "store: {neo4j: {user: neo4j}}")); len(l.Warnings) != 0 {
		t.Errorf("a default that was written out: %v", l.Warnings)
	}
}

func TestTheServicesAddressOnItsOwnMachine(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", ":80": "http://127.0.0.1:80", "0.0.0.0:1": "http://127.0.0.1:1",
		"[::]:1": "http://[::1]:1", "[2001:db8::1]:2": "http://[2001:db8::1]:2", "localhost:3": "http://localhost:3", "localhost:0": "",
	} {
		if got, known := (Config{Listen: listen}).LocalURL(); got != want || known != (want != "") {
			t.Errorf("%s: %s %v", listen, got, known)
		}
	}
}

func TestEverySettingHasItsOwnFieldAndACanonicalDefault(t *testing.T) {
	base := mustLoad(t, Options{Environ: []string{}})
	seen := map[string]string{}
	for _, f := range Fields() {
		if got := f.at(&base.Config).text(); got != f.Default {
			t.Errorf("%s: default %q is printed as %q", f.Key, f.Default, got)
		}
		if other := seen[f.Env()]; other != "" {
			t.Errorf("%s and %s have one variable", f.Key, other)
		}
		if f.Text == "" || strings.Contains(f.Text, "|") || !strings.HasSuffix(f.Text, ".") {
			t.Errorf("%s: text %q", f.Key, f.Text)
		}
		seen[f.Env()] = f.Key
	}
	var c Config
	set := map[uintptr]string{}
	for _, f := range Fields() {
		set[target(f.at(&c))] = f.Key
	}
	leaves := addresses(reflect.ValueOf(&c).Elem())
	for i, at := range leaves {
		if set[at] == "" {
			t.Errorf("no setting sets the %d. field", i+1)
		}
	}
	if len(leaves) != len(Fields()) {
		t.Errorf("%d settings for %d fields", len(Fields()), len(leaves))
	}
}

// target is the address of what a value sets.
func target(v value) uintptr {
	if o, ok := v.(orWord); ok {
		v = o.value
	}
	return reflect.ValueOf(v).FieldByName("at").Pointer()
}

// addresses lists those of a struct's leaves; Secret and URL are leaves.
func addresses(v reflect.Value) []uintptr {
	if _, leaf := v.Interface().(interface{ Reveal() string }); leaf || v.Kind() != reflect.Struct {
		return []uintptr{v.Addr().Pointer()}
	}
	var out []uintptr
	for i := range v.NumField() {
		out = append(out, addresses(v.Field(i))...)
	}
	return out
}
