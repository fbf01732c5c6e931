package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clew-security/clew/client"
)

// binary is the real program, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "clew-e2e-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "clew")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// result is what one run of the program left.
type result struct {
	out, err string
	code     int
}

func clew(t *testing.T, dir string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, binary, args...)
	var out, errs bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = dir, &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), c.ProcessState.ExitCode()}
}

func (r result) want(t *testing.T, code int, parts ...string) result {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.out, r.err)
	}
	for _, p := range parts {
		if !strings.Contains(r.out+r.err, p) {
			t.Errorf("%q is not in the output:\n%s%s", p, r.out, r.err)
		}
	}
	return r
}

func TestTheDemoTellsTheStoryAndStops(t *testing.T) {
	first := clew(t, t.TempDir(), "demo", "--once").want(t, 0, "Incident ", "Blast radius within 3 hops", "incidents of one alert each")
	if strings.Contains(first.out, "\x1b") {
		t.Error("colour codes where there is no terminal")
	}
	if first.err != "" {
		t.Errorf("on standard error: %s", first.err)
	}
	took := regexp.MustCompile(`Read in [\d.]+ s`)
	again := clew(t, t.TempDir(), "demo", "--once")
	if took.ReplaceAllString(first.out, "") != took.ReplaceAllString(again.out, "") {
		t.Error("two demos tell different stories")
	}
}

func TestTheDemoKeepsItsStoreWhereAsked(t *testing.T) {
	dir := t.TempDir()
	clew(t, dir, "demo", "--once", "--data", "store").want(t, 0)
	clew(t, dir, "demo", "--once", "--data", "store").want(t, 0, "Nothing new: all of it was known")
}

func TestTheScenarioIsReadLikeAnyFiles(t *testing.T) {
	dir := t.TempDir()
	files := strings.Fields(clew(t, dir, "scenario", "files").want(t, 0).out)
	args := append([]string{"ingest", "--data", "store", "-o", "json"}, files...)
	first := summary(t, clew(t, dir, args...).want(t, 0))
	if first.Alerts < 400 || first.Entities == 0 || first.Edges == 0 || first.Rejected != 0 {
		t.Errorf("first time: %+v", first)
	}
	again := summary(t, clew(t, dir, args...).want(t, 0))
	if again.Alerts+again.Entities+again.Edges+again.Updated+again.Rejected != 0 || again.Read != first.Read {
		t.Errorf("second time: %+v", again)
	}
	clew(t, dir, append([]string{"ingest", "--data", "store"}, files...)...).want(t, 0, "Nothing new: all of it was known")
	eval := append([]string{"eval", "correlation", "--truth", filepath.Join("files", "truth.csv"), "-o", "json"}, alertFlags(files)...)
	var e struct {
		Alerts, Incidents         int
		PairPrecision, PairRecall float64
	}
	if err := json.Unmarshal([]byte(clew(t, dir, eval...).want(t, 0).out), &e); err != nil || e.Alerts != first.Alerts {
		t.Errorf("evaluated %+v (%v)", e, err)
	}
	t.Logf("the demonstration: %+v", e)
}

func alertFlags(files []string) []string {
	var out []string
	for _, f := range files {
		out = append(out, "--alerts", f)
	}
	return out
}

func summary(t *testing.T, r result) client.Summary {
	t.Helper()
	var s client.Summary
	d := json.NewDecoder(strings.NewReader(r.out))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatalf("%v in %q", err, r.out)
	}
	return s
}

const (
	device = `{"type":"entity","kind":"device","keys":{"mdeDeviceId":"d%d"},"observedAt":"2026-03-02T08:00:00Z"}` + "\n"
	edge   = `{"type":"edge","kind":"adminOf","from":{"kind":"identity","keys":{"userPrincipalName":"ann@contoso.com"}},"to":{"kind":"device","keys":{"mdeDeviceId":"d1"}},"firstSeen":"2026-03-02T08:00:00Z"}` + "\n"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestABadLineIsNamedAndKeptAndTheRestGoesIn(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "mixed.ndjson", fmt.Sprintf(device, 1)+"{\"type\":\"entity\"\n"+edge+"\xff\xfe{}\n"+fmt.Sprintf(device, 2))
	r := clew(t, dir, "ingest", file, "--data", "store", "-o", "json").want(t, 0, "mixed.ndjson:2:", "mixed.ndjson:4:", "rejects.ndjson")
	if s := summary(t, r); s.Rejected != 2 || s.Entities != 3 || s.Edges != 1 {
		t.Errorf("%+v", s)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "rejects.ndjson"))
	if err != nil || bytes.Count(kept, []byte("\n")) != 2 {
		t.Errorf("reject file: %v\n%s", err, kept)
	}
}

