package api

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ukai/internal/classify"
	"ukai/internal/dispatch"
	"ukai/internal/outcome"
)

// Metrics counts what passes and reads the rest when it is scraped. Names follow Prometheus's conventions: base units,
// totals end in _total. Providers outside the catalogue are counted together: a label must not grow with the world.
type Metrics struct {
	reg      *prometheus.Registry
	known    func(provider string) bool
	attempts *prometheus.CounterVec
	took     *prometheus.HistogramVec
	settled  *prometheus.CounterVec
	taken    *prometheus.CounterVec
}

// NewMetrics makes the counters. known tells whether a provider is of the catalogue.
func NewMetrics(known func(provider string) bool) *Metrics {
	m := &Metrics{
		reg: prometheus.NewRegistry(), known: known,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ukai_attempts_total",
			Help: "Recipients tried, by egress, provider, what became of it (delivered, retry, fail) and class of the verdict."}, []string{"egress", "provider", "action", "class"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ukai_attempt_duration_seconds",
			Help: "Time from the start of a transaction to its outcome.", Buckets: prometheus.ExponentialBuckets(0.005, 3, 11)}, []string{"egress"}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ukai_recipients_total",
			Help: "Recipients by what an attempt ended with: delivered, detoured (delivered by a detour), bounced, deferred, held; and unfound: no receiver was found."}, []string{"result"}),
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ukai_accepted_total",
			Help: "Messages taken in, by listener."}, []string{"listener"}),
	}
	m.reg.MustRegister(m.attempts, m.took, m.settled, m.taken, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler { return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{}) }

// OnOutcome counts an outcome: it fits dispatch.Options.
func (m *Metrics) OnOutcome(o *outcome.Outcome, v *classify.Verdict, recipients int) {
	if o.Egress == "" {
		m.settled.WithLabelValues("unfound").Add(float64(recipients)) // the lookup failed: nothing was tried
		return
	}
	provider := o.Provider
	if !m.known(provider) {
		provider = "other"
	}
	m.attempts.WithLabelValues(o.Egress, provider, string(v.Action), v.Class).Add(float64(recipients))
	m.took.WithLabelValues(o.Egress).Observe(o.Duration.Seconds())
}

// OnSettled counts the end of an attempt: it fits dispatch.Options.
func (m *Metrics) OnSettled(s dispatch.Settled) {
	delivered := "delivered"
	if s.Detour {
		delivered = "detoured"
	}
	m.add(delivered, s.Delivered)
	m.add("bounced", s.Bounced)
	m.add("deferred", s.Deferred)
	m.add("held", s.Held)
}

func (m *Metrics) add(result string, n int) {
	if n > 0 {
		m.settled.WithLabelValues(result).Add(float64(n))
	}
}

// OnAccepted counts a message taken in.
func (m *Metrics) OnAccepted(listener string) { m.taken.WithLabelValues(listener).Inc() }

// Watch adds what is read at each scrape: queue, load, paths.
func (m *Metrics) Watch(p *Parts) { m.reg.MustRegister(&scraper{p: p}) }

// scraper reads gauges at each scrape.
type scraper struct{ p *Parts }

var (
	descMessages = prometheus.NewDesc("ukai_queue_messages", "Messages in the queue.", nil, nil)
	descHeld     = prometheus.NewDesc("ukai_queue_held_deliveries", "Deliveries held by an admin.", nil, nil)
	descBytes    = prometheus.NewDesc("ukai_queue_bytes", "Bytes of the queue on disk.", nil, nil)
	descOldest   = prometheus.NewDesc("ukai_queue_oldest_seconds", "Age of the oldest message in the queue.", nil, nil)
	descAside    = prometheus.NewDesc("ukai_queue_set_aside_messages", "Messages that were unreadable and set aside.", nil, nil)
	descCommits  = prometheus.NewDesc("ukai_queue_commits_total", "Messages made durable since start.", nil, nil)
	descSyncs    = prometheus.NewDesc("ukai_queue_syncs_total", "Disk syncs since start.", nil, nil)
	descBroken   = prometheus.NewDesc("ukai_queue_broken", "1 when the queue stopped after a disk error.", nil, nil)
	descConns    = prometheus.NewDesc("ukai_connections", "Outbound connections.", nil, nil)
	descJobs     = prometheus.NewDesc("ukai_jobs", "Deliveries in memory.", nil, nil)
	descPath     = prometheus.NewDesc("ukai_path_state", "State of a path: 0 healthy, 1 suspect, 2 blocked, 3 probing, 4 recovering.", []string{"egress", "provider"}, nil)
	descDropped  = prometheus.NewDesc("ukai_journal_dropped_total", "Events lost because the database could not follow.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *scraper) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, ch) }

// Collect implements prometheus.Collector.
func (s *scraper) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	total := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	st := s.p.Store.Stats()
	gauge(descMessages, float64(st.Messages))
	gauge(descHeld, float64(st.Held))
	gauge(descBytes, float64(st.Bytes))
	gauge(descAside, float64(st.SetAside))
	oldest := 0.0
	if !st.Oldest.IsZero() {
		oldest = s.p.Now().Sub(st.Oldest).Round(time.Millisecond).Seconds()
	}
	gauge(descOldest, oldest)
	broken := 0.0
	if st.Broken != "" {
		broken = 1
	}
	gauge(descBroken, broken)
	total(descCommits, st.Commits)
	total(descSyncs, st.Syncs)
	load := s.p.Dispatch.Load()
	gauge(descConns, float64(load.Connections))
	gauge(descJobs, float64(load.Jobs))
	total(descDropped, s.p.Journal.Dropped())
	for _, info := range s.p.Health.List(s.p.Now()) {
		if s.p.Metrics.known(info.Key.Provider) {
			gauge(descPath, float64(info.State), info.Key.Egress, info.Key.Provider)
		}
	}
}
