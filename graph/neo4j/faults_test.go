package neo4j

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/internal/realserver"
)

// cutter is a proxy before the server that ends a connection at its COMMIT, as often as cuts says: before the
// server has it, or when the server has answered it.
type cutter struct {
	net.Listener
	server       string
	cuts, before atomic.Int64
	conns        sync.WaitGroup
}

// commitMessage is COMMIT as the driver frames it: a chunk of two bytes, an empty structure with the tag 0x12.
var commitMessage = []byte{0, 2, 0xb0, 0x12, 0, 0}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, server: server}
	t.Cleanup(func() { _ = l.Close(); c.conns.Wait() })
	c.conns.Go(c.accept)
	return c
}

func (c *cutter) accept() {
	for {
		client, err := c.Accept()
		if err != nil {
			return
		}
		c.conns.Go(func() { c.carry(client) })
	}
}

func (c *cutter) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var deaf atomic.Bool // the client does not hear the server any more
	c.conns.Go(func() {
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if err == nil && !deaf.Load() {
				_, err = client.Write(buffer[:n])
			}
			if err != nil || deaf.Load() {
				_ = client.Close()
				return
			}
		}
	})
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Contains(buffer[:n], commitMessage) && c.cuts.Add(-1) >= 0 {
			if c.before.Load() != 0 {
				return
			}
			deaf.Store(true)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// through gives the options of a store that reaches the shared server through a cutter.
func through(t *testing.T) (Options, *cutter) {
	t.Helper()
	o := migrated(t)
	c := newCutter(t, strings.TrimPrefix(o.URI, "bolt://"))
	o.URI = "bolt://" + c.Addr().String()
	return o, c
}

func TestTheReceiptIsTheTrueOneAlthoughTheAnswerToTheCommitWasLost(t *testing.T) {
	for name, before := range map[string]int64{"after the commit": 0, "before the commit": 1} {
		t.Run(name, func(t *testing.T) {
			o, cut := through(t)
			s, tenant := open(t, o), tenantOfTest(t)
			mustApply(t, s, tenant, alertNamed("first"))
			want := mustApply(t, s, tenant+" as it should be", logons(0, 30))
			cut.before.Store(before)
			cut.cuts.Store(2)
			b := logons(0, 30)
			b.Key = "key"
			want.Revision = 2
			if got := mustApply(t, s, tenant, b); got != want {
				t.Errorf("receipt %+v, want %+v", got, want)
			}
			if left := cut.cuts.Load(); left > 1 {
				t.Errorf("nothing was cut")
			}
			if got := mustApply(t, s, tenant, b); !got.Replayed || got.Revision != 2 {
				t.Errorf("the same key again: %+v", got)
			}
			if got := mustApply(t, s, tenant, logons(1, 30)); got.Revision != 3 || got.KnownEdges != 0 {
				t.Errorf("next receipt %+v", got)
			}
			sameAsModel(t, s, tenant, func(m *graphtest.Model) {
				mustApply(t, m, tenant, alertNamed("first"))
				mustApply(t, m, tenant, b)
				mustApply(t, m, tenant, logons(1, 30))
			})
		})
	}
}

// Another writer comes between the commit whose answer was lost and the next attempt.
func TestTheReceiptIsTheTrueOneAlthoughOthersWroteMeanwhile(t *testing.T) {
	s := open(t, migrated(t))
	tenant, ctx := tenantOfTest(t), context.Background()
	err := s.transact(ctx, func(ctx context.Context, run runner) (bool, error) {
		x := newTx(run, tenant, epoch)
		if err := x.lock(ctx, ""); err != nil {
			return false, err
		}
		return true, x.seal(ctx, "mine", graph.Receipt{Revision: 41, NewEdges: 7})
	})
	if err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, tenant, alertNamed("other"))
	look := func(seq int64, token string) (made bool, r graph.Receipt, err error) {
		err = s.transact(ctx, func(ctx context.Context, run runner) (bool, error) {
			x := newTx(run, tenant, epoch)
			if err := x.lock(ctx, ""); err != nil {
				return false, err
			}
			made, err = x.committed(ctx, seq, token, &r)
			return false, err
		})
		return made, r, err
	}
	if made, r, err := look(1, "mine"); !made || r.Revision != 41 || r.NewEdges != 7 || err != nil {
		t.Errorf("made %v, %+v, %v", made, r, err)
	}
	if made, _, err := look(2, "mine"); made || err != nil {
		t.Errorf("another's commit was taken for ours (%v)", err)
	}
	if made, _, err := look(3, "mine"); made || err != nil {
		t.Errorf("a commit that was never made was found (%v)", err)
	}
	ask(t, s, `MATCH (t:Tenant {key: $key}) SET t.seq = 2000`, map[string]any{"key": tk(tenant, "")})
	ask(t, s, `MATCH (c:Commit {key: $key}) SET c.seq = 1025`, map[string]any{"key": numberKey(tenant, graph.Revision(1))})
	if _, _, err := look(1, "mine"); !errors.Is(err, errLapped) {
		t.Errorf("of a commit that was forgotten: %v", err)
	}
}

