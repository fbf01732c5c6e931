package neo4j

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// meters are what the store measures.
type meters struct {
	commits metric.Float64Histogram
	retries metric.Int64Counter
}

func newMeters(m metric.Meter) (out meters, err error) {
	var err1, err2 error
	out.commits, err1 = m.Float64Histogram("clew.neo4j.commit.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of one commit with all its attempts."))
	out.retries, err2 = m.Int64Counter("clew.neo4j.retries",
		metric.WithDescription("Attempts of reads and commits that were made again."))
	return out, errors.Join(err1, err2)
}