func TestARejectFileIsNeverOverwrittenUnlessNamed(t *testing.T) {
	dir := t.TempDir()
	first := write(t, dir, "rejects.ndjson", fmt.Sprintf(device, 1)+"one\n")
	clew(t, dir, "ingest", first, "--data", "store").want(t, 0, "rejected records are in rejects-2.ndjson")
	clew(t, dir, "ingest", "rejects-2.ndjson", "--data", "store").want(t, exitFailed, "rejected records are in rejects-3.ndjson", "nothing could be taken")
	if kept, _ := os.ReadFile(filepath.Join(dir, first)); !strings.HasSuffix(string(kept), "\none\n") {
		t.Errorf("the input is now %q", kept)
	}
	clew(t, dir, "ingest", first, "--data", "store", "--rejects", "rejects-3.ndjson").want(t, 0)
	if kept, _ := os.ReadFile(filepath.Join(dir, "rejects-3.ndjson")); bytes.Count(kept, []byte("\n")) != 1 {
		t.Errorf("kept: %s", kept)
	}
}

// What was read before an ingest failed says nothing of the rest.
func TestAnIngestThatFailsDoesNotSayThatAllWasKnown(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "devices.ndjson", fmt.Sprintf(device, 1))
	clew(t, dir, "ingest", file, "--data", "store").want(t, 0)
	cut := write(t, dir, "cut.ndjson.gz", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab")
	r := clew(t, dir, "ingest", file, cut, "--data", "store").want(t, exitFailed, "1 records read", "cut.ndjson.gz")
	if strings.Contains(r.out+r.err, "Nothing new") {
		t.Errorf("%s%s", r.out, r.err)
	}
}

func TestAnInputWithoutRecordsIsToldSo(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{os.DevNull, write(t, dir, "empty.json", ""), write(t, dir, "array.json", "[]")} {
		clew(t, dir, "ingest", file, "--data", "store").want(t, 0, "There was nothing to read: the input has no records")
	}
}

func TestWhatAFileSaysCannotMoveTheCursor(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "a\x1b[2J\nclew.json", `{"z\u001b]0;x\u0007\nrejected: 0":1}`+"\n"+`{"file":"\u001b[1m","line":1,"reason":"r\u001b[2J","record":"x"}`)
	r := clew(t, dir, "ingest", file, "--data", "store").want(t, exitFailed, `\x1b]0;x`)
	strict := clew(t, dir, "ingest", "--strict", file, "--data", "store").want(t, exitFailed)
	absent := clew(t, dir, "ingest", "gone\x1b[2J\n", "--data", "store").want(t, exitFailed, "gone[2J")
	for _, text := range []string{r.out + r.err, strict.out + strict.err, absent.err} {
		if strings.Contains(text, "\x1b") || strings.Contains(text, "\nclew.json") {
			t.Errorf("printed raw: %q", text)
		}
	}
}

func TestTheRejectsOfAServiceThatAreNotListedAreCounted(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "serve", "--dev", "--data", "store", "--listen", "127.0.0.1:0")
	defer s.stop(t)
	file := write(t, dir, "many.json", fmt.Sprintf(device, 1)+strings.Repeat("bad\n", 130))
	clew(t, dir, "ingest", file, "--url", s.base).want(t, 0, "many.json: 30 more records were rejected; the service does not list them")
}

