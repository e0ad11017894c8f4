// Package api answers questions and takes orders over HTTP.
//
// There are two doors. The control door is a Unix socket in the data directory: who may open that file may do everything,
// and the command line uses it. The public door is a TCP address with /healthz and /metrics only; it says nothing about
// messages. Both speak JSON; errors are RFC 9457 problems.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"ukai/internal/cases"
	"ukai/internal/classify"
	"ukai/internal/dispatch"
	"ukai/internal/health"
	"ukai/internal/incident"
	"ukai/internal/journal"
	"ukai/internal/notify"
	"ukai/internal/queue"
	"ukai/internal/suppress"
	"ukai/internal/unclassified"
	"ukai/internal/watch"
)

// SocketName is the name of the control socket in the data directory.
const SocketName = "control.sock"

// Parts are what the doors lead to.
type Parts struct {
	Store    queue.Store
	Health   *health.Book
	Journal  *journal.Journal
	Dispatch *dispatch.Dispatcher
	Metrics  *Metrics
	Suppress *suppress.Book
	// Rules and Unclassified answer what is asked about replies that no rule knows.
	Rules        *classify.Live
	Unclassified *unclassified.Keeper
	Incidents    *incident.Book
	Notify       *notify.Notifier // nil: nobody is told
	Cases        *cases.Book
	Watch        *watch.Hub   // nil: nobody else is watched
	Lists        *watch.Lists // nil: no blocklists are asked
	Steering     *Steering    // nil: no mail server can be connected
	Mode         func() string
	Egresses     func() []string // names of all egresses
	// Watched are the names that paths of watched servers go by (nil: none is watched).
	Watched func() []string
	Started time.Time
	Version string
	Log     *slog.Logger
	Now     func() time.Time
}

// Control returns the handler of the control door.
func Control(p *Parts) http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("ukai", p.Version)
	config.DocsPath = "" // the renderer would be fetched from elsewhere
	config.SchemasPath = ""
	config.CreateHooks = nil // no $schema links in answers
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	a := humago.New(mux, config)
	p.registerStatus(a)
	p.registerQueue(a)
	p.registerPaths(a)
	p.registerTrace(a)
	p.registerSuppressed(a)
	p.registerIncidents(a)
	p.registerNotify(a)
	p.registerCases(a)
	p.registerUnclassified(a)
	p.registerServers(a)
	mux.Handle("GET /v1/queue/{id}/content", http.HandlerFunc(p.content))
	mux.Handle("GET /metrics", p.Metrics.Handler())
	return mux
}

// Public returns the handler of the public door.
func Public(p *Parts) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", p.healthz)
	mux.Handle("GET /metrics", p.Metrics.Handler())
	return mux
}

// body wraps an answer as huma wants it.
type body[T any] struct{ Body T }

func answer[T any](v T) *body[T] { return &body[T]{Body: v} }

// listed makes a list that is nil an empty one: in JSON it is a list all the same.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// failed makes an error of ours a problem for the client: what is not there is 404, what cannot be done now is 503.
func failed(err error) error {
	switch {
	case err == nil:
		return nil
	case isNotFound(err):
		return huma.Error404NotFound(err.Error())
	}
	return huma.Error503ServiceUnavailable(err.Error())
}

type none struct{}

// register adds an operation; at is its method and path ("GET /v1/queue").
func register[I, O any](a huma.API, at, id, summary string, f func(context.Context, *I) (*O, error)) {
	method, path, _ := strings.Cut(at, " ")
	huma.Register(a, huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary}, f)
}
