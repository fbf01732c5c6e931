package explorer

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var handler = Handler() // hashing every file is done once

func ask(t *testing.T, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	r.URL.Path = target
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

// script is the address of the page's entry, whose name changes with every build.
func script(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`src="\.(/assets/[^"]+\.js)"`).FindStringSubmatch(read(t, "dist/index.html"))
	if found == nil {
		t.Fatal("index.html loads no script; rebuild it (see web/README.md)")
	}
	return found[1]
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := dist.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func built(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRequests(t *testing.T) {
	entry := script(t)
	for _, c := range []struct {
		name, method, target string
		status               int
		header               map[string]string
	}{
		{"the page is asked for again each time", "GET", "/", 200,
			map[string]string{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache"}},
		{"a hashed file is kept for good", "GET", entry, 200,
			map[string]string{"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": "public, max-age=31536000, immutable"}},
		{"the licences of what is bundled are served", "GET", "/licenses.md", 200, map[string]string{"Cache-Control": "no-cache"}},
		{"HEAD answers as GET does", "HEAD", "/", 200, map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		{"an unknown path is not found", "GET", "/nothing", 404, nil},
		{"an unknown asset is not found and not cached", "GET", "/assets/nothing.js", 404, map[string]string{"Cache-Control": ""}},
		{"a directory is not listed", "GET", "/assets/", 404, nil},
		{"the page has one address", "GET", "/index.html", 404, nil},
		{"an empty path is not found", "GET", "", 404, nil},
		{"a path above the root is not found", "GET", "/../explorer.go", 404, nil},
		{"a path through assets is not found", "GET", "/assets/../index.html", 404, nil},
		{"a path with backslashes is not found", "GET", `/assets\..\index.html`, 404, nil},
		{"a doubled slash is not found", "GET", "//index.html", 404, nil},
		{"an absolute path is not found", "GET", "//etc/passwd", 404, nil},
		{"a path with a zero byte is not found", "GET", "/\x00", 404, nil},
		{"POST is not allowed", "POST", "/", 405, map[string]string{"Allow": "GET, HEAD"}},
		{"DELETE of an asset is not allowed", "DELETE", entry, 405, map[string]string{"Allow": "GET, HEAD"}},
		{"OPTIONS is not allowed", "OPTIONS", "/", 405, map[string]string{"Allow": "GET, HEAD"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ask(t, c.method, c.target)
			if got.StatusCode != c.status {
				t.Errorf("status %d, want %d", got.StatusCode, c.status)
			}
			for name, want := range c.header {
				if got.Header.Get(name) != want {
					t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
				}
			}
			wantSecured(t, got.Header)
		})
	}
}

func wantSecured(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy": contentSecurityPolicy,
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, h.Get(name), want)
		}
	}
}

func TestThePolicyNamesNoOtherOriginAndRunsNoInlineScript(t *testing.T) {
	for _, directive := range strings.Split(contentSecurityPolicy, "; ") {
		name, sources, _ := strings.Cut(directive, " ")
		for _, source := range strings.Fields(sources) {
			inlineStyle := name == "style-src" && source == "'unsafe-inline'"
			smallImage := name == "img-src" && source == "data:"
			if source != "'self'" && source != "'none'" && !inlineStyle && !smallImage {
				t.Errorf("%s allows %s", name, source)
			}
		}
	}
}

func TestHEADHasNoBodyAndTheLengthOfGET(t *testing.T) {
	get, head := ask(t, "GET", "/"), ask(t, "HEAD", "/")
	if n, _ := head.Body.Read(make([]byte, 1)); n != 0 {
		t.Error("HEAD has a body")
	}
	if head.Header.Get("Content-Length") == "" || head.Header.Get("Content-Length") != get.Header.Get("Content-Length") {
		t.Errorf("HEAD says %q bytes, GET %q", head.Header.Get("Content-Length"), get.Header.Get("Content-Length"))
	}
}

func TestAnUnchangedPageIsNotSentAgain(t *testing.T) {
	tag := ask(t, "GET", "/").Header.Get("ETag")
	if again := ask(t, "GET", "/", "If-None-Match", tag); again.StatusCode != http.StatusNotModified {
		t.Errorf("status %d for %s", again.StatusCode, tag)
	}
}

func TestEveryBuiltFileIsServedWithATypeOfItsOwn(t *testing.T) {
	for _, name := range built(t) {
		got := ask(t, "GET", address(name))
		if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") == "" {
			t.Errorf("%s: status %d, type %q", name, got.StatusCode, got.Header.Get("Content-Type"))
		}
	}
}

func TestEveryFileThePageNamesIsBuilt(t *testing.T) {
	files := load()
	for _, found := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(read(t, "dist/index.html"), -1) {
		target, relative := strings.CutPrefix(found[1], "./")
		if _, served := files["/"+target]; !relative || !served {
			t.Errorf("index.html names %s", found[1])
		}
	}
}

// Addresses in text (name spaces, help links) are harmless; these patterns are the ways in which a file makes a browser load one.
var loads = map[string][]*regexp.Regexp{
	".html": {
		regexp.MustCompile(`(?i)\b(?:src|href|srcset|action|data|poster)\s*=\s*["']?\s*(?:https?:)?//[^"'\s>]*`),
		regexp.MustCompile(`(?i)<(?:script|style)[^>]*>[^<]+`), // inline, which the policy would refuse
	},
	".css": {
		regexp.MustCompile(`(?i)url\(\s*["']?\s*(?:https?:)?//[^)]*`),
		regexp.MustCompile(`(?i)@import\s*(?:url\()?\s*["']?\s*(?:https?:)?//[^"')]*`),
	},
	".js": {
		regexp.MustCompile("\\b(?:from|import)\\s*\\(?\\s*[\"'`](?:https?:)?//[^\"'`\\s]+"),
		regexp.MustCompile("\\b(?:importScripts|fetch|Worker|SharedWorker|WebSocket|EventSource|sendBeacon)\\(\\s*(?:new URL\\(\\s*)?[\"'`](?:(?:https?|wss?):)?//[^\"'`\\s]*"),
		regexp.MustCompile("\\.(?:src|href)\\s*=\\s*[\"'`](?:https?:)?//[^\"'`\\s]*"),
	},
	".svg": {regexp.MustCompile(`(?i)\b(?:src|href)\s*=\s*["']?\s*(?:https?:)?//[^"']*`), regexp.MustCompile(`(?i)<script`)},
}

func TestNoBuiltFileLoadsFromAnotherHost(t *testing.T) {
	for _, name := range built(t) {
		text := read(t, name)
		if path.Ext(name) == ".js" {
			text = nearSlashes(text)
		}
		for _, load := range loads[path.Ext(name)] {
			for _, found := range load.FindAllString(text, -1) {
				t.Errorf("%s: %.120s", name, found)
			}
		}
	}
}

// nearSlashes keeps what stands around each "//": all that the patterns for scripts can match, in a fraction of the text.
func nearSlashes(text string) string {
	var b strings.Builder
	for at := 0; ; at += 2 {
		next := strings.Index(text[at:], "//")
		if next < 0 {
			return b.String()
		}
		at += next
		b.WriteString(text[max(0, at-60):min(len(text), at+60)] + "\n")
	}
}

func TestTheScanFindsWhatItLooksFor(t *testing.T) {
	for _, c := range []struct{ name, ext, text string }{
		{"a remote script", ".html", `<script src="https://cdn.example/x.js">`},
		{"a remote style without a scheme", ".html", `<link href=//cdn.example/x.css>`},
		{"an inline script", ".html", `<script>run()</script>`},
		{"a remote font", ".css", `@font-face{src:url("https://fonts.example/x.woff2")}`},
		{"a remote style sheet", ".css", `@import "//fonts.example/x.css"`},
		{"a static import", ".js", `import{a as b}from"https://cdn.example/x.js"`},
		{"a lazy import", ".js", "import(`https://cdn.example/x.js`)"},
		{"a worker", ".js", `new Worker(new URL("https://cdn.example/w.js"))`},
		{"a beacon", ".js", `navigator.sendBeacon("https://count.example/")`},
		{"an image", ".js", `i.src="//count.example/x.gif"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.text
			if c.ext == ".js" {
				text = nearSlashes(text)
			}
			for _, load := range loads[c.ext] {
				if load.MatchString(text) {
					return
				}
			}
			t.Error("not found in " + c.text)
		})
	}
}

func TestNoSourceMapIsBuilt(t *testing.T) {
	for _, name := range built(t) {
		if path.Ext(name) == ".map" || strings.Contains(read(t, name), "//# sourceMappingURL=") {
			t.Error(name)
		}
	}
}

func TestEveryTabSaysWhatItTeachesAndIsTitledByItsName(t *testing.T) {
	for _, tab := range tabs(t) {
		t.Run(tab.Name, func(t *testing.T) {
			if !regexp.MustCompile(`^(# \S.*\n){1,2}(query|mutation) `).MatchString(tab.Query) {
				t.Error("the tab does not begin with one or two lines of comment")
			}
			if !regexp.MustCompile(`\n(query|mutation) ` + title(tab.Name) + `\b`).MatchString(tab.Query) {
				t.Errorf("the operation is not named %s", title(tab.Name))
			}
		})
	}
}

type tab struct {
	Name      string         `json:"name"`
	Query     string         `json:"query"`
	Variables map[string]any `json:"variables"`
}

func tabs(t *testing.T) (all []tab) {
	t.Helper()
	text, err := os.ReadFile("web/src/tabs.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all) == 0 {
		t.Fatalf("%d tabs: %v", len(all), err)
	}
	return all
}

// title is "Attack story" as an operation name: AttackStory.
func title(name string) string {
	var b strings.Builder
	for _, word := range strings.Fields(name) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