func TestMoreFilesThanMayBeOpenAreRead(t *testing.T) {
	dir := t.TempDir()
	args := []string{"-c", `ulimit -n 64; exec "$0" ingest --data store "$@"`, binary}
	for i := range 200 {
		args = append(args, write(t, dir, fmt.Sprintf("%d.json", i), fmt.Sprintf(device, i)))
	}
	c := exec.Command("sh", args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "200 entities") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheDemoRefusesAStoreWithOtherData(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "mine.json", fmt.Sprintf(device, 1))
	clew(t, dir, "ingest", file, "--data", "mine").want(t, 0)
	clew(t, dir, "demo", "--once", "--data", "mine").want(t, exitUsage, "holds other data")
	clew(t, dir, "demo", "--once", "--data", "demo").want(t, 0)
	clew(t, dir, "ingest", file, "--data", "demo").want(t, 0)
	clew(t, dir, "demo", "--once", "--data", "demo").want(t, exitUsage, "holds other data")
}

// A reader that goes away, a terminal that closes and an interrupt all leave nothing behind.
func TestADemoThatIsStoppedLeavesNoTemporaryStore(t *testing.T) {
	for name, stop := range map[string]func(c *exec.Cmd, out io.Closer){
		"nobody reads": func(_ *exec.Cmd, out io.Closer) { _ = out.Close() },
		"hangup": func(c *exec.Cmd, _ io.Closer) {
			_ = c.Process.Signal(syscall.SIGHUP)
			_ = c.Process.Signal(syscall.SIGHUP)
		},
		"interrupt": func(c *exec.Cmd, _ io.Closer) { _ = c.Process.Signal(os.Interrupt) },
	} {
		t.Run(name, func(t *testing.T) {
			temporary := t.TempDir()
			c := exec.Command(binary, "demo", "--all", "--listen", "127.0.0.1:0")
			c.Env = append(os.Environ(), "TMPDIR="+temporary)
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
			defer timer.Stop()
			if _, err := out.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			stop(c, out)
			_, _ = io.Copy(io.Discard, out)
			_ = c.Wait()
			if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 || c.ProcessState.ExitCode() < 0 {
				t.Errorf("%v: %v %v", c.ProcessState, left, err)
			}
		})
	}
}

func TestStrictStopsAtTheFirstBadLine(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "mixed.ndjson", fmt.Sprintf(device, 1)+"nonsense\n"+fmt.Sprintf(device, 2))
	r := clew(t, dir, "ingest", "--strict", file, "--data", "store", "-o", "json").want(t, exitFailed, "mixed.ndjson:2:")
	if s := summary(t, r); s.Entities != 1 || s.Rejected != 1 {
		t.Errorf("%+v", s)
	}
}

func TestWrongCallsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "x.json", "{}")
	if err := os.Symlink(file, filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "unknown flag", []string{"demo", "--nonsense"}},
		{exitUsage, "unknown command", []string{"nonsense"}},
		{exitUsage, "either --data DIR or --url URL", []string{"ingest", file}},
		{exitUsage, "requires at least 1 arg", []string{"ingest"}},
		{exitUsage, "no format", []string{"ingest", file, "--data", "s", "--format", "xml"}},
		{exitUsage, "use text or json", []string{"ingest", file, "--data", "s", "-o", "xml"}},
		{exitFailed, "no file absent.json", []string{"ingest", "absent.json", "--data", "s"}},
		{exitFailed, "is a directory", []string{"ingest", ".", "--data", "s"}},
		{exitUsage, "needs tokens", []string{"serve", "--data", "s"}},
		{exitUsage, "Name it with --data DIR or --config FILE", []string{"serve", "--dev"}},
		{exitUsage, "not a loopback address", []string{"serve", "--dev", "--data", "s", "--listen", "0.0.0.0:0"}},
		{exitUsage, "not a loopback address", []string{"serve", "--dev", "--data", "s", "--listen", ":8080"}},
		{exitUsage, "not a loopback address", []string{"demo", "--listen", "192.0.2.1:80"}},
		{exitUsage, "is no address", []string{"demo", "--listen", "8080"}},
		{exitUsage, "--truth", []string{"eval", "correlation"}},
		{exitFailed, "connect", []string{"ingest", file, "--url", "http://127.0.0.1:1"}},
		{exitUsage, "add http://", []string{"ingest", file, "--url", "127.0.0.1:8080"}},
		{exitUsage, "add http://", []string{"ingest", file, "--url", "localhost"}},
		{exitUsage, "is the input", []string{"ingest", file, "--data", "s", "--rejects", file}},
		{exitUsage, "is the input", []string{"ingest", "./" + file, "--data", "s", "--rejects", "link.json"}},
		{exitFailed, "name another with --rejects", []string{"ingest", file, "--data", "s", "--rejects", "absent/r"}},
		{exitFailed, "name another with --rejects", []string{"ingest", file, "--data", "s", "--rejects", "."}},
	} {
		if r := clew(t, dir, c.args...).want(t, c.code, c.says); strings.Contains(r.out, "records read") {
			t.Errorf("%v: a summary of nothing", c.args)
		}
	}
	if kept, _ := os.ReadFile(filepath.Join(dir, file)); string(kept) != "{}" {
		t.Errorf("the input is now %q", kept)
	}
	if _, err := os.Stat(filepath.Join(dir, "s")); err == nil {
		t.Error("a refused call made a store")
	}
	clew(t, dir, "version").want(t, 0, "clew "+version)
	clew(t, dir, "--help").want(t, 0, "demo", "ingest", "serve")
}

