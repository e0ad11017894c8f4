package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ukai/internal/agent"
	"ukai/internal/api"
	"ukai/internal/classify"
	"ukai/internal/config"
	"ukai/internal/connect"
	"ukai/internal/i18n"
	"ukai/internal/provider"
	"ukai/internal/store"
	"ukai/internal/systemd"
	"ukai/internal/watch"
)

func newAgent(e *env) *cobra.Command {
	var root string
	var patience time.Duration
	cmd := e.command("agent", "cli.agent.", args(0, 0), func(cmd *cobra.Command, _ []string) error {
		ctx, again := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer again()
		context.AfterFunc(ctx, again) // the second signal is not caught
		log := newLogger(e.err, config.Log{Level: "info", Format: "text"})
		return (&agents{root: root, patience: patience, log: log, notifier: systemd.NewNotifier(e.getenv)}).run(ctx)
	})
	cmd.Flags().StringVar(&root, "root", "", e.text("cli.agent.flag.root"))
	cmd.Flags().DurationVar(&patience, "patience", 10*time.Minute, e.text("cli.agent.flag.patience"))
	return cmd
}

// agents serves all servers of this machine that have a hub.
type agents struct {
	root     string
	patience time.Duration
	log      *slog.Logger
	notifier *systemd.Notifier

	places *watch.Places
	know   watch.Knowledge
}

// lookForJoined is how often the directory is looked at: "ukai connect" comes and goes while the agent runs.
const lookForJoined = 2 * time.Second

// run serves until ctx ends. When the servers become others, all begin anew: what was read of a log is remembered.
func (a *agents) run(ctx context.Context) (err error) {
	dir := filepath.Join(a.root, joinDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return i18n.Errorf("app.data.make", "dir", dir, "cause", err)
	}
	db, err := store.Open(filepath.Join(dir, "agent.db"), false)
	if err != nil {
		return i18n.Errorf("cli.agent.file", "file", filepath.Join(dir, "agent.db"), "cause", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if a.places, err = watch.OpenPlaces(ctx, db); err != nil {
		return err
	}
	if a.know.Judge, err = classify.NewLive(""); err != nil {
		return err
	}
	if a.know.Providers, err = provider.Load(); err != nil {
		return err
	}
	if err := a.notifier.Ready("ready"); err != nil {
		a.log.Warn("systemd not told", "error", err)
	}
	for ctx.Err() == nil {
		list, mark, err := a.servers(dir)
		if err != nil {
			return err
		}
		a.serve(ctx, list, func() bool {
			_, now, err := a.servers(dir)
			return err != nil || now != mark
		})
	}
	return nil
}

// servers reads the directory; mark is the same as long as that is.
func (a *agents) servers(dir string) (list []joined, mark string, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, "", err
	}
	for _, name := range names {
		if st, err := os.Stat(name); err == nil {
			mark += fmt.Sprintf("%s %d %d\n", name, st.Size(), st.ModTime().UnixNano())
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
		j, err := readJoined(name)
		if err != nil {
			return nil, "", err
		}
		if j.Join != nil && j.Server.MTA != "" {
			list = append(list, j)
		}
	}
	return list, mark, nil
}

// serve serves these servers until they are others, or ctx ends.
func (a *agents) serve(ctx context.Context, list []joined, others func() bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	var names []string
	for i := range list {
		names = append(names, list[i].Join.Name)
		one := a.one(&list[i])
		all.Go(func() { _ = one.Run(ctx) }) // it returns nil
	}
	a.log.Info("serving mail servers", "servers", strings.Join(names, " "))
	tick := time.NewTicker(lookForJoined)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if others() {
				stop()
				return
			}
		}
	}
}

// one makes the agent of one server.
func (a *agents) one(j *joined) *agent.Agent {
	o := agent.Options{
		Server: agent.Server{Name: j.Join.Name, Root: j.Server.Place.Root, Routes: j.Server.Routes},
		Hub:    api.NewAgentClient(j.Join), Patience: a.patience, Log: a.log,
		Drift: func(ctx context.Context) ([]string, error) { return drifted(ctx, &j.Server) },
	}
	if len(j.Server.Logs) > 0 {
		o.Source = watch.NewTail(watch.LogOptions{Name: j.Join.Name, Paths: j.Server.Logs, Server: j.Join.Name}, a.know, a.places, a.log)
	}
	return agent.New(o)
}

// drifted looks which files of a connected server are not as they were written.
func drifted(ctx context.Context, s *api.ServerRequest) ([]string, error) {
	engine := connect.New(connect.Options{Root: s.Place.Root})
	t, err := engine.Connected(s.MTA, s.Place.Instance)
	if err != nil {
		return nil, err
	}
	st, err := engine.Status(ctx, t, nil)
	if err != nil {
		return nil, err
	}
	return driftedFiles(st), nil
}

// driftedFiles are the files that are not as they were written.
func driftedFiles(st *connect.Status) (files []string) {
	for i := range st.Files {
		switch f := &st.Files[i]; f.Drift {
		case connect.Damaged, connect.Gone, connect.Reset:
			files = append(files, f.Path)
		}
	}
	return files
}