func TestATransientErrorIsTriedAgainAndAnotherOneIsNot(t *testing.T) {
	s := open(t, migrated(t))
	for code, want := range map[string]int{
		"Neo.TransientError.Transaction.DeadlockDetected": 3, "Neo.ClientError.Cluster.NotALeader": 3,
		"Neo.ClientError.Statement.SyntaxError": 1, "Neo.ClientError.Transaction.TransactionTimedOut": 1,
	} {
		calls := 0
		err := s.transact(context.Background(), func(context.Context, runner) (bool, error) {
			if calls++; calls == 3 {
				return false, nil
			}
			return false, errors.Join(&driver.Neo4jError{Code: code, Msg: "injected"})
		})
		if calls != want || (err == nil) != (want == 3) {
			t.Errorf("%s: %d attempts, then %v", code, calls, err)
		}
	}
}

// A real deadlock: the store has the tenant's lock and wants an incident that another transaction has, which
// wants the tenant's. The store asks last, so it is the one that the server turns away.
func TestADeadlockIsTriedAgain(t *testing.T) {
	s := open(t, migrated(t))
	tenant, ctx := tenantOfTest(t), context.Background()
	first := alertNamed("1")
	first.Incidents = nil
	first.Decide = decide(func() []graph.IncidentChange {
		return []graph.IncidentChange{{Facts: &graph.IncidentFacts{DisplayName: "one"}, Alerts: []graph.ID{first.Alerts[0].ID()}}}
	})
	mustApply(t, s, tenant, first)
	asked, done := 0, make(chan error, 1)
	second := alertNamed("2")
	second.Decide = decide(func() []graph.IncidentChange {
		if asked++; asked == 1 {
			other, end := holdIncident(t, s, tenant)
			go func() {
				_, err := other.query(ctx, lockTenant, map[string]any{"key": tk(tenant, "")})
				end()
				done <- err
			}()
			awaitBlocked(t, s, "SET t.lock", done)
		}
		return []graph.IncidentChange{{ID: 1, Alerts: []graph.ID{second.Alerts[0].ID()}, Triage: graph.Triage{AssignedTo: "ann"}}}
	})
	if r := mustApply(t, s, tenant, second); asked < 2 || r.Revision != 2 || r.NewAlerts != 1 {
		t.Errorf("asked %d times, receipt %+v", asked, r)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// holdIncident opens a transaction that has the lock of the tenant's first incident, and so many others that the
// server does not choose it to end a deadlock.
func holdIncident(t testing.TB, s *Store, tenant graph.TenantID) (run runner, end func()) {
	t.Helper()
	ctx := context.Background()
	session := s.session(ctx, driver.AccessModeWrite)
	tx, err := session.BeginTransaction(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`MATCH (i:Incident {key: $key}) SET i.lock = 1`, `UNWIND range(1, 1000) AS n CREATE (:Ballast)`,
	} {
		if _, err := (writing{tx}).query(ctx, statement, map[string]any{"key": numberKey(tenant, graph.Revision(1))}); err != nil {
			t.Fatal(err)
		}
	}
	return writing{tx}, func() { _ = tx.Rollback(ctx); _ = session.Close(ctx) }
}

// decide is a decider that reads nothing.
type decide func() []graph.IncidentChange

func (d decide) Decide(context.Context, graph.Reader, graph.View, graph.Delta) ([]graph.IncidentChange, error) {
	return d(), nil
}

func TestAQueryThatTakesTooLongIsStopped(t *testing.T) {
	o := migrated(t)
	o.QueryTimeout = time.Second
	s := open(t, o)
	_, err := s.reads().query(context.Background(), `UNWIND range(1, 100000000000) AS n WITH n WHERE n < 0 RETURN count(n)`, nil)
	if err == nil || !strings.Contains(err.Error(), "longer than 1s") {
		t.Errorf("error is %v", err)
	}
	if err := s.Ready(context.Background()); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestOpeningSaysWhatIsWrong(t *testing.T) {
	good := migrated(t)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	go func() {
		for c, err := mute.Accept(); err == nil; c, err = mute.Accept() {
			_, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n")
		}
	}()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"wrong password":    {func(o *Options) { o.User, o.Password = "neo4j", "s3cret" }, "check user, password"},
		"no such database":  {func(o *Options) { o.Database = "none" }, `no database "none"`},
		"a web server":      {func(o *Options) { o.URI = "bolt" + strings.TrimPrefix(web.URL, "http") }, "does not answer as Neo4j's Bolt"},
		"a mail server":     {func(o *Options) { o.URI = "bolt://" + mute.Addr().String() }, "does not answer as Neo4j's Bolt"},
		"nobody":            {func(o *Options) { o.URI = "bolt://" + closed.Addr().String() }, "cannot be reached"},
		"no URI":            {func(o *Options) { o.URI = "localhost:7687" }, "no URI for Neo4j"},
		"a password in it":  {func(o *Options) { o.URI = "bolt://neo4j:s3cret@127.0.0.1:7687?x=1" }, "no URI for Neo4j"},
		"TLS where is none": {func(o *Options) { o.URI = strings.Replace(o.URI, "bolt", "bolt+s", 1) }, "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "wrong password" && good.User == "" {
				t.Skip("the server asks for no password")
			}
			o := good
			o.RetryTime, o.QueryTimeout = 10*time.Millisecond, 3*time.Second
			c.change(&o)
			s, err := Open(context.Background(), o)
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if said := err.Error(); !strings.Contains(said, c.want) || strings.Contains(said, "s3cret") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestTheSchemaMustBeTheProgramsOwn(t *testing.T) {
	ctx := context.Background()
	o := optionsOf(realserver.Neo4j(t, realserver.Neo4jOptions{Own: true}))
	refused := func(words string) {
		t.Helper()
		if _, err := Open(ctx, o); !errors.Is(err, graph.ErrVersion) || !strings.Contains(err.Error(), words) {
			t.Errorf("error is %v, want %q", err, words)
		}
	}
	refused("run clew migrate")
	var wg sync.WaitGroup
	for range 2 { // two processes at once
		wg.Go(func() {
			if _, to, err := Migrate(ctx, o); to != schemaVersion || err != nil {
				t.Errorf("migrated to %d (%v)", to, err)
			}
		})
	}
	wg.Wait()
	s := open(t, o)
	for _, c := range []struct {
		version int
		words   string
	}{{schemaVersion + 1, "upgrade clew"}, {-1, "run clew migrate"}} {
		ask(t, s, `MATCH (s:Schema) SET s.version = $version`, map[string]any{"version": c.version})
		refused(c.words)
		if err := s.Ready(ctx); !errors.Is(err, graph.ErrVersion) {
			t.Errorf("version %d: the open store says %v", c.version, err)
		}
	}
	ask(t, s, `MATCH (s:Schema) SET s.version = $version`, map[string]any{"version": schemaVersion + 1})
	if _, _, err := Migrate(ctx, o); !errors.Is(err, graph.ErrVersion) {
		t.Errorf("a newer schema was migrated (%v)", err)
	}
	ask(t, s, `MATCH (s:Schema) DELETE s`, nil)
	ask(t, s, `DROP CONSTRAINT clew_alert`, nil) // as if interrupted in the middle
	if from, to, err := Migrate(ctx, o); from != 0 || to != schemaVersion || err != nil {
		t.Errorf("from %d to %d (%v)", from, to, err)
	}
	if from, to, err := Migrate(ctx, o); from != schemaVersion || to != schemaVersion || err != nil {
		t.Errorf("again: from %d to %d (%v)", from, to, err)
	}
	if err := s.Ready(ctx); err != nil {
		t.Error(err)
	}
}

func TestAKilledServerHasTheBatchWholeOrNotAtAll(t *testing.T) {
	server := realserver.Neo4j(t, realserver.Neo4jOptions{Own: true})
	o := optionsOf(server)
	if _, _, err := Migrate(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	o.RetryTime = 100 * time.Millisecond
	s, tenant := open(t, o), tenantOfTest(t)
	mustApply(t, s, tenant, logons(0, 100))
	round, done := 0, make(chan error, 1)
	for caught := false; !caught; { // a quick server may be done before it is seen writing
		round++
		go func() {
			_, err := s.Apply(context.Background(), tenant, logons(round, 3_000))
			done <- err
		}()
		if caught = awaitWriting(t, s, "CREATE (f)-[:$(", done); round == 50 && !caught {
			t.Fatal("the server was never seen writing")
		}
	}
	server.Kill(t)
	if err := <-done; err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("the server was killed, and Apply says %v", err)
	}
	server.Restart(t)
	found := ask(t, s, `MATCH ()-[s:LOGGED_ON]->() RETURN count(s)`, nil)
	if n := number(found[0].Values[0]); n != int64(100+3_000*(round-1)) && n != int64(100+3_000*round) {
		t.Errorf("%d sightings in round %d: half a batch", n, round)
	}
	mustApply(t, s, tenant, logons(round, 3_000))
	sameAsModel(t, s, tenant, func(m *graphtest.Model) {
		mustApply(t, m, tenant, logons(0, 100))
		for i := range round {
			mustApply(t, m, tenant, logons(i+1, 3_000))
		}
	})
}

// awaitWriting returns true once such a statement runs, false where done comes first.
func awaitWriting(t testing.TB, s *Store, words string, done <-chan error) bool {
	t.Helper()
	for {
		found := ask(t, s, `SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery CONTAINS $words RETURN count(*)`, map[string]any{"words": words})
		if number(found[0].Values[0]) > 0 {
			return true
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
}
