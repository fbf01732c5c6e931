package cached

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/clew-security/clew/graph"
	"github.com/clew-security/clew/graph/embedded"
	"github.com/clew-security/clew/graph/graphtest"
	"github.com/clew-security/clew/internal/realserver"
)

var bg = context.Background()

var view = graph.View{Tenant: graphtest.Tenant}

// The proxy's toxics and the client's pool log through globals, at every fault that a test makes.
func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled)
	logging.Disable()
	os.Exit(m.Run())
}

func must[V any](v V, err error) func(t graphtest.TB) V {
	return func(t graphtest.TB) V {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return v
	}
}

// openStore opens an embedded store in memory. Its clock stands still, so that two tenants get the same ticks.
func openStore(t testing.TB) *embedded.Store {
	t.Helper()
	s := must(embedded.Open("store", embedded.Options{FS: vfs.NewMem(), Clock: graphtest.NewClock().Now, CacheBytes: 1 << 20}))(t)
	t.Cleanup(func() { s.Close() })
	return s
}

// watched counts what reaches the store, and lets a test stand in the way.
type watched struct {
	graph.Store
	alerts, incidents, entities, positions atomic.Int64
	onAlerts                               atomic.Pointer[func(context.Context) error]
	keepOpen                               bool
}

func (w *watched) Alerts(ctx context.Context, v graph.View, q graph.AlertQuery) (graph.AlertPage, error) {
	w.alerts.Add(1)
	page, err := w.Store.Alerts(ctx, v, q)
	if f := w.onAlerts.Load(); f != nil && err == nil {
		err = (*f)(ctx)
	}
	return page, err
}

func (w *watched) Incidents(ctx context.Context, v graph.View, q graph.IncidentQuery) (graph.IncidentPage, error) {
	w.incidents.Add(1)
	return w.Store.Incidents(ctx, v, q)
}

func (w *watched) Entities(ctx context.Context, v graph.View, q graph.EntityQuery) ([]graph.Entity, error) {
	w.entities.Add(1)
	return w.Store.Entities(ctx, v, q)
}

func (w *watched) Position(ctx context.Context, v graph.View) (graph.Position, error) {
	w.positions.Add(1)
	return w.Store.Position(ctx, v)
}

// Close leaves a store open that several caches share.
func (w *watched) Close() error {
	if w.keepOpen {
		return nil
	}
	return w.Store.Close()
}

// whenAlerts runs f after each read of alerts, until it is nil.
func (w *watched) whenAlerts(f func(context.Context) error) {
	if f == nil {
		w.onAlerts.Store(nil)
		return
	}
	w.onAlerts.Store(&f)
}

// open puts a cache before the store, which it leaves open.
func open(t testing.TB, store graph.Store, o Options) (*Store, *watched) {
	t.Helper()
	w := &watched{Store: store, keepOpen: true}
	s := must(New(w, o))(t)
	t.Cleanup(func() { s.Close() })
	return s, w
}

// noLeaks fails the test if a goroutine of the cache or of what it uses outlives it.
func noLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		var left []string
		for range 100 {
			if left = goroutines(); len(left) == 0 {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%d goroutines left:\n%s", len(left), strings.Join(left, "\n\n"))
	})
}

func goroutines() (left []string) {
	buf := make([]byte, 1<<20)
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "testing.") && !strings.Contains(g, "created by github.com") {
			continue
		}
		for _, ours := range []string{"graph/cached.", "go-redis/", "maypok86/otter", "failsafe-go"} {
			if strings.Contains(g, ours) {
				left = append(left, g)
				break
			}
		}
	}
	return left
}

func secret() []byte {
	b := make([]byte, MinSecretBytes)
	_, _ = rand.Read(b)
	return b
}

// tier is a Redis tier with a secret of its own, quick to try again, with time even on a busy machine.
func tier(addr string) *Redis {
	return &Redis{Connect: redis.UniversalOptions{Addrs: []string{addr}}, Secret: secret(), Rest: 50 * time.Millisecond, Timeout: 5 * time.Second}
}

func startRedis(t testing.TB, o realserver.RedisOptions) *realserver.Server {
	t.Helper()
	o.Own = true
	return realserver.Redis(t, o)
}

// meter reads counters.
type meter struct{ reader *sdkmetric.ManualReader }

