package deploy_test

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// buildCommand is the Dockerfile's line that builds the program.
func buildCommand(t *testing.T) string {
	t.Helper()
	text := strings.ReplaceAll(string(read(t, "Dockerfile")), "\\\n", " ")
	line := regexp.MustCompile(`(?m)^RUN (?:--mount=\S+ +)*(CGO_ENABLED=0 .* go build .*)$`).FindStringSubmatch(text)
	if line == nil {
		t.Fatal("the Dockerfile has no line that builds without cgo")
	}
	return line[1]
}

func TestTheImagesBuildCommandMakesAStaticProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: compiles everything anew; run without -short")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	out := filepath.Join(t.TempDir(), "clew")
	c := exec.CommandContext(ctx, "sh", "-c", "exec env "+strings.Replace(buildCommand(t), "-o /out/clew", "-o "+out, 1))
	c.Dir = ".."
	c.Env = append(os.Environ(), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH, "VERSION=9.8.7-test")
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	told, err := exec.Command(out, "version").Output()
	if err != nil || !strings.HasPrefix(string(told), "clew 9.8.7-test") {
		t.Errorf("%s (%v)", told, err)
	}
	if runtime.GOOS == "linux" {
		wantStatic(t, out)
	}
	for name, s := range readCompose(t).Services {
		if s.Image != ours {
			continue
		}
		if text, err := exec.Command(out, append(s.Command, "--help")...).CombinedOutput(); err != nil || !strings.Contains(string(text), "clew "+s.Command[0]) {
			t.Errorf("%s: the program knows no %q (%v)\n%s", name, s.Command, err, text)
		}
	}
}

// wantStatic wants a program that asks for no loader and no library: in an image from scratch there is none.
func wantStatic(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil || len(libraries) > 0 {
		t.Errorf("needs %v (%v)", libraries, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			loader, _ := io.ReadAll(p.Open())
			t.Errorf("needs the loader %s", loader)
		}
	}
}

func TestTheImageIsSmallAndRunsAsNobody(t *testing.T) {
	text := string(read(t, "Dockerfile"))
	_, final, _ := strings.Cut(text, "\nFROM scratch\n")
	for _, want := range []string{"ca-certificates.crt", "\nUSER 65532:65532\n", "--chown=65532:65532", `CMD ["/clew", "health"]`, `ENTRYPOINT ["/clew"]`, "\nVOLUME /var/lib/clew\n"} {
		if !strings.Contains(final, want) {
			t.Errorf("the final stage has no %s", want)
		}
	}
	if strings.Contains(final, "\nRUN ") {
		t.Error("nothing can be run in an image from scratch")
	}
	mod := regexp.MustCompile(`(?m)^go ([0-9]+\.[0-9]+)`).FindSubmatch(read(t, "../go.mod"))
	if mod == nil || !strings.Contains(text, "golang:"+string(mod[1])+" ") {
		t.Errorf("the image builds with another Go than go.mod's %s", mod)
	}
}

// ignored reports whether the build context leaves a file out; it knows the patterns that are used here.
func ignored(patterns []string, path string) bool {
	out := false
	parts := strings.Split(path, "/")
	for _, p := range patterns {
		switch name, deep := strings.CutPrefix(p, "**/"); {
		case p == "*":
			out = true
		case strings.HasPrefix(p, "!"):
			out = out && parts[0] != p[1:]
		case deep && slices.ContainsFunc(parts, func(part string) bool { ok, _ := filepath.Match(name, part); return ok }):
			out = true
		}
	}
	return out
}

func patterns(t *testing.T) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(string(read(t, "Dockerfile.dockerignore"))) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	return out
}

func TestTheBuildContextHoldsWhatTheProgramIsMadeOf(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	ignore, files := patterns(t), []string{"go.mod", "go.sum"}
	for _, p := range packages(t) {
		rel, err := filepath.Rel(root, p.Dir)
		if err != nil || strings.HasPrefix(rel, "..") {
			continue
		}
		for _, f := range slices.Concat(p.GoFiles, p.EmbedFiles) {
			files = append(files, filepath.ToSlash(filepath.Join(rel, f)))
		}
	}
	for _, f := range files {
		if ignored(ignore, f) {
			t.Errorf("%s is not in the build context", f)
		}
	}
	for _, f := range []string{".git/config", "deploy/secrets/redis_password", "dist/clew", "cmd/clew/e2e_test.go", "graph/testdata/x"} {
		if !ignored(ignore, f) {
			t.Errorf("%s is in the build context", f)
		}
	}
	t.Logf("%d files", len(files))
	if len(files) < 50 {
		t.Error("too few files to be the program")
	}
}

type goPackage struct {
	Dir                 string
	GoFiles, EmbedFiles []string
}

// packages are those that the program is made of.
func packages(t *testing.T) []goPackage {
	t.Helper()
	c := exec.Command("go", "list", "-deps", "-json=Dir,GoFiles,EmbedFiles", "./cmd/clew")
	c.Dir, c.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
