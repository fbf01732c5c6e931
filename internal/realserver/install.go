package realserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
)

// Neo4jVersion is the release of Neo4j Community that tests run against.
const Neo4jVersion = "5.26.16"

// pom names the server as a dependency; Maven brings what it needs.
var pom = template.Must(template.New("pom").Parse(`<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>clew.test</groupId>
  <artifactId>neo4j-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.neo4j</groupId>
      <artifactId>neo4j</artifactId>
      <version>{{.}}</version>
    </dependency>
  </dependencies>
</project>
`))

const copyGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

// InstallNeo4j returns the directory of Neo4j's jars in the user's cache and, where it is not there yet, fills
// it through Maven as this machine configures it: about 116 MB, once. Processes that install at the same time
// wait for one another. The error says what is missing.
func InstallNeo4j(ctx context.Context) (string, error) {
	if dir, ok := installedNeo4j(); ok {
		return dir, nil
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("%w: Neo4j %s is not in the cache, and there is no Maven to fetch it", errAbsent, Neo4jVersion)
	}
	dir := neo4jDir()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := lockFile(lock); err != nil {
		return "", err
	}
	if dir, ok := installedNeo4j(); ok { // another process was quicker
		return dir, nil
	}
	return dir, fetchNeo4j(ctx, mvn, dir)
}

// fetchNeo4j fills a directory beside dir and renames it, so that dir is never there in part.
func fetchNeo4j(ctx context.Context, mvn, dir string) error {
	work, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var project bytes.Buffer
	if err := pom.Execute(&project, Neo4jVersion); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), project.Bytes(), 0o600); err != nil {
		return err
	}
	lib := filepath.Join(work, "lib")
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", copyGoal, "-DincludeScope=runtime", "-DoutputDirectory="+lib)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: Maven could not fetch Neo4j %s: %v\n%s", errAbsent, Neo4jVersion, err, out)
	}
	if err := os.Rename(lib, dir); err != nil && !isComplete(dir) {
		return err
	}
	return nil
}

// installedNeo4j is the directory of the jars, if they are there.
func installedNeo4j() (string, bool) {
	dir := neo4jDir()
	return dir, isComplete(dir)
}

func isComplete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "neo4j-server-"+Neo4jVersion+".jar"))
	return err == nil
}

// neo4jDir lies in the user's cache, or in the temporary directory where there is none.
func neo4jDir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "clew-test", "neo4j-"+Neo4jVersion)
}

// findNeo4j is the jars and the Java to run them; a test downloads only where a real server is required.
func findNeo4j() (java, jars string, err error) {
	if java, err = findJava(); err != nil {
		return "", "", err
	}
	jars, ok := installedNeo4j()
	switch {
	case ok:
		return java, jars, nil
	case !required():
		return "", "", fmt.Errorf("%w: Neo4j %s is not in the cache; `go run ./internal/realserver/fetch` brings it", errAbsent, Neo4jVersion)
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchLimit)
	defer cancel()
	jars, err = InstallNeo4j(ctx)
	return java, jars, err
}

// findJava prefers JAVA_HOME. Neo4j 5 needs Java 17 or 21.
func findJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return filepath.Join(home, "bin", "java"), nil
	}
	java, err := exec.LookPath("java")
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%w: Neo4j needs Java 17", errAbsent)
	}
	return java, err
}