func newMeter(o *Options) meter {
	r := sdkmetric.NewManualReader()
	o.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)).Meter("test")
	return meter{r}
}

// sum adds the counter's points that have all these attributes, given as name, value.
func (m meter) sum(t testing.TB, name string, with ...string) (n int64) {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := m.reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	for _, scope := range data.ScopeMetrics {
		for _, metric := range scope.Metrics {
			if metric.Name != name {
				continue
			}
			for _, p := range metric.Data.(metricdata.Sum[int64]).DataPoints {
				if hasAll(p.Attributes, with) {
					n += p.Value
				}
			}
		}
	}
	return n
}

func hasAll(set attribute.Set, with []string) bool {
	for i := 0; i < len(with); i += 2 {
		if v, ok := set.Value(attribute.Key(with[i])); !ok || v.AsString() != with[i+1] {
			return false
		}
	}
	return true
}

// eventually waits for what other goroutines or a breaker's rest bring; the limit is for safety.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 1500 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func device(name string) graph.EntityObservation {
	k, _ := graph.NewKey(graph.KindDevice, graph.KeyMdeDeviceID, name)
	return graph.EntityObservation{
		Keys: []graph.Key{k}, ObservedAt: graphtest.Epoch, Source: "endpoint",
		Properties: map[string]json.RawMessage{"deviceDnsName": json.RawMessage(`"` + name + `.contoso.com"`)},
	}
}

// alertAbout is a batch with one alert about a device; alerts about one device are one incident.
func alertAbout(id, deviceName string) graph.Batch {
	d, peer := device(deviceName), device(deviceName+"-peer")
	body, _ := json.Marshal(map[string]any{
		"@odata.type": graph.ODataPrefix + "deviceEvidence", "mdeDeviceId": deviceName, "deviceDnsName": deviceName + ".contoso.com",
		"verdict": "suspicious", "remediationStatus": "none", "osPlatform": "Windows11", "roles": []string{"compromised"},
	})
	return graph.Batch{
		Entities: []graph.EntityObservation{d, peer}, Decide: graphtest.UnionDecider{},
		Alerts: []graph.AlertContent{{
			ProviderAlertID: id, Product: string(graph.ServiceDefenderEndpoint), ServiceSource: graph.ServiceDefenderEndpoint,
			Title: "alert " + id, Severity: graph.SeverityHigh, FirstActivity: graphtest.Epoch, LastActivity: graphtest.Epoch,
			SourceUpdated: graphtest.Epoch, MitreTechniques: []string{"T1059.001"}, Source: json.RawMessage(`{"id":"` + id + `"}`),
			Evidence: []graph.Evidence{{Type: "deviceEvidence", Entity: d.ID(), Mentions: []graph.ID{peer.ID()}, Body: body}},
		}},
	}
}

func apply(t graphtest.TB, s graph.Store, tenant graph.TenantID, b graph.Batch) graph.Receipt {
	t.Helper()
	return must(s.Apply(context.Background(), tenant, b))(t)
}

func oneIncident(id graph.IncidentID) graph.AlertQuery {
	return graph.AlertQuery{Incidents: []graph.IncidentID{id}}
}

func readOne(t graphtest.TB, s graph.Reader, v graph.View, id graph.IncidentID) graph.AlertPage {
	t.Helper()
	return must(s.Alerts(context.Background(), v, oneIncident(id)))(t)
}

// same fails where the answers differ; nil and empty lists are one.
func same(t graphtest.TB, what string, want, got any) {
	t.Helper()
	if w, g := fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got); w != g {
		t.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// fill sets everything that v holds, at any depth, to values that differ from place to place.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n % 250))
	case reflect.Uint64:
		v.SetUint(uint64(*n) << 20)
	case reflect.Float64:
		v.SetFloat(float64(*n) / 7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(k, n)
		fill(e, n)
		v.SetMapIndex(k, e)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(graphtest.Epoch.Add(time.Duration(*n) * time.Microsecond)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("fill does not know " + v.Kind().String())
	}
}

// filledOf gives two of T with everything set.
func filledOf[T any]() []T {
	out, n := make([]T, 2), 0
	for i := range out {
		fill(reflect.ValueOf(&out[i]).Elem(), &n)
	}
	return out
}
