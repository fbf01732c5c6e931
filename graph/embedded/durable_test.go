package embedded

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/clew-security/clew/graph"
)

// slowSync holds every sync of a log while gate is taken.
type slowSync struct {
	vfs.FS
	gate    chan struct{} // holds one token
	waiting chan struct{} // gets one when a sync waits
}

func (fs slowSync) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	if err == nil && strings.HasSuffix(name, ".log") {
		return slowFile{f, fs}, nil
	}
	return f, err
}

func (fs slowSync) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, to, c)
	if err == nil && strings.HasSuffix(to, ".log") {
		return slowFile{f, fs}, nil
	}
	return f, err
}

type slowFile struct {
	vfs.File
	fs slowSync
}

func (f slowFile) hold() {
	select {
	case f.fs.waiting <- struct{}{}:
	default:
	}
	token := <-f.fs.gate
	f.fs.gate <- token
}

func (f slowFile) Sync() error     { f.hold(); return f.File.Sync() }
func (f slowFile) SyncData() error { f.hold(); return f.File.SyncData() }
func (f slowFile) SyncTo(n int64) (bool, error) {
	f.hold()
	return f.File.SyncTo(n)
}

// Nobody sees a commit that a crash could still take back; other tenants wait for nothing.
func TestNobodyReadsWhatIsNotDurable(t *testing.T) {
	fs := slowSync{vfs.NewMem(), make(chan struct{}, 1), make(chan struct{}, 1)}
	fs.gate <- struct{}{}
	s := openAt(t, Options{FS: fs})
	defer closeStore(t, s)
	ctx, v := context.Background(), graph.View{Tenant: "contoso"}
	if _, err := s.Apply(ctx, v.Tenant, logonBatch(0, 5)); err != nil {
		t.Fatal(err)
	}
	token := <-fs.gate
	select {
	case <-fs.waiting: // of what went before
	default:
	}
	done := make(chan error, 1)
	go func() { _, err := s.Apply(ctx, v.Tenant, logonBatch(1, 5)); done <- err }()
	<-fs.waiting
	for row := (graph.Position{}); row.Revision < 2; { // until Pebble shows it
		r, err := view{ctx, s.db, keysOf(v.Tenant)}.tenantRow()
		if err != nil {
			t.Fatal(err)
		}
		row = r.Position
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if p, err := s.Position(short, v); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read gave %+v, %v while the commit was not durable", p, err)
	}
	if _, err := s.Position(ctx, graph.View{Tenant: "fabrikam"}); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	fs.gate <- token
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if p, err := s.Position(ctx, v); err != nil || p.Revision != 2 {
		t.Errorf("afterwards: %+v, %v", p, err)
	}
}