// service is a running program.
type service struct {
	*exec.Cmd
	base string
	log  *bytes.Buffer
}

func start(t *testing.T, dir string, args ...string) service {
	t.Helper()
	c := exec.Command(binary, args...)
	var log bytes.Buffer
	c.Dir, c.Stderr = dir, &log
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() }) // one that has ended is not there any more
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "Explorer  "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return service{c, strings.TrimSuffix(address, "/"), &log}
		}
	}
	_ = c.Wait()
	t.Fatalf("the service did not start: %s", log.String())
	return service{}
}

// stop interrupts it and wants a clean end.
func (s service) stop(t *testing.T) {
	t.Helper()
	if err := s.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); err != nil {
		t.Errorf("after an interrupt: %v\n%s", err, s.log)
	}
}

func (s service) do(t *testing.T, method, path, body string, header map[string]string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if h := header["Host"]; h != "" {
		r.Host = h
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

var asJSON = map[string]string{"Content-Type": "application/json"}

func TestAServiceTakesInAndAnswers(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, "serve", "--dev", "--data", "store", "--listen", "127.0.0.1:0")
	files := strings.Fields(clew(t, dir, "scenario", "files").want(t, 0).out)
	r := clew(t, dir, append([]string{"ingest", "--url", s.base, "-o", "json"}, files...)...).want(t, 0)
	if got := summary(t, r); got.Alerts < 400 || got.Rejected != 0 {
		t.Errorf("%+v", got)
	}
	code, answer := s.do(t, "POST", "/graphql", `{"query":"{ incidents(first: 1, filter: {severities: [high]}) { totalCount nodes { displayName attackStory { steps { sentence } } } } }"}`, asJSON)
	if code != 200 || !strings.Contains(answer, `"sentence"`) || strings.Contains(answer, `"errors"`) {
		t.Errorf("%d %s", code, answer)
	}
	for path, want := range map[string]string{"/": "<title>Clew explorer", "/healthz": "ok", "/readyz": "ready"} {
		if code, body := s.do(t, "GET", path, "", nil); code != 200 || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d %.200s", path, code, body)
		}
	}
	clew(t, dir, "ingest", files[0], "--data", "store").want(t, exitFailed, "in use")
	clew(t, dir, "serve", "--dev", "--data", "other", "--listen", strings.TrimPrefix(s.base, "http://")).want(t, exitFailed, "is taken by another program")
	s.stop(t)
	clew(t, dir, append([]string{"ingest", "--data", "store"}, files...)...).want(t, 0, "Nothing new: all of it was known")
}

func TestIngestOverHTTPAnswersPerLine(t *testing.T) {
	s := start(t, t.TempDir(), "serve", "--dev", "--data", "store", "--listen", "127.0.0.1:0")
	defer s.stop(t)
	post := func(path, body, contentType string) (int, client.Result) {
		code, text := s.do(t, "POST", path, body, map[string]string{"Content-Type": contentType})
		var r client.Result
		_ = json.Unmarshal([]byte(text), &r)
		return code, r
	}
	if code, r := post("/ingest/auto", fmt.Sprintf(device, 1)+"nonsense\n", "application/x-ndjson"); code != 202 || r.Entities != 1 || len(r.Errors) != 1 || r.Errors[0].Line != 2 {
		t.Errorf("%d %+v", code, r)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	fmt.Fprintf(z, device, 2)
	_ = z.Close()
	if code, r := post("/ingest/clew", zipped.String(), "application/gzip"); code != 202 || r.Entities != 1 {
		t.Errorf("gzip: %d %+v", code, r)
	}
	for _, c := range []struct {
		path, contentType string
		want              int
	}{
		{"/ingest/xml", "application/json", 404}, {"/ingest/auto", "text/plain", 415},
		{"/ingest/auto", "", 415}, {"/ingest/auto", "application/x-www-form-urlencoded", 415},
	} {
		if code, _ := post(c.path, "{}", c.contentType); code != c.want {
			t.Errorf("POST %s as %q: %d, want %d", c.path, c.contentType, code, c.want)
		}
	}
	if code, _ := s.do(t, "GET", "/ingest/auto", "", nil); code != 405 {
		t.Errorf("GET of ingest: %d", code)
	}
}

// A page elsewhere must not reach a service without tokens through the browser of whoever runs it.
func TestAForeignPageIsRefused(t *testing.T) {
	s := start(t, t.TempDir(), "serve", "--dev", "--data", "store", "--listen", "127.0.0.1:0")
	defer s.stop(t)
	query := `{"query":"{ __typename }"}`
	for name, c := range map[string]struct {
		header map[string]string
		want   int
	}{
		"its own page":          {map[string]string{"Origin": s.base}, 200},
		"a program":             {nil, 200},
		"localhost":             {map[string]string{"Host": "localhost:" + s.base[strings.LastIndexByte(s.base, ':')+1:]}, 200},
		"a rebound name":        {map[string]string{"Host": "evil.example"}, 421},
		"a loopback look-alike": {map[string]string{"Host": "127.0.0.1.evil.example"}, 421},
		"another origin":        {map[string]string{"Origin": "https://evil.example"}, 403},
		"another port":          {map[string]string{"Origin": "http://127.0.0.1:1"}, 403},
		"a sandboxed frame":     {map[string]string{"Origin": "null"}, 403},
		"a cross-site fetch":    {map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
	} {
		header := map[string]string{"Content-Type": "application/json"}
		for k, v := range c.header {
			header[k] = v
		}
		if code, body := s.do(t, "POST", "/graphql", query, header); code != c.want {
			t.Errorf("%s: %d %s, want %d", name, code, body, c.want)
		}
	}
}

func TestAnInterruptedImportLeavesAWholeStore(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&text, device, i)
	}
	file := write(t, dir, "many.ndjson", text.String())
	c := exec.Command(binary, "ingest", file, "--data", "store")
	c.Dir = dir
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(5 * time.Millisecond) {
		if logs, _ := filepath.Glob(filepath.Join(dir, "store", "*", "*")); len(logs) > 0 {
			break
		}
		if logs, _ := filepath.Glob(filepath.Join(dir, "store", "*.log")); len(logs) > 0 {
			break
		}
	}
	time.Sleep(100 * time.Millisecond)
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != exitInterrupted {
		t.Logf("the import had ended before the interrupt (exit code %d)", code)
	}
	r := clew(t, dir, "ingest", file, "--data", "store", "-o", "json").want(t, 0)
	s := summary(t, r)
	if s.Entities+s.Duplicates != 60_000 || s.Rejected != 0 {
		t.Errorf("afterwards: %+v", s)
	}
}

func TestATakenPortIsToldBeforeAnythingIsRead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := clew(t, t.TempDir(), "demo", "--listen", l.Addr().String()).want(t, exitFailed, "is taken by another program", "--listen")
	if strings.Contains(r.out, "records read") {
		t.Error("the demo read everything first")
	}
}
